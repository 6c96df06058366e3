"""Validates a task and reads its data before training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from taskbank import plugins
from taskbank.digests import Json, digest_json
from taskbank.errors import InputError
from taskbank.kinds.kind import check_implements, resolve_metric
from taskbank.methods.linear import LINEAR
from taskbank.specs import MethodSpec, TaskSpec, TrainingSpec
from taskbank.training.anchor import Anchor
from taskbank.training.defaults import contrastive_hyperparameters, default_hyperparameters
from taskbank.training.sampler import check_sampler
from taskbank.training.search import Search, Setting, check_values
from taskbank.training.start import AUTO, Start
from taskbank.training.task_data import TaskData, read_task_data

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.methods.method import Method


@dataclass(frozen=True)
class TaskPlan:
    """A task that is ready to be trained.

    Attributes:
        spec: the requested specification.
        kind: the task's kind.
        data: the task's data.
        metric: the name of the metric that selects the best trial and is verified later.
        base: the setting that is trained, or that the search varies.
        search: the search, which may have no values.
        stored: whether the bank stores the trained weights in addition to their scores.
        starts: where further trials start, beside those that start untrained. With `AUTO`, they are
            found when the task is trained; see `taskbank.pipeline.auto_start`.
        continued: the version that every trial continues; None if trials start untrained.
        anchor: the version whose right answers are held; None if none is.
    """

    spec: TaskSpec
    kind: Kind
    data: TaskData
    metric: str
    base: Setting
    search: Search
    stored: bool
    starts: tuple[Start, ...] = ()
    continued: Start | None = None
    anchor: Anchor | None = None

    @property
    def name(self) -> str:
        """The task's name."""
        return self.spec.name

    @property
    def request(self) -> str:
        """Digest of the request: a task with an equal digest need not be trained again.

        A request for `AUTO` stays equal when the bank gets further versions.
        """
        folds = {"folds": self.data.folds} if self.data.folds else {}
        starts: dict[str, Json] = {}
        if self.spec.start == AUTO:
            starts = {"starts": AUTO}
        elif self.starts:
            starts = {"starts": [start.digests for start in self.starts]}
        continued = {"continued": self.continued.digests} if self.continued else {}
        anchor = {"anchor": self.anchor.digests} if self.anchor else {}
        return digest_json(
            folds
            | starts
            | continued
            | anchor
            | {
                "kind": self.kind.name,
                "data": {name: part["digest"] for name, part in self.data.describe().items()},
                "definition": asdict(self.data.definition),
                "metric": self.metric,
                "method": asdict(self.base.method),
                "training": self.base.training.to_json(),
                "search": self.search.to_json(),
                "stored": self.stored,
            }
        )


def is_stored(method: str, *, keep_weights: bool) -> bool:
    """Return whether the bank stores the weights that a method trains.

    Args:
        method: the method's name.
        keep_weights: whether the weights of baselines are stored as well.

    Raises:
        InputError: if the method is unknown.
    """
    loaded: Method = plugins.load("methods", method)
    return loaded.stored or keep_weights


def plan_task(
    spec: TaskSpec,
    starts: tuple[Start, ...] = (),
    data: TaskData | None = None,
    *,
    continued: Start | None = None,
    anchor: Anchor | None = None,
) -> TaskPlan:
    """Validate a task and read its data.

    Args:
        spec: the requested specification.
        starts: where further trials start; see `read_starts`.
        data: the task's data; None means that the specification names it.
        continued: the version that every trial continues; None means that they start untrained.
        anchor: the version whose right answers are held; None means none.

    Raises:
        InputError: if the specification or the data is invalid.
    """
    kind: Kind = plugins.load("kinds", spec.kind)
    method: Method = plugins.load("methods", spec.method)
    method_spec = MethodSpec(method.name, method.complete(spec.options))
    search = Search(
        {key: tuple(values) for key, values in spec.search.items()}, spec.seeds, spec.trials
    )
    if spec.trials is not None:
        check_sampler()
    data = data or read_task_data(kind, spec)
    defaults = default_hyperparameters(method, len(data.train)) | dict(kind.training)
    defaults |= contrastive_hyperparameters(spec, kind, method, data)
    training = TrainingSpec(**(defaults | dict(spec.training)))
    base = Setting(method_spec, training, continued.parents if continued else ())
    check_values(base, search)
    ensembles = (training.ensemble, *search.values.get("ensemble", ()))
    if method.name == LINEAR.name and max(ensembles) > 1:
        raise InputError(
            f"ensemble is {max(ensembles)} and the method is {method.name!r}: it trains a head "
            "alone on vectors that no seed changes, so the trainings would hardly differ; leave "
            "one of them out"
        )
    if max(ensembles) > 1:
        purpose = "an ensemble combines the outputs of its trainings"
        check_implements(kind, "combine", purpose, "--ensemble")
    weighted = base.training.class_weight or any(search.values.get("class_weight", ()))
    if weighted and kind.balance(data.train.columns, data.definition) is None:
        raise InputError(
            f"class_weight is {weighted!r}: a task of kind {kind.name!r} has no classes to weight; "
            "leave it out"
        )
    return TaskPlan(
        spec=spec,
        kind=kind,
        data=data,
        metric=resolve_metric(kind, spec.metric, _metric_names(kind, data)),
        base=base,
        search=search,
        stored=is_stored(spec.method, keep_weights=spec.keep_weights),
        starts=starts,
        continued=continued,
        anchor=anchor,
    )


def _metric_names(kind: Kind, data: TaskData) -> list[str]:
    columns, definition = data.validation.columns, data.definition
    baseline = kind.constant_baseline(columns, definition)
    return list(kind.scores(baseline, columns, kind.tune(baseline, columns, definition)))
