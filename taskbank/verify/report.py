"""The frozen report of a verification, used for output, for JSON and for the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

from taskbank.bank.records import Head
from taskbank.digests import Json
from taskbank.errors import InputError, ResourceError

Level = Literal["integrity", "changed", "canary", "full"]
Status = Literal["ok", "changed", "regressed", "unstable", "damaged", "unverifiable", "unchecked"]
Effect = Literal["worse", "better", "neither"]
LevelAfterAdding = Level | Literal["none"]  # the verification level after a task is added


def check_level_after_adding(level: str) -> None:
    """Raise unless a bank can be verified at a level after a task was added.

    Raises:
        InputError: if the level is unknown.
    """
    levels = (*get_args(Level), "none")
    if level not in levels:
        raise InputError(f"verify is {level!r}: use {', '.join(levels)}")


@dataclass(frozen=True)
class Finding:
    """One finding of a verification.

    Attributes:
        task: the affected task; None if the finding concerns the bank.
        version: the affected version; None if the finding concerns the bank.
        check: the check that failed: `empty`, `schema`, `triggers`, `chain`, `row`, `contents`,
            `parents`, `weights`, `split`, `predictions`, `gone`, `metrics`, `backbone`,
            `unstable`, `regression` or `strict`.
        message: the observed value, the expected value and the next step.
    """

    task: str | None
    version: int | None
    check: str
    message: str

    @property
    def ref(self) -> str | None:
        """The affected adapter's full name; None if the finding concerns the bank."""
        return None if self.task is None else f"{self.task}@{self.version}"


@dataclass(frozen=True)
class Flip:
    """An example whose answer changed.

    Attributes:
        split: the split's name.
        row: the example's number in the split, counted from 1.
        text: the example's text, truncated.
        label: the correct answer.
        recorded: the answer of the reference predictions.
        observed: the answer of the new predictions.
        effect: `worse` if the answer became less correct, `better` if it became more correct,
            else `neither`.
        within_noise: whether numerical noise explains the change.
    """

    split: str
    row: int
    text: str
    label: str
    recorded: str
    observed: str
    effect: Effect
    within_noise: bool


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A verification's result for one adapter.

    Attributes:
        task: the task's name.
        version: the adapter's version.
        status: `ok`: its predictions are unchanged up to rounding; `changed`: its predictions
            changed but did not get significantly worse; `regressed`: they got worse; `unstable`:
            they depend on the batch by more than rounding explains; `damaged`: its stored data
            differs from what was recorded; `unverifiable`: it could not be checked; `unchecked`:
            the verification was interrupted before.
        metric: the task's own metric; None if it cannot be read.
        recorded: the metric's value for the reference predictions; None if it cannot be read.
        observed: the metric's value for the new predictions; None if nothing was predicted.
        flips: number of examples whose answer changed, over all stored splits.
        examples: number of examples that were predicted again.
        shift: the largest change of any output; None if nothing was predicted, or if an output
            became NaN or infinite.
        noise: how far rounding alone may move an output.
        within_noise: number of flips that rounding explains.
        negative_flips: number of flips beyond noise whose answer became less correct.
        positive_flips: number of flips beyond noise whose answer became more correct.
        p_value: the probability of so large a drop of the metric by chance, corrected for the
            number of adapters.
        metrics: by split and name, every metric's recorded and observed value.
        circumstances: digest of everything that the result depends on.
        confirmed_by: number of the earlier verification whose result still applies.
        canaries: number of examples predicted in place of the whole split, none of which moved.
        flipped: the first examples that flipped.
    """

    task: str
    version: int
    status: Status
    metric: str | None
    recorded: float | None
    observed: float | None = None
    flips: int | None = None
    examples: int | None = None
    shift: float | None = None
    noise: float | None = None
    within_noise: int | None = None
    negative_flips: int | None = None
    positive_flips: int | None = None
    p_value: float | None = None
    metrics: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    circumstances: str | None = None
    confirmed_by: int | None = None
    canaries: int | None = None
    flipped: tuple[Flip, ...] = ()

    @property
    def ref(self) -> str:
        """The adapter's full name: `sst2@3`."""
        return f"{self.task}@{self.version}"

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form that `taskbank verify-all --json` prints for an adapter."""
        plain = asdict(self)
        return {"vouched_by" if key == "confirmed_by" else key: plain[key] for key in plain}


@dataclass(frozen=True)
class Report:
    """A finished verification.

    Attributes:
        level: the verification's level.
        findings: all findings; empty if there are no problems.
        tasks: one result per adapter.
        tolerance: the largest metric drop that was tolerated when not statistically significant.
        environment: versions, device and threads.
        started_at: when it started, ISO 8601 in UTC.
        finished_at: when it ended, ISO 8601 in UTC.
        id: the verification's number in the bank; None if it was not recorded.
        unrecorded: the error that prevented recording; None if there was none.
        what_if: the what-if overrides; with any of them, nothing is recorded.
        head: the newest head of the bank's chain, the record of this verification included; None
            if only some tasks were verified and nothing was recorded.
        expected: number of the chain's entry with the expected head, if there is one.
        interrupted: the failure of a server, a store, memory or a disk that ended the verification
            before it had checked everything; None if it checked everything.
        unread: number of adapters whose bytes were not read, as the object store lists their files
            as it did when they were last read and found intact.
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
    what_if: Mapping[str, str] = field(default_factory=dict)
    head: Head | None = None
    expected: int | None = None
    interrupted: str | None = None
    unread: int = 0

    @property
    def confirmed(self) -> int:
        """Number of adapters that earlier verifications confirmed."""
        return sum(task.confirmed_by is not None for task in self.tasks)

    @property
    def undetectable(self) -> float | None:
        """The largest share of examples that a change can move undetected with probability 0.05.

        A change that moves a random share d of the examples moves none of k canaries with
        probability (1 - d)^k. Most changes move every output, and a single canary detects them.
        None if no canaries were used.
        """
        counts = [task.canaries for task in self.tasks if task.canaries is not None]
        return 1 - 0.05 ** (1 / min(counts)) if counts else None

    @property
    def ok(self) -> bool:
        """Whether everything was checked and there are no findings."""
        return not self.findings and self.interrupted is None

    @property
    def exit_code(self) -> int:
        """The exit code: 1 if there are findings, else 5 if the verification was interrupted."""
        if self.findings:
            return 1
        return 0 if self.ok else ResourceError.exit_code

    @property
    def checked(self) -> int:
        """Number of checked adapters."""
        return sum(task.status != "unchecked" for task in self.tasks)

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form that `taskbank verify-all --json` prints."""
        return {
            "ok": self.ok,
            "level": self.level,
            "checked": self.checked,
            "findings": [asdict(finding) for finding in self.findings],
            "tasks": [task.to_json() for task in self.tasks],
            "tolerance": self.tolerance,
            "environment": self.environment,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "id": self.id,
            "unrecorded": self.unrecorded,
            "vouched": self.confirmed,
            "missable": self.undetectable,
            "what_if": dict(self.what_if),
            "head": self.head.digest if self.head else None,
            "entries": self.head.entries if self.head else None,
            "expected_entry": self.expected,
            "interrupted": self.interrupted,
            "unread": self.unread,
        }
