"""Checks everything that can be wrong with a task before its training, and reads its data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from taskbank import plugins
from taskbank.digests import digest_json
from taskbank.errors import InputError
from taskbank.kinds.kind import resolve_metric
from taskbank.specs import MethodSpec, TaskSpec, TrainingSpec
from taskbank.training.defaults import recommended
from taskbank.training.sampler import check_sampler
from taskbank.training.search import Search, Setting, check_values
from taskbank.training.task_data import TaskData, read_task_data

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.methods.method import Method


@dataclass(frozen=True)
class TaskPlan:
    """A task that is ready to be trained.

    Attributes:
        spec: what was requested.
        kind: the task's kind.
        data: what it is trained and scored on.
        metric: the metric that it is chosen and checked by.
        base: the setting that is trained, or that a search varies.
        search: the settings that are tried.
        stored: whether the bank keeps the trained weights, and not only their scores.
    """

    spec: TaskSpec
    kind: Kind
    data: TaskData
    metric: str
    base: Setting
    search: Search
    stored: bool

    @property
    def name(self) -> str:
        """The task's name."""
        return self.spec.name

    @property
    def request(self) -> str:
        """Digest of what was requested: an equal request need not be trained again."""
        return digest_json(
            {
                "kind": self.kind.name,
                "data": {name: part["digest"] for name, part in self.data.described().items()},
                "definition": asdict(self.data.definition),
                "metric": self.metric,
                "method": asdict(self.base.method),
                "training": self.base.training.to_json(),
                "search": self.search.to_json(),
                "stored": self.stored,
            }
        )


def is_stored(method: str, *, keep_weights: bool) -> bool:
    """Return whether the bank keeps the weights that a method trains.

    Args:
        method: the method's name.
        keep_weights: whether the weights of baselines are stored as well.

    Raises:
        InputError: if the method is unknown.
    """
    found: Method = plugins.load("methods", method)
    return found.stored or keep_weights


def plan_task(spec: TaskSpec) -> TaskPlan:
    """Check a task and read its data.

    Args:
        spec: what is requested.

    Raises:
        InputError: naming what is not usable.
    """
    kind: Kind = plugins.load("kinds", spec.kind)
    method: Method = plugins.load("methods", spec.method)
    method_spec = MethodSpec(method.name, method.complete(spec.options))
    search = Search(
        {key: tuple(values) for key, values in spec.search.items()}, spec.seeds, spec.trials
    )
    if spec.trials is not None:
        check_sampler()
    data = read_task_data(kind, spec)
    defaults = recommended(method, len(data.train)) | dict(kind.training)
    base = Setting(method_spec, TrainingSpec(**(defaults | dict(spec.training))))
    check_values(base, search)
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
        metric=resolve_metric(kind, spec.metric, _metrics(kind, data)),
        base=base,
        search=search,
        stored=is_stored(spec.method, keep_weights=spec.keep_weights),
    )


def _metrics(kind: Kind, data: TaskData) -> list[str]:
    columns, definition = data.validation.columns, data.definition
    baseline = kind.constant_baseline(columns, definition)
    return list(kind.scores(baseline, columns, definition))
