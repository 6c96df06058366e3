"""Dropout and attention of our own give what torch's give, and only what they drop is by chance."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from taskbank.backbone.attention import AT_ONCE, _attended
from taskbank.backbone.dropout import Dropout, draw_kept, with_cheap_dropout

HEADS, SIZE = 4, 8


def attention_inputs(inputs: int, tokens: int, dtype: torch.dtype) -> list[torch.Tensor]:
    """Return queries, keys and values."""
    torch.manual_seed(1)
    shape = (inputs, HEADS, tokens, SIZE)
    return [torch.randn(shape).to(dtype).requires_grad_() for _ in range(3)]


def gradients(output: torch.Tensor, of: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Return the gradients of a sum whose every term counts differently."""
    weights = torch.linspace(-1, 1, output.numel()).view(output.shape)
    return torch.autograd.grad((output.float() * weights).sum(), of)


@pytest.mark.parametrize(
    ("masked", "dtype"), list(product(("no", "keys", "near"), (torch.float32, torch.bfloat16)))
)
def test_attention_in_training_is_torchs(masked: str, dtype: torch.dtype) -> None:
    """Without dropout, outputs and gradients are those of torch's attention, within rounding."""
    states = attention_inputs(5, 30, dtype)
    place = torch.arange(30)
    mask = {
        "no": None,
        "keys": (place < torch.tensor([30, 3, 17, 1, 29])[:, None])[:, None, None],
        "near": ((place[:, None] - place).abs() < 4)[None, None],
    }[masked]
    found = torch.cat(_attended(*states, mask, 0.0, 0.3))
    plain = [state.detach().float().requires_grad_() for state in states]
    expected = torch.nn.functional.scaled_dot_product_attention(*plain, mask, scale=0.3)
    close = {torch.float32: 1e-5, torch.bfloat16: 3e-2}[dtype]
    torch.testing.assert_close(found.float(), expected, atol=close, rtol=close)
    for own, torchs in zip(gradients(found, states), gradients(expected, plain), strict=True):
        assert own.dtype == dtype
        torch.testing.assert_close(own.float(), torchs, atol=close, rtol=close)


def test_inputs_that_are_computed_in_turn_are_as_those_at_once() -> None:
    """So many inputs that they are cut give what each gives by itself."""
    tokens = 150
    inputs = AT_ONCE // (HEADS * tokens**2) + 3
    states = attention_inputs(inputs, tokens, torch.float32)
    mask = (torch.arange(tokens) < torch.arange(1, inputs + 1)[:, None] * 3)[:, None, None]
    parts = _attended(*states, mask, 0.0, 0.3)
    assert len(parts) == 2
    found = torch.cat(parts)
    for row in range(inputs):
        (alone,) = _attended(*(s[row : row + 1] for s in states), mask[row : row + 1], 0.0, 0.3)
        torch.testing.assert_close(found[row : row + 1], alone)


def test_a_place_that_sees_none_is_finite() -> None:
    """A mask that hides everything from a place makes no NaN, there or in any gradient."""
    states = attention_inputs(2, 6, torch.float32)
    mask = torch.ones(2, 1, 6, 6, dtype=torch.bool)
    mask[0, 0, 4] = False
    (found,) = _attended(*states, mask, 0.5, 0.3)
    assert all(bool(tensor.isfinite().all()) for tensor in (found, *gradients(found, states)))


def test_dropped_attention_weights_are_the_same_in_both_directions() -> None:
    """With values that are unit vectors the output is the weights: what is dropped there has no
    gradient, the rest has that of a weight grown by as much."""
    torch.manual_seed(0)
    query, key = (torch.randn(1, 1, SIZE, SIZE) for _ in range(2))
    value = torch.eye(SIZE)[None, None].requires_grad_()
    (found,) = _attended(query, key, value, None, 0.5, 1.0)
    weights = torch.softmax(query @ key.transpose(-1, -2), -1)
    kept = found != 0
    assert 0 < kept.sum() < kept.numel()
    torch.testing.assert_close(found, weights * kept * 2)
    (gradient,) = torch.autograd.grad(found.sum(), value)
    expected = found.detach().sum(dim=2)[..., None].expand(1, 1, SIZE, SIZE)
    torch.testing.assert_close(gradient, expected)


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
    first, second = (draw_kept(torch.Size([100_003]), 0.5)[0].float() for _ in range(2))
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
    with_cheap_dropout(model)
    assert [type(m) for m in model.modules() if isinstance(m, torch.nn.Dropout)] == [
        Dropout,
        Special,
        Dropout,
    ]
    assert [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)] == [0.2, 0.3, 0.4]
    assert not any(module.training for module in model.modules())
    assert list(model.state_dict()) == names
