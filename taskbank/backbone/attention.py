"""Attention within each input of a batch whose tokens are laid end to end.

Registered with transformers under the name `taskbank`; a model that is called with a `layout`
uses it, and one that is called with padded inputs attends as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from taskbank.backbone.dropout import draw_kept
from taskbank.data.packed import Batch, Group, Layout

NAME = "taskbank"
AT_ONCE = 2**21  # weights that a CPU computes at once in training: few enough for its cache


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
        module: the attention.
        query: of shape [1, heads, tokens, size], as are `key` and `value`.
        key: see there.
        value: see there.
        attention_mask: none, if there is a layout.
        dropout: on the attention weights.
        scaling: of the products.
        layout: of the batch; none means that inputs are padded, as transformers has them.
        sliding_window: so many tokens less one are seen to each side; none means all.
        others: what transformers passes on besides.

    Returns:
        the outputs, of shape [1, tokens, heads, size], and no weights.
    """
    if layout is None:
        outputs, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **others
        )
        return outputs, None
    heads, tokens, size = query.shape[1:]
    arranged = [
        _arranged(states[0].transpose(0, 1).reshape(tokens, heads * size), layout)
        for states in (query, key, value)
    ]
    sizes = [group.inputs * group.width for group in layout.groups]
    found = []
    divided = [torch.split(states, sizes) for states in arranged]
    for group, *parts in zip(layout.groups, *divided, strict=True):
        shape = (group.inputs, group.width, heads, size)
        q, k, v = (part.view(shape).transpose(1, 2) for part in parts)
        mask = _mask(group, sliding_window, query.device)
        output = _attended(q, k, v, mask, dropout, size**-0.5 if scaling is None else scaling)
        found += [part.transpose(1, 2).reshape(-1, heads * size) for part in output]
    together = found[0] if len(found) == 1 else torch.cat(found)
    if layout.spread is not None:
        together = _Back.apply(together, layout)  # type: ignore[no-untyped-call]
    return together.view(1, tokens, heads, size), None


@torch.no_grad()
def packs(model: PreTrainedModel, first_position: int) -> bool:
    """Let a model attend so, if it gives the same then as for padded inputs.

    That is seen and not believed: a model may look beyond one token elsewhere, too.

    Args:
        model: in evaluation mode; where it cannot attend so, it is left as it was.
        first_position: the number of the first token's position.
    """
    if not getattr(model, "_supports_attention_backend", False):
        return False
    lengths = np.array([3, 7])
    ids = torch.arange(20, 20 + lengths.sum()) % model.config.vocab_size
    batch = Batch(ids, lengths)
    before = model.config._attn_implementation
    expected = model(input_ids=batch.padded(ids), attention_mask=batch.grid[1].long())
    model.config._attn_implementation = NAME
    try:
        found = model(
            input_ids=ids[None],
            position_ids=batch.positions[None] + first_position,
            layout=batch.layout,
        )
        same = torch.allclose(
            expected.last_hidden_state[batch.grid[1]], found.last_hidden_state[0], 1e-3, 1e-4
        )
    except (TypeError, ValueError, RuntimeError):
        same = False
    if not same:
        model.config._attn_implementation = before
    return same


def _mask(group: Group, sliding_window: int | None, device: torch.device) -> torch.Tensor | None:
    """Return which tokens see which, [inputs or 1, 1, tokens or 1, tokens]; none for all."""
    mask = None if group.inside is None else group.inside[:, None, None, :]
    if sliding_window is not None and group.width > sliding_window:
        place = torch.arange(group.width, device=device)
        near = (place[:, None] - place).abs() < sliding_window
        mask = near[None, None] if mask is None else mask & near
    return mask


def _attended(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    dropout: float,
    scale: float,
) -> list[torch.Tensor]:
    """Attend in one group, so many inputs at once as is best.

    All are of shape [inputs, heads, tokens, size].
    """
    trains = dropout > 0 or query.requires_grad or key.requires_grad or value.requires_grad
    if not trains or query.device.type != "cpu":
        output = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, mask, dropout, scale=scale
        )
        return [output]
    if torch.is_autocast_enabled("cpu"):
        reduced = torch.get_autocast_dtype("cpu")
        query, key, value = (states.to(reduced) for states in (query, key, value))
    inputs, heads, tokens, _ = query.shape
    count = max(1, AT_ONCE // (heads * tokens**2))
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

    torch's own has no fast way to train with dropout there, nor in bfloat16, and keeps each step's
    matrix. Kept here of all of them: the weights before dropout, and a byte for each.
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
            # Not minus infinity: a place without a token may see none, and is to stay finite.
            least = torch.finfo(products.dtype).min
            products += torch.zeros(mask.shape).masked_fill_(~mask, least)
        weights = torch.softmax(products, -1).to(value.dtype)
        kept, ctx.grown = draw_kept(weights.shape, dropout) if dropout else (None, 1.0)
        ctx.scale = scale
        ctx.save_for_backward(query, key, value, weights, kept)
        used = weights if kept is None else kept.to(weights.dtype).mul_(weights)
        return torch.matmul(used, value).mul_(ctx.grown)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, weights, kept = ctx.saved_tensors
        gradient = gradients[0] * ctx.grown
        of_weights = torch.matmul(gradient, value.transpose(-1, -2))
        used = weights
        if kept is not None:
            factors = kept.to(weights.dtype)
            of_weights *= factors
            used = factors.mul_(weights)
        of_value = torch.matmul(used.transpose(-1, -2), gradient)
        of_products = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        of_query = torch.matmul(of_products, key).mul_(ctx.scale)
        of_key = torch.matmul(of_products.transpose(-1, -2), query).mul_(ctx.scale)
        return of_query, of_key, of_value, None, None, None


def _arranged(states: torch.Tensor, layout: Layout) -> torch.Tensor:
    if layout.spread is None:
        return states
    spread: torch.Tensor = _Spread.apply(states, layout)  # type: ignore[no-untyped-call]
    return spread


class _Spread(torch.autograd.Function):
    """Tokens to their places; what stands where there is none has no part in anything.

    Each token has one place, so that both directions only gather: a plain index would add up
    gradients place by place, which is slow, and on a GPU in no certain order.
    """

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, layout: Layout) -> torch.Tensor:
        ctx.layout = layout
        return _gathered(states, layout)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradients[0].index_select(0, ctx.layout.back), None


class _Back(torch.autograd.Function):
    """Places to tokens: the way back."""

    @staticmethod
    def forward(ctx: Any, places: torch.Tensor, layout: Layout) -> torch.Tensor:
        ctx.layout = layout
        return places.index_select(0, layout.back)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _gathered(gradients[0], ctx.layout), None


def _gathered(values: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Return the values of each place's token, nought where there is none."""
    assert layout.spread is not None  # noqa: S101 - nothing is gathered otherwise
    filled = torch.cat([values, values.new_zeros(1, values.shape[1])])
    return filled.index_select(0, layout.spread)


def _sdpa_mask(*, attention_mask: torch.Tensor | None = None, **others: Any) -> Any:
    # Without padding there is no mask, not even one of all tokens against each other.
    if attention_mask is None:
        return None
    return sdpa_mask(attention_mask=attention_mask, **others)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, _sdpa_mask)
