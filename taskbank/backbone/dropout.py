"""Dropout that costs little on a CPU.

torch draws a number for every value and keeps what it multiplies by, in the type of the values. On
a CPU the numbers take longer than the rest of a layer's elementwise work; here one draw of 64 bits
decides on four values, and a byte a value is kept. On other devices it is torch's own.

Values are multiplied by 0 or 1 of their own type: that is quicker there than to fill by a mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

STEPS = 2**16  # a probability is rounded to so many; 0.1 becomes 0.100006


class Dropout(torch.nn.Dropout):
    """As `torch.nn.Dropout`: in training each value is 0 with probability `p`, others grow."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values, some of them 0 if in training.

        Args:
            values: of any shape.
        """
        if not self.training or not 0 < self.p < 1 or values.device.type != "cpu":
            return super().forward(values)
        found: torch.Tensor = _Dropped.apply(values, self.p)  # type: ignore[no-untyped-call]
        return found


def with_cheap_dropout(model: torch.nn.Module) -> None:
    """Let `Dropout` take the place of every `torch.nn.Dropout` in a model.

    Args:
        model: changed in place; what is stored of it is not.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is torch.nn.Dropout:
                setattr(module, name, Dropout(child.p).train(child.training))


def draw_kept(shape: torch.Size, probability: float) -> tuple[torch.Tensor, float]:
    """Draw which values are not dropped, on a CPU, from torch's generator.

    Args:
        shape: of the values.
        probability: of each to be dropped, between 0 and 1.

    Returns:
        an int8 tensor of that shape, 1 for a value that is kept and 0 for another, and by what
        those that are kept are to be multiplied.
    """
    threshold = min(max(round(probability * STEPS), 1), STEPS - 1)
    count = shape.numel()
    seed = int(torch.randint(2**63 - 1, ()))
    drawn = np.random.SFC64(seed).random_raw(-(-count // 4)).view(np.int16)[:count]
    kept = (drawn >= np.int16(threshold - STEPS // 2)).view(np.int8)
    return torch.from_numpy(kept).view(shape), STEPS / (STEPS - threshold)


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, probability: float) -> torch.Tensor:
        kept, ctx.scale = draw_kept(values.shape, probability)
        ctx.save_for_backward(kept)
        return kept.to(values.dtype).mul_(values).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (kept,) = ctx.saved_tensors
        return kept.to(gradients[0].dtype).mul_(gradients[0]).mul_(ctx.scale), None
