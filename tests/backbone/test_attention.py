"""Attention without padding gives what torch's gives."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from taskbank.backbone.attention import CHUNK_WEIGHTS, _attend_group, enable_packing


def test_a_model_that_looks_at_neighbours_elsewhere_is_computed_padded(folder: Path) -> None:
    """A convolution over tokens would let one text see another: it is noticed, not believed."""
    model = AutoModel.from_pretrained(folder).eval()
    assert enable_packing(model, 0)
    model = AutoModel.from_pretrained(folder).eval()

    def look(_module: object, _inputs: object, states: torch.Tensor) -> torch.Tensor:
        return states + states.roll(1, dims=1)

    model.embeddings.register_forward_hook(look)
    assert not enable_packing(model, 0)
    assert model.config._attn_implementation == "sdpa"


HEADS, SIZE = 4, 8
Triple = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def attention_inputs(inputs: int, tokens: int, dtype: torch.dtype) -> Triple:
    """Return queries, keys and values."""
    torch.manual_seed(1)
    shape = (inputs, HEADS, tokens, SIZE)
    query, key, value = (torch.randn(shape).to(dtype).requires_grad_() for _ in range(3))
    return query, key, value


def gradients(output: torch.Tensor, of: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
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
    found = torch.cat(_attend_group(*states, mask, 0.0, 0.3))
    query, key, value = plain = [one.detach().float().requires_grad_() for one in states]
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, mask, scale=0.3)
    close = {torch.float32: 1e-5, torch.bfloat16: 3e-2}[dtype]
    torch.testing.assert_close(found.float(), expected, atol=close, rtol=close)
    for own, torchs in zip(gradients(found, states), gradients(expected, plain), strict=True):
        assert own.dtype == dtype
        torch.testing.assert_close(own.float(), torchs, atol=close, rtol=close)


def test_inputs_that_are_computed_in_turn_are_as_those_at_once() -> None:
    """So many inputs that they are cut give what each gives by itself."""
    tokens = 150
    inputs = CHUNK_WEIGHTS // (HEADS * tokens**2) + 3
    states = attention_inputs(inputs, tokens, torch.float32)
    mask = (torch.arange(tokens) < torch.arange(1, inputs + 1)[:, None] * 3)[:, None, None]
    parts = _attend_group(*states, mask, 0.0, 0.3)
    assert len(parts) == 2
    found = torch.cat(parts)
    for row in range(inputs):
        query, key, value, own = (each[row : row + 1] for each in (*states, mask))
        (alone,) = _attend_group(query, key, value, own, 0.0, 0.3)
        torch.testing.assert_close(found[row : row + 1], alone)


def test_a_place_that_sees_none_is_finite() -> None:
    """A mask that hides everything from a place makes no NaN, there or in any gradient."""
    states = attention_inputs(2, 6, torch.float32)
    mask = torch.ones(2, 1, 6, 6, dtype=torch.bool)
    mask[0, 0, 4] = False
    (found,) = _attend_group(*states, mask, 0.5, 0.3)
    assert all(bool(tensor.isfinite().all()) for tensor in (found, *gradients(found, states)))


def test_dropped_attention_weights_are_the_same_in_both_directions() -> None:
    """With values that are unit vectors the output is the weights: what is dropped there has no
    gradient, the rest has that of a weight grown by as much."""
    torch.manual_seed(0)
    query, key = (torch.randn(1, 1, SIZE, SIZE) for _ in range(2))
    value = torch.eye(SIZE)[None, None].requires_grad_()
    (found,) = _attend_group(query, key, value, None, 0.5, 1.0)
    weights = torch.softmax(query @ key.transpose(-1, -2), -1)
    kept = found != 0
    assert 0 < kept.sum() < kept.numel()
    torch.testing.assert_close(found, weights * kept * 2)
    (gradient,) = torch.autograd.grad(found.sum(), value)
    expected = found.detach().sum(dim=2)[..., None].expand(1, 1, SIZE, SIZE)
    torch.testing.assert_close(gradient, expected)
