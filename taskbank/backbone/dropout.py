"""Dropout that is fast on a CPU.

torch draws one random number per value and keeps the factors in the type of the values. On a CPU
the draws take longer than the rest of a layer's elementwise work. Here one draw of 64 bits decides
on four values, and the mask takes one byte per value. Other devices use torch's own dropout.

Values are multiplied by 0 or 1 of their own type, which is faster on a CPU than filling by a mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

STEPS = 2**16  # probabilities are rounded to 1 / STEPS: 0.1 becomes 0.100006


class Dropout(torch.nn.Dropout):
    """Like `torch.nn.Dropout`: in training, sets each value to 0 with probability `p`."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values, in training with some of them set to 0.

        Args:
            values: of any shape.
        """
        if not self.training or not 0 < self.p < 1 or values.device.type != "cpu":
            return super().forward(values)
        dropped: torch.Tensor = _Dropped.apply(values, self.p)  # type: ignore[no-untyped-call]
        return dropped


def replace_dropout(model: torch.nn.Module) -> None:
    """Replace every `torch.nn.Dropout` in a model by `Dropout`.

    Args:
        model: the model, changed in place; its state dictionary stays the same.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is torch.nn.Dropout:
                setattr(module, name, Dropout(child.p).train(child.training))


def draw_mask(shape: torch.Size, probability: float) -> tuple[torch.Tensor, float]:
    """Draw a dropout mask on a CPU, seeded by torch's generator.

    Args:
        shape: the values' shape.
        probability: the probability of dropping a value, between 0 and 1.

    Returns:
        an int8 tensor of that shape, 1 for a kept value and 0 for a dropped one, and the factor
        that scales the kept values.
    """
    threshold = min(max(round(probability * STEPS), 1), STEPS - 1)
    count = shape.numel()
    seed = int(torch.randint(2**63 - 1, ()))
    drawn = np.random.SFC64(seed).random_raw(-(-count // 4)).view(np.int16)[:count]
    mask = (drawn >= np.int16(threshold - STEPS // 2)).view(np.int8)
    return torch.from_numpy(mask).view(shape), STEPS / (STEPS - threshold)


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, probability: float) -> torch.Tensor:
        mask, ctx.scale = draw_mask(values.shape, probability)
        ctx.save_for_backward(mask)
        return mask.to(values.dtype).mul_(values).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (mask,) = ctx.saved_tensors
        return mask.to(gradients[0].dtype).mul_(gradients[0]).mul_(ctx.scale), None
