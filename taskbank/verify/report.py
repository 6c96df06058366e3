"""What a verification says: frozen, and the same for people, JSON and the catalog."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from taskbank.specs import Json

Level = Literal["integrity", "full"]
Status = Literal["ok", "regressed", "damaged", "unverifiable"]


@dataclass(frozen=True)
class Finding:
    """One thing that a verification noticed.

    Attributes:
        task: the task it concerns; none if it concerns the bank.
        version: of the task.
        check: what noticed it: `schema`, `triggers`, `row`, `contents`, `weights`, `split`,
            `predictions`, `metrics`, `backbone` or `regression`.
        message: what was found, what was expected and what to do.
    """

    task: str | None
    version: int | None
    check: str
    message: str


@dataclass(frozen=True)
class Flip:
    """An example whose predicted label is not the recorded one.

    Attributes:
        split: the split's name.
        row: the example's number in it, from 1.
        text: its text, cut short.
        label: the right label.
        recorded: the label that was predicted when the task was added.
        observed: the label that is predicted now.
        within_noise: whether the two were so close that numerical noise can swap them.
    """

    split: str
    row: int
    text: str
    label: str
    recorded: str
    observed: str
    within_noise: bool


@dataclass(frozen=True)
class TaskResult:
    """What a verification says of one adapter.

    Attributes:
        task: the task's name.
        version: of the task.
        status: `ok`; `regressed`: it predicts worse or differently; `damaged`: what is stored
            is not what was recorded; `unverifiable`: it could not be checked.
        metric: the task's own metric; none if it cannot be read.
        recorded: its value when the task was added.
        observed: its value now; none if nothing was predicted.
        flips: examples whose predicted label changed, over all stored splits.
        examples: examples that were predicted again.
        shift: the largest change of any logit; none if nothing was predicted, or a logit is
            no number any more.
        flipped: the first of the examples that flipped.
    """

    task: str
    version: int
    status: Status
    metric: str | None
    recorded: float
    observed: float | None = None
    flips: int | None = None
    examples: int | None = None
    shift: float | None = None
    flipped: tuple[Flip, ...] = ()


@dataclass(frozen=True)
class Report:
    """A finished verification.

    Attributes:
        level: what was checked.
        findings: everything that was noticed; none means that all is well.
        tasks: one result an adapter.
        tolerance: the drop of a metric, or share of flips, that was let pass.
        environment: where it ran.
        started_at: ISO 8601 in UTC.
        finished_at: ISO 8601 in UTC.
        id: its number in the bank; none if it was not recorded.
        unrecorded: why it was not recorded; none if it was.
    """

    level: Level
    findings: tuple[Finding, ...]
    tasks: tuple[TaskResult, ...]
    tolerance: float
    environment: dict[str, Json]
    started_at: str
    finished_at: str
    id: int | None = None
    unrecorded: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def checked(self) -> int:
        """How many adapters were looked at."""
        return len(self.tasks)

    def to_json(self) -> dict[str, Json]:
        """Return what `taskbank verify-all --json` prints."""
        return {
            "ok": self.ok,
            "level": self.level,
            "checked": self.checked,
            "findings": [asdict(finding) for finding in self.findings],
            "tasks": [asdict(task) for task in self.tasks],
            "tolerance": self.tolerance,
            "environment": self.environment,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "id": self.id,
            "unrecorded": self.unrecorded,
        }
