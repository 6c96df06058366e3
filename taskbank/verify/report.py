"""What a verification says: frozen, and the same for people, JSON and the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from taskbank.digests import Json

Level = Literal["integrity", "changed", "canary", "full"]
Status = Literal["ok", "changed", "regressed", "damaged", "unverifiable"]
Effect = Literal["worse", "better", "neither"]
Afterwards = Level | Literal["none"]  # how the bank is verified when something was added


@dataclass(frozen=True)
class Finding:
    """One thing that a verification noticed.

    Attributes:
        task: the task it concerns; none if it concerns the bank.
        version: of the task.
        check: what noticed it: `schema`, `triggers`, `row`, `contents`, `weights`, `split`,
            `predictions`, `gone`, `metrics`, `backbone`, `regression` or `strict`.
        message: what was found, what was expected and what to do.
    """

    task: str | None
    version: int | None
    check: str
    message: str

    @property
    def ref(self) -> str | None:
        """The adapter's full name; none if it concerns the bank."""
        return None if self.task is None else f"{self.task}@{self.version}"


@dataclass(frozen=True)
class Flip:
    """An example whose answer is not the recorded one.

    Attributes:
        split: the split's name.
        row: the example's number in it, from 1.
        text: its text, cut short.
        label: the right answer.
        recorded: the answer that was predicted when the task was added.
        observed: the answer that is predicted now.
        effect: `worse`: it was right, or nearer to it; `better`: it is now; `neither`.
        within_noise: whether the two were so close that numerical noise can swap them.
    """

    split: str
    row: int
    text: str
    label: str
    recorded: str
    observed: str
    effect: Effect
    within_noise: bool


@dataclass(frozen=True)
class TaskResult:
    """What a verification says of one adapter.

    Attributes:
        task: the task's name.
        version: of the task.
        status: `ok`: it predicts what it did, up to rounding; `changed`: it predicts otherwise,
            and nothing says that it is worse; `regressed`: it predicts worse; `damaged`: what
            is stored is not what was recorded; `unverifiable`: it could not be checked.
        metric: the task's own metric; none if it cannot be read.
        recorded: its value when the task was added.
        observed: its value now; none if nothing was predicted.
        flips: examples whose answer changed, over all stored splits.
        examples: examples that were predicted again.
        shift: the largest change of any output; none if nothing was predicted, or an output is
            no number any more.
        noise: how far rounding alone may move an output.
        within_noise: of the flips, those that rounding explains.
        negative_flips: of the others, those from right to wrong, or further from right.
        positive_flips: those from wrong to right, or nearer to it.
        p_value: how likely so large a drop of the metric is by chance, corrected for the number
            of adapters.
        metrics: by split and name, every metric as recorded and as it is now.
        circumstances: digest of everything that the result depends on.
        confirmed_by: the earlier verification whose result still applies.
        canaries: how many examples stand for all of them, as none of them moved.
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
        """Return what `taskbank verify-all --json` prints of an adapter."""
        plain = asdict(self)
        return {"vouched_by" if key == "confirmed_by" else key: plain[key] for key in plain}


@dataclass(frozen=True)
class Report:
    """A finished verification.

    Attributes:
        level: what was checked.
        findings: everything that was noticed; none means that all is well.
        tasks: one result an adapter.
        tolerance: the drop of a metric that was let pass where it may be chance.
        environment: where it ran.
        started_at: ISO 8601 in UTC.
        finished_at: ISO 8601 in UTC.
        id: its number in the bank; none if it was not recorded.
        unrecorded: why it was not recorded; none if it was.
        what_if: what was only asked about; then nothing is recorded.
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

    @property
    def confirmed(self) -> int:
        """How many adapters an earlier verification confirmed."""
        return sum(task.confirmed_by is not None for task in self.tasks)

    @property
    def undetectable(self) -> float | None:
        """The largest share of examples that a change can move undetected, one time in 20.

        A change that moves a random share d of the examples moves none of k canaries with the
        probability (1 - d)^k. Most changes move every output, and are seen by one canary.
        """
        counts = [task.canaries for task in self.tasks if task.canaries is not None]
        return 1 - 0.05 ** (1 / min(counts)) if counts else None

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
        }
