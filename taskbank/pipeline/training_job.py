"""What the jobs that train a task have in common."""

from __future__ import annotations

from dataclasses import dataclass

from taskbank.specs import BackboneIdentity
from taskbank.training.plan import TaskPlan


@dataclass(frozen=True)
class TrainingJob:
    """A job that trains a task, or a part of its search.

    Attributes:
        plan: the planned task, with its data.
        backbone: the backbone to train on.
        device: the device to train on.
    """

    plan: TaskPlan
    backbone: BackboneIdentity
    device: str

    @property
    def name(self) -> str:
        """The task's name."""
        return self.plan.name

    @property
    def size(self) -> int:
        """One step of the progress bar."""
        return 1
