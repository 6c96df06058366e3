"""Attention within each input of a batch whose tokens are laid end to end.

Registered with transformers under the name `taskbank`. A model that is called with a `layout`
uses it; a model that is called with padded inputs attends as usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from taskbank.backbone.dropout import draw_mask
from taskbank.data.packed import Batch, Group, Layout

NAME = "taskbank"
CHUNK_WEIGHTS = 2**21  # weights computed at once in training on a CPU: they fit its cache


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    layout: Layout | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within each input.

    Args:
        module: the attention module.
        query: of shape [1, heads, tokens, size], as are `key` and `value`.
        key: see `query`.
        value: see `query`.
        attention_mask: the mask of padded inputs; None with a layout.
        dropout: dropout probability of the attention weights.
        scaling: factor of the products of queries and keys. None means 1 / sqrt(size).
        layout: the batch's layout. None means padded inputs, as usual in transformers.
        sliding_window: each token sees this many tokens less one to each side. None means all.
        others: further arguments from transformers.

    Returns:
        the outputs, of shape [1, tokens, heads, size], and None for the weights.
    """
    if layout is None:
        outputs, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **others
        )
        return outputs, None
    heads, tokens, size = query.shape[1:]
    q, k, v = (
        states[0].transpose(0, 1).reshape(tokens, heads * size) for states in (query, key, value)
    )
    joined = attend_end_to_end(
        q, k, v, heads, layout, dropout=dropout, scaling=scaling, sliding_window=sliding_window
    )
    return joined.view(1, tokens, heads, size), None


def attend_end_to_end(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    heads: int,
    layout: Layout,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
) -> torch.Tensor:
    """Attend within each input of a batch.

    Args:
        query: of shape [tokens, heads · size], as are `key` and `value`.
        key: see `query`.
        value: see `query`.
        heads: number of heads.
        layout: the batch's layout.
        dropout: see `attend`.
        scaling: see `attend`.
        sliding_window: see `attend`.

    Returns:
        the outputs, of the same shape.
    """
    arranged = [_arrange(states, layout) for states in (query, key, value)]
    size = query.shape[1] // heads
    sizes = [group.inputs * group.width for group in layout.groups]
    attended = []
    divided = [states.split_with_sizes(sizes) for states in arranged]
    for group, *parts in zip(layout.groups, *divided, strict=True):
        shape = (group.inputs, group.width, heads, size)
        q, k, v = (part.view(shape).transpose(1, 2) for part in parts)
        mask = _mask(group, sliding_window, query.device)
        output = _attend_group(q, k, v, mask, dropout, size**-0.5 if scaling is None else scaling)
        attended += [part.transpose(1, 2).reshape(-1, heads * size) for part in output]
    joined = attended[0] if len(attended) == 1 else torch.cat(attended)
    if layout.slot_tokens is not None:
        joined = _SlotsToTokens.apply(joined, layout)  # type: ignore[no-untyped-call]
    return joined


@torch.no_grad()
def enable_packing(model: PreTrainedModel, first_position: int) -> bool:
    """Enable attention without padding, if the model computes the same as for padded inputs.

    A test pass decides, because a model may combine tokens in other modules too.

    Args:
        model: the model in evaluation mode; it is left unchanged if the results differ.
        first_position: the position index of an input's first token.
    """
    if not getattr(model, "_supports_attention_backend", False):
        return False
    batch = sample_batch(model)
    ids = batch.input_ids
    original = model.config._attn_implementation
    expected = model(input_ids=batch.pad(ids), attention_mask=batch.grid[1].long())
    model.config._attn_implementation = NAME
    try:
        packed = model(**inputs_end_to_end(batch, first_position))
        same = torch.allclose(
            expected.last_hidden_state[batch.grid[1]], packed.last_hidden_state[0], 1e-3, 1e-4
        )
    except (TypeError, ValueError, RuntimeError):
        same = False
    if not same:
        model.config._attn_implementation = original
    return same


def sample_batch(model: PreTrainedModel) -> Batch:
    """Return two inputs, of 3 and 7 tokens, to test how a model computes a batch."""
    lengths = np.array([3, 7])
    ids = torch.arange(20, 20 + lengths.sum(), device=model.device) % model.config.vocab_size
    return Batch(ids, lengths)


def inputs_end_to_end(batch: Batch, first_position: int) -> dict[str, Any]:
    """Return the arguments of a model that computes a batch without padding.

    Args:
        batch: the inputs.
        first_position: the position index of an input's first token.
    """
    tensors = {"input_ids": batch.input_ids, "position_ids": batch.positions + first_position}
    if batch.token_type_ids is not None:
        tensors["token_type_ids"] = batch.token_type_ids
    return {name: tensor[None] for name, tensor in tensors.items()} | {"layout": batch.layout}


def _mask(group: Group, sliding_window: int | None, device: torch.device) -> torch.Tensor | None:
    """Return a mask [inputs or 1, 1, tokens or 1, tokens] of visible tokens; None for all."""
    mask = None if group.mask is None else group.mask[:, None, None, :]
    if sliding_window is not None and group.width > sliding_window:
        position = torch.arange(group.width, device=device)
        near = (position[:, None] - position).abs() < sliding_window
        mask = near[None, None] if mask is None else mask & near
    return mask


def _attend_group(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    dropout: float,
    scale: float,
) -> list[torch.Tensor]:
    """Attend within each input of one group, in chunks of a size that suits the device.

    The tensors are of shape [inputs, heads, tokens, size].
    """
    needs_gradient = dropout > 0 or query.requires_grad or key.requires_grad or value.requires_grad
    if not needs_gradient or query.device.type != "cpu":
        output = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, mask, dropout, scale=scale
        )
        return [output]
    if torch.is_autocast_enabled("cpu"):
        precision = torch.get_autocast_dtype("cpu")
        query, key, value = (states.to(precision) for states in (query, key, value))
    inputs, heads, tokens, _ = query.shape
    count = max(1, CHUNK_WEIGHTS // (heads * tokens**2))
    parts = [torch.split(states, count) for states in (query, key, value)]
    if mask is None or len(mask) < inputs:
        masks: Sequence[torch.Tensor | None] = [mask] * len(parts[0])
    else:
        masks = torch.split(mask, count)
    return [
        _Attention.apply(q, k, v, m, dropout, scale)  # type: ignore[no-untyped-call]
        for q, k, v, m in zip(*parts, masks, strict=True)
    ]


class _Attention(torch.autograd.Function):
    """Attention in training on a CPU.

    torch's own attention has no fast path there for training with dropout or in bfloat16, and keeps
    the matrix of every step. This one keeps only the weights before dropout and a one-byte mask.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        dropout: float,
        scale: float,
    ) -> torch.Tensor:
        products = torch.matmul(query * scale, key.transpose(-1, -2)).float()
        if mask is not None:
            # Not minus infinity: a slot without a token may see no token and must stay finite.
            least = torch.finfo(products.dtype).min
            products += torch.zeros(mask.shape).masked_fill_(~mask, least)
        weights = torch.softmax(products, -1).to(value.dtype)
        keep_mask, ctx.keep_scale = draw_mask(weights.shape, dropout) if dropout else (None, 1.0)
        ctx.scale = scale
        ctx.save_for_backward(query, key, value, weights, keep_mask)
        dropped = weights if keep_mask is None else keep_mask.to(weights.dtype).mul_(weights)
        return torch.matmul(dropped, value).mul_(ctx.keep_scale)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, weights, keep_mask = ctx.saved_tensors
        gradient = gradients[0] * ctx.keep_scale
        weights_gradient = torch.matmul(gradient, value.transpose(-1, -2))
        dropped = weights
        if keep_mask is not None:
            factors = keep_mask.to(weights.dtype)
            weights_gradient *= factors
            dropped = factors.mul_(weights)
        value_gradient = torch.matmul(dropped.transpose(-1, -2), gradient)
        products_gradient = torch._softmax_backward_data(
            weights_gradient, weights, -1, weights.dtype
        )
        query_gradient = torch.matmul(products_gradient, key).mul_(ctx.scale)
        key_gradient = torch.matmul(products_gradient.transpose(-1, -2), query).mul_(ctx.scale)
        return query_gradient, key_gradient, value_gradient, None, None, None


def _arrange(states: torch.Tensor, layout: Layout) -> torch.Tensor:
    if layout.slot_tokens is None:
        return states
    slots: torch.Tensor = _TokensToSlots.apply(states, layout)  # type: ignore[no-untyped-call]
    return slots


class _TokensToSlots(torch.autograd.Function):
    """Copies tokens to their slots; empty slots have no influence.

    Each token has one slot, so that both directions only gather. The backward pass of plain
    indexing would add up gradients slot by slot, which is slow and, on a GPU, in no fixed order.
    """

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, layout: Layout) -> torch.Tensor:
        ctx.layout = layout
        return _gather(states, layout)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradients[0].index_select(0, ctx.layout.token_slots), None


class _SlotsToTokens(torch.autograd.Function):
    """Copies slots back to their tokens."""

    @staticmethod
    def forward(ctx: Any, slots: torch.Tensor, layout: Layout) -> torch.Tensor:
        ctx.layout = layout
        return slots.index_select(0, layout.token_slots)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _gather(gradients[0], ctx.layout), None


def _gather(values: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Return the values of each slot's token, and zeros for empty slots."""
    assert layout.slot_tokens is not None  # noqa: S101 - the callers have checked it
    filled = torch.cat([values, values.new_zeros(1, values.shape[1])])
    return filled.index_select(0, layout.slot_tokens)


def _sdpa_mask(*, attention_mask: torch.Tensor | None = None, **others: Any) -> Any:
    # Without padding, return no mask instead of one in which every token sees every token.
    if attention_mask is None:
        return None
    return sdpa_mask(attention_mask=attention_mask, **others)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, _sdpa_mask)
