"""Frozen records that are ready to be stored in a bank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskbank.checks import check_name
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.kinds.definition import Definition
from taskbank.specs import BackboneIdentity, ForeignTraining, MethodSpec, TrainingSpec

if TYPE_CHECKING:
    from taskbank.bank.records import FindingRecord, MetricRecord


OWN_SPLITS = ("train", "validation", "test", "folds")  # names that training gives


def check_split_name(name: str) -> str:
    """Return the name of a further split if it is valid.

    Raises:
        InputError: if the name is invalid or one that training gives, in any case, as it becomes
            part of a file name.
    """
    check_name(name, "split name")
    if name.lower() in OWN_SPLITS:
        raise InputError(
            f"the split name {name!r} belongs to training: choose another name, such as june-2026"
        )
    return name


@dataclass(frozen=True)
class NewSplit:
    """A split to be stored: its examples and the logits predicted for them.

    Attributes:
        name: `validation` or `test`.
        origin: where the examples came from, as text for people.
        rows: number of examples.
        examples: the examples as bytes.
        logits: the predictions as safetensors bytes.
        canary: positions of the examples that flip first.
    """

    name: str
    origin: str
    rows: int
    examples: bytes
    logits: bytes
    canary: tuple[int, ...] = ()


@dataclass(frozen=True)
class NewScoredSplit:
    """A further split of an adapter, scored after it was added.

    Attributes:
        split: the split, of any name but `train`, `validation` and `test`.
        metrics: every metric on the split.
    """

    split: NewSplit
    metrics: tuple[MetricRecord, ...]


@dataclass(frozen=True)
class NewAdapter:
    """An adapter with all its data, ready to be stored; see `AdapterRecord`.

    Attributes:
        row_digests: the digests of its training rows, as `RowDigests` stores them; None if they are
            not known.
        kept_rows: its training rows, as `Examples` stores them; None if they are not kept.
    """

    task: str
    kind: str
    backbone: BackboneIdentity
    method: MethodSpec
    training: TrainingSpec | ForeignTraining
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
    scored: tuple[NewScoredSplit, ...] = ()
    row_digests: bytes | None = None
    kept_rows: bytes | None = None

    @property
    def all_splits(self) -> tuple[NewSplit, ...]:
        """The adapter's own splits and its further ones."""
        return (*self.splits, *(scored.split for scored in self.scored))

    @property
    def all_metrics(self) -> tuple[MetricRecord, ...]:
        """Every metric on every split."""
        return (*self.metrics, *(one for scored in self.scored for one in scored.metrics))

    @property
    def score(self) -> float:
        """The value of the task's metric on its split."""
        for measured in self.metrics:
            if (measured.split, measured.name) == (self.split, self.metric):
                return measured.value
        raise InputError(f"the metrics of {self.task} lack {self.metric} on split {self.split!r}")


@dataclass(frozen=True)
class NewTrial:
    """One training of a task, ready to be recorded.

    Attributes:
        task: the task's name.
        kind: the task's kind.
        backbone: the backbone it was trained on.
        specification: digest of everything that determines the trained bytes.
        method: the adaptation method and its options.
        training: the hyperparameters.
        data: origin, rows and digest of each split.
        definition: the task's definition, including settings chosen on validation.
        status: `complete`; `collapsed`: it learned nothing; `pruned`: stopped early by the
            search; `diverged`: its loss became NaN or infinite.
        metric: the metric that ranks the trials.
        score: the metric's value on validation.
        metrics: every metric on every scored split.
        parameters: number of trained parameters.
        weights: the trained weights as safetensors bytes; None if they are not kept.
        environment: versions, device and threads.
        course: how the training went; see `AdapterRecord`.
        request: digest of the request that started the trial.
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
