"""Several models of one task, trained from different seeds, whose predictions are combined.

Lakshminarayanan et al. 2017, "Simple and Scalable Predictive Uncertainty Estimation using Deep
Ensembles": the mean of the members' probabilities is more accurate and better calibrated than one
of them, and depends less on the seed. A kind says what stands for that mean, so that whatever
reads outputs works as for one training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from taskbank.errors import DamagedError
from taskbank.model.stored_model import StoredModel
from taskbank.model.task_model import TaskModel
from taskbank.specs import member_prefixes

if TYPE_CHECKING:
    import numpy as np

    from taskbank.data.encoded import Encoded
    from taskbank.kinds.kind import Kind


class Ensemble(StoredModel):
    """The models of several trainings of one task. `joined` creates it.

    Args:
        members: at least two models that differ in the values of their tensors only.
        kind: the task's kind, which combines their outputs.
    """

    def __init__(self, members: Sequence[TaskModel], kind: Kind) -> None:
        first = members[0]
        super().__init__(first.backbone, first.adaptation, per_token=first.per_token)
        self.kind = kind
        self._members = tuple(members)
        self.each = torch.nn.ModuleList(members)  # which modes and devices reach them by

    @property
    def members(self) -> tuple[TaskModel, ...]:
        """The models of the trainings."""
        return self._members

    def combine(self, outputs: Sequence[np.ndarray], encoded: Encoded) -> np.ndarray:
        """Return the outputs that stand for the mean; see `StoredModel.combine`."""
        return self.kind.combine(outputs, encoded)

    def named_tensors(self) -> dict[str, torch.Tensor]:
        """Return those of every member; see `StoredModel.named_tensors`."""
        prefixes = member_prefixes(len(self._members))
        return {
            prefix + name: tensor
            for prefix, member in zip(prefixes, self._members, strict=True)
            for name, tensor in member.named_tensors().items()
        }


def joined(members: Sequence[TaskModel], kind: Kind) -> StoredModel:
    """Return the model of a version, given those of its trainings; the only one stays as it is.

    Args:
        members: models that differ in the values of their tensors only.
        kind: the task's kind.
    """
    return members[0] if len(members) == 1 else Ensemble(members, kind)


def split_tensors(
    tensors: Mapping[str, torch.Tensor], members: int
) -> list[Mapping[str, torch.Tensor]]:
    """Return the tensors of each member, by the names that it stores them by if it is alone.

    Args:
        tensors: the stored tensors of a version.
        members: number of its trainings.

    Raises:
        DamagedError: naming a tensor that belongs to none of them.
    """
    parts: list[Mapping[str, torch.Tensor]] = []
    for prefix in member_prefixes(members):
        own = {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        parts.append({name.removeprefix(prefix): tensor for name, tensor in own.items()})
        tensors = {name: tensor for name, tensor in tensors.items() if name not in own}
    if tensors:
        raise DamagedError(
            f"stored tensor {min(tensors)!r} belongs to none of the {members} members of the "
            "ensemble"
        )
    return parts
