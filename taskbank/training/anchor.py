"""A term of the loss that holds what an earlier version answers right.

It is the distillation of S. Yan et al., "Positive-Congruent Training: Towards Regression-Free Model
Updates" (2021), section 3.2, by logits, for the answers that the earlier version has right: a new
version may correct the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from taskbank.bank.records import Parent
from taskbank.data.encoded import Encoded
from taskbank.digests import Json

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.training.loop import Loss

OUTPUTS, RIGHT = "anchor", "anchored"  # the names of the further targets of an input or a token


@dataclass(frozen=True)
class Anchor:
    """The outputs of an earlier version for the training data, to be held where it is right.

    Attributes:
        parent: the version.
        weight: the weight of the term, beside the loss of the kind.
        outputs: its outputs, float32 of shape [inputs, outputs], or [all tokens, outputs] if the
            head reads tokens; new labels have none.
        right: which of them give the right answer, float32 of shape [inputs] or [all tokens]:
            1 for right, 0 for wrong.
    """

    parent: Parent
    weight: float
    outputs: np.ndarray = field(repr=False, compare=False)
    right: np.ndarray = field(repr=False, compare=False)

    @property
    def digests(self) -> list[Json]:
        """Everything that determines the term, besides the training data."""
        return [self.parent.digest, self.weight]

    def added_to(self, encoded: Encoded, kind: Kind) -> Encoded:
        """Return the training data with the outputs to hold as further targets.

        Args:
            encoded: the training data.
            kind: the task's kind.
        """
        held = {OUTPUTS: self.outputs, RIGHT: self.right}
        if kind.per_token:
            return replace(encoded, token_targets={**encoded.token_targets, **held})
        return replace(encoded, input_targets={**encoded.input_targets, **held})

    def loss(self, kind: Kind) -> Loss:
        """Return the loss of a kind with the term.

        Args:
            kind: the task's kind.
        """

        def anchored(
            outputs: torch.Tensor,
            supervision: Mapping[str, torch.Tensor],
            weights: torch.Tensor | None,
        ) -> torch.Tensor:
            reference, right = supervision[OUTPUTS], supervision[RIGHT]
            known = outputs.float()[..., : reference.shape[-1]]
            moved = (known - reference).square().mean(dim=-1)
            held = (moved * right).sum() / right.sum().clamp(min=1)
            return kind.loss(outputs, supervision, weights) + self.weight * held

        return anchored
