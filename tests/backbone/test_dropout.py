"""Dropout and attention of our own give what torch's give, and only what they drop is by chance."""

from __future__ import annotations

import pytest
import torch

from taskbank.backbone.dropout import Dropout, draw_mask, replace_dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_what_is_left_makes_up_for_what_is_dropped(probability: float, dtype: torch.dtype) -> None:
    """So many values are 0 as was asked for, the others keep the mean, and the gradients are the
    same factors."""
    torch.manual_seed(0)
    layer = Dropout(probability)
    values = torch.ones(301, 333, dtype=dtype, requires_grad=True)
    found = layer(values)
    assert found.dtype == dtype
    share = float((found == 0).float().mean())
    deviation = (probability * (1 - probability) / values.numel()) ** 0.5
    assert abs(share - probability) < 4 * deviation
    assert set(found.unique().tolist()) <= {0.0, found.max().item()}
    assert found.max().item() == pytest.approx(1 / (1 - probability), rel=5e-3)
    (gradient,) = torch.autograd.grad(found.sum(), values)
    assert torch.equal(gradient, found)


def test_draws_are_independent_of_each_other() -> None:
    """Neighbours, and one draw and the next, agree as often as chance has them agree."""
    torch.manual_seed(0)
    first, second = (draw_mask(torch.Size([100_003]), 0.5)[0].float() for _ in range(2))
    for distance in (1, 2, 3, 4, 7):
        assert float((first[distance:] == first[:-distance]).float().mean()) == pytest.approx(
            0.5, abs=0.007
        )
    assert float((first == second).float().mean()) == pytest.approx(0.5, abs=0.007)


def test_the_seed_decides_what_is_dropped() -> None:
    """The same seed drops the same values, whatever the number of threads; another drops others."""
    layer, values, threads = Dropout(0.3), torch.ones(500, 100), torch.get_num_threads()
    found = []
    try:
        for seed, count in ((3, 1), (3, 2), (4, 1)):
            torch.manual_seed(seed)
            torch.set_num_threads(count)
            found.append(layer(values))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_nothing_and_everything_can_be_dropped(probability: float) -> None:
    """The ends of the range are what they say."""
    assert torch.equal(Dropout(probability)(torch.ones(5)), torch.full((5,), 1 - probability))


def test_no_dropout_outside_training() -> None:
    """In evaluation the values are what they were."""
    values = torch.randn(9)
    assert torch.equal(Dropout(0.5).eval()(values), values)


def test_only_torchs_own_dropout_is_replaced() -> None:
    """Every plain dropout of a model gets its probability and mode, and nothing stored changes."""

    class Special(torch.nn.Dropout):
        pass

    inner = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.2))
    model = torch.nn.Sequential(inner, Special(0.3), torch.nn.Dropout(0.4)).eval()
    names = list(model.state_dict())
    replace_dropout(model)
    assert [type(m) for m in model.modules() if isinstance(m, torch.nn.Dropout)] == [
        Dropout,
        Special,
        Dropout,
    ]
    assert [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)] == [0.2, 0.3, 0.4]
    assert not any(module.training for module in model.modules())
    assert list(model.state_dict()) == names
