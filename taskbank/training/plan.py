"""What is asked for, checked: all that can be wrong with a task before its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from taskbank import plugins
from taskbank.checks import check_name, check_text
from taskbank.digests import Json, digest_json
from taskbank.errors import InputError
from taskbank.kinds.kind import checked_metric
from taskbank.specs import MethodSpec, TrainingSpec
from taskbank.training.defaults import recommended
from taskbank.training.sampler import check_sampler
from taskbank.training.search import Search, Setting, check_values
from taskbank.training.task_data import Sources, TaskData, read_task_data

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.methods.method import Method


@dataclass(frozen=True)
class TaskPlan:
    """A task that is to be added.

    Attributes:
        name: of the task.
        kind: of the task.
        data: what it is learned and scored on.
        metric: what it is chosen and checked by.
        base: the setting that is trained, or that a search varies.
        search: what is tried.
        length_given: whether the length of inputs was asked for, and not a default.
        new_version: whether the task may be there already.
        stored: whether the bank keeps what is trained, and not only how it scored.
        keep_trials: whether it keeps the weights of every trial.
        description: free text.
        tags: keys and values to find it by.
    """

    name: str
    kind: Kind
    data: TaskData
    metric: str
    base: Setting
    search: Search
    length_given: bool
    new_version: bool
    stored: bool
    keep_trials: bool
    description: str
    tags: Mapping[str, str]

    @property
    def specification(self) -> str:
        """Digest of what was asked for; of equal ones the second need not be trained."""
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
    """Return whether the bank keeps what a method trains.

    Args:
        method: its name.
        keep_weights: whether weights are stored also where the method is only for measuring.

    Raises:
        InputError: if the method is unknown.
    """
    found: Method = plugins.load("methods", method)
    return found.stored or keep_weights


def plan_task(
    name: str,
    sources: Sources,
    *,
    kind: str = "single",
    metric: str | None = None,
    positive: str | None = None,
    method: str = "houlsby",
    options: Mapping[str, Json] | None = None,
    training: Mapping[str, Json] | None = None,
    search: Mapping[str, Sequence[Json]] | None = None,
    seeds: int = 1,
    trials: int | None = None,
    keep_trials: bool = False,
    keep_weights: bool = False,
    new_version: bool = False,
    description: str = "",
    tags: Mapping[str, str] | None = None,
) -> TaskPlan:
    """Check what is asked for, and read the data.

    Args:
        name: of the task.
        sources: where the data is.
        kind: `single`, `pair`, `regression`, `multilabel`, `span` or `tagging`.
        metric: what the task is chosen and checked by; none means the kind's usual one.
        positive: of two classes, the one that F1 is about; none means the last.
        method: how the task is adapted.
        options: options of the method that differ from its defaults.
        training: fields of `TrainingSpec` that differ from what is recommended.
        search: values to try, by training field or option of the method.
        seeds: how many seeds each setting is tried from.
        trials: how many settings a sampler picks; none means every one.
        keep_trials: store the weights of every trial.
        keep_weights: store weights also where the method is only for measuring.
        new_version: whether the task may be there already.
        description: free text.
        tags: keys and values to find it by.

    Raises:
        InputError: naming what is not usable.
    """
    check_name(name, "task name")
    check_text(description, "description")
    for key, value in (tags or {}).items():
        check_name(key, "tag")
        check_text(value, f"tag {key}")
    the_kind: Kind = plugins.load("kinds", kind)
    method_spec = MethodSpec(method, plugins.load("methods", method).complete(options or {}))
    given = _known(training or {})
    sought = Search({key: tuple(values) for key, values in (search or {}).items()}, seeds, trials)
    if trials is not None:
        check_sampler()
    TrainingSpec(**given)  # says now what is out of range, before any data is read
    data = read_task_data(
        the_kind,
        sources,
        {} if positive is None else {"positive": positive},
        int(given.get("seed", TrainingSpec.seed)),
    )
    usual = recommended(plugins.load("methods", method), len(data.train)) | dict(the_kind.training)
    base = Setting(method_spec, TrainingSpec(**(usual | given)))
    check_values(base, sought)
    weighted = base.training.class_weight or any(sought.values.get("class_weight", ()))
    if weighted and the_kind.balance(data.train.columns, data.definition) is None:
        raise InputError(
            f"class_weight is {weighted!r}: a task of kind {kind!r} has no classes that could "
            "count alike; leave it out"
        )
    return TaskPlan(
        name=name,
        kind=the_kind,
        data=data,
        metric=checked_metric(the_kind, metric, _metrics(the_kind, data)),
        base=base,
        search=sought,
        length_given="max_length" in given or "max_length" in sought.values,
        new_version=new_version,
        stored=is_stored(method, keep_weights=keep_weights),
        keep_trials=keep_trials,
        description=description,
        tags=dict(tags or {}),
    )


def _known(training: Mapping[str, Json]) -> dict[str, Json]:
    names = TrainingSpec.__dataclass_fields__
    unknown = sorted(set(training) - set(names))
    if unknown:
        raise InputError(f"training has no {unknown[0]!r}: it has {', '.join(names)}")
    return dict(training)


def _metrics(kind: Kind, data: TaskData) -> list[str]:
    columns = data.validation.columns
    return list(
        kind.scores(kind.constant_baseline(columns, data.definition), columns, data.definition)
    )
