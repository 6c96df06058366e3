"""The frozen records that go into a bank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.kinds.definition import Definition
from taskbank.specs import BackboneIdentity, MethodSpec, TrainingSpec

if TYPE_CHECKING:
    from taskbank.bank.records import FindingRecord, MetricRecord


@dataclass(frozen=True)
class NewSplit:
    """A split to be stored: its examples and the logits that were predicted for them.

    Attributes:
        canary: positions of the examples that flip first.
    """

    name: str
    origin: str
    rows: int
    examples: bytes
    logits: bytes
    canary: tuple[int, ...] = ()


@dataclass(frozen=True)
class NewAdapter:
    """Everything that makes an adapter, ready to be stored whole."""

    task: str
    kind: str
    backbone: BackboneIdentity
    method: MethodSpec
    training: TrainingSpec
    definition: Definition
    metric: str
    split: str
    metrics: tuple[MetricRecord, ...]
    splits: tuple[NewSplit, ...]
    parameters: int
    weights: bytes
    environment: Mapping[str, Json]
    course: Mapping[str, Json] = field(default_factory=dict)
    request: str | None = None
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The value of the task's metric on its split."""
        for measured in self.metrics:
            if (measured.split, measured.name) == (self.split, self.metric):
                return measured.value
        raise InputError(f"{self.task} has no {self.metric} on {self.split} among its metrics")


@dataclass(frozen=True)
class NewTrial:
    """One training of a task, ready to be recorded.

    Attributes:
        task: the task's name.
        kind: of the task.
        backbone: the one it was trained on.
        specification: digest of everything that decides its bytes.
        method: how the task was adapted.
        training: every hyperparameter.
        data: origin, rows and digest of each split.
        definition: of the task, with what was chosen on validation.
        status: `complete`; `collapsed`: it learned nothing; `pruned`: given up early;
            `diverged`: its loss was no number.
        metric: what it is judged by.
        score: its value on validation.
        metrics: every metric on the splits that it was scored on.
        parameters: number of trained parameters.
        weights: where they are kept.
        environment: versions, device and threads.
        course: how the training went; see `AdapterRecord`.
        request: digest of the request that the trial belongs to.
    """

    task: str
    kind: str
    backbone: BackboneIdentity
    specification: str
    method: MethodSpec
    training: TrainingSpec
    data: Mapping[str, Json]
    definition: Definition
    status: str
    metric: str
    score: float
    metrics: tuple[MetricRecord, ...]
    parameters: int
    weights: bytes | None
    environment: Mapping[str, Json]
    course: Mapping[str, Json]
    request: str


@dataclass(frozen=True)
class NewResult:
    """What a verification reports about one adapter; see `ResultRecord`."""

    task: str
    version: int
    status: str
    metric: str | None
    recorded: float | None
    observed: float | None
    flips: int | None
    examples: int | None
    shift: float | None
    circumstances: str | None
    evidence: Mapping[str, Json]


@dataclass(frozen=True)
class NewVerification:
    """A finished verification, ready to be recorded; see `VerificationRecord`."""

    level: str
    ok: bool
    checked: int
    tolerance: float
    environment: Mapping[str, Json]
    started_at: str
    finished_at: str
    run: int | None
    confirmed: int | None
    results: tuple[NewResult, ...]
    findings: tuple[FindingRecord, ...]
