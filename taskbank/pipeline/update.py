"""Updates a task with newly labelled rows: compares, trains on the union, scores and stores.

The new version is trained on the rows of its parent and the new ones. Rows of the splits that the
parent is evaluated on stay held out, and a share of the new rows is held out as well, so that both
versions are compared on the old split, on the new rows and on both together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewScoredSplit
from taskbank.bank.records import AdapterRecord, Parent
from taskbank.checks import ANY_DROP, check_alias
from taskbank.counts import counted
from taskbank.data.alike_labels import check_alike, match_labels, new_labels
from taskbank.data.equal_inputs import equal_inputs
from taskbank.data.examples import Examples
from taskbank.data.fields import is_number
from taskbank.data.label_names import label_names_for
from taskbank.data.remarks import remark
from taskbank.data.repeats import contradictions, rows_in_train
from taskbank.data.row_difference import RowDifference, divide, join, row_difference
from taskbank.data.row_digests import digests_of, shown
from taskbank.data.sources import read_examples
from taskbank.data.splits import hold_out
from taskbank.data.style import Style
from taskbank.digests import Json
from taskbank.errors import ConflictError, DataError, InputError
from taskbank.kinds.abstention import abstention_of, check_rows, with_abstention
from taskbank.kinds.definition import Definition
from taskbank.kinds.kind import check_implements, input_fields
from taskbank.kinds.labels import listed_labels
from taskbank.model.load import load_recorded_backbone
from taskbank.pipeline.storage import new_split, store
from taskbank.pipeline.update_modes import Mode, UpdateTraining
from taskbank.promotion.diff import Diff, diff
from taskbank.promotion.paired import comparable_rows
from taskbank.specs import TRAINING_FIELDS, TaskSpec, TrainingSpec
from taskbank.training.evaluation import measure
from taskbank.training.plan import TaskPlan
from taskbank.training.task_data import HELD_OUT_SHARE, TaskData
from taskbank.training.train_task import Result
from taskbank.verify.report import LevelAfterAdding, Report, check_level_after_adding
from taskbank.verify.significance import exceeds_tolerance
from taskbank.verify.verify import verify_after_adding

if TYPE_CHECKING:
    from taskbank.backbone.backbone import Backbone
    from taskbank.kinds.kind import Kind

HELD_OUT = ("validation", "test")  # the splits that a new version takes over from its parent
OLD, NEW = "old", "new"  # the further splits of an updated version


@dataclass(frozen=True)
class Updated:
    """The result of updating a task.

    Attributes:
        parent: the version that was updated.
        new: the new data, as it was read.
        difference: how it differs from the rows that the parent was trained on.
        record: the new version; None if nothing was new, or if only the difference was wanted.
        comparisons: the comparison of both versions on the old split, on the new rows and on both,
            by name of the split; without a split in which the parent has no label.
        worse: the names of the splits that keep the new version from being promoted.
        verification: the report on the whole bank; None if there was none.
    """

    parent: AdapterRecord
    new: Examples
    difference: RowDifference
    record: AdapterRecord | None = None
    comparisons: Mapping[str, Diff] | None = None
    worse: tuple[str, ...] = ()
    verification: Report | None = None

    def to_json(self) -> dict[str, Json]:
        """Return what `taskbank update --json` prints."""
        return {
            "parent": self.parent.ref,
            "data": {"origin": self.new.origin, "rows": len(self.new), "digest": self.new.digest},
            "difference": vars(self.difference),
            "record": None if self.record is None else self.record.to_json(),
            "comparisons": {name: one.to_json() for name, one in (self.comparisons or {}).items()},
            "worse": list(self.worse),
            "verification": None if self.verification is None else self.verification.to_json(),
        }


@dataclass(frozen=True)
class NewData:
    """Newly labelled data, and how to read it and the old data; see `TaskSpec`."""

    train: Any
    text: str | None = None
    text_pair: str | None = None
    label: str | None = None
    style: Style | None = None
    label_names: Any = None
    merge_labels: bool = False


def compare_data(
    bank: Bank, ref: str, data: NewData, *, mode: Mode = "retrain", anchor: float | None = None
) -> Updated:
    """Compare newly labelled data with what a version was trained on, without training.

    Args:
        bank: an open bank.
        ref: `NAME`, `NAME@VERSION` or `NAME@ALIAS`.
        data: the new data.
        mode: the mode of the update that is to follow; see `update`.
        anchor: the weight of its anchor; see `update`.

    Raises:
        NotFoundError: if there is no such version, or no digests of its rows are recorded.
        ConflictError: if the version is retired.
        InputError: if the data cannot be read, the version was scored by a cross-validation, or
            `mode` or `anchor` is invalid or does not suit the version.
        DamagedError: if stored rows or bytes differ from what was recorded.
    """
    if mode not in get_args(Mode):
        raise InputError(f"mode is {mode!r}: use {', '.join(get_args(Mode))}")
    if anchor is not None and not (is_number(anchor) and anchor > 0):
        raise InputError(f"anchor is {anchor!r}: it must be a number above 0, or left out")
    parent = bank[ref]
    kind: Kind = plugins.load("kinds", parent.kind)
    _check_parent(parent, kind, mode, anchor)
    label = kind.label.name
    digests = bank.row_digests(parent)
    held = [split.name for split in parent.splits if split.name in HELD_OUT]
    if "validation" not in held:
        raise InputError(
            f"{parent.ref} has no validation split to compare a new version on: add a version from "
            "all rows with taskbank add-task --new-version and without --folds"
        )
    new = _read(parent, kind, data.train, data)
    _name_new_labels(parent, kind, new)
    held_out = {
        row.inputs for split in held for row in digests_of(bank.examples(parent, split), label)
    }
    return Updated(parent, new, row_difference(digests, held_out, new, label))


def update(
    bank: Bank,
    ref: str,
    data: NewData,
    *,
    mode: Mode = "retrain",
    anchor: float | None = None,
    old: Any = None,
    keep_rows: bool = False,
    alias: str | None = None,
    backbone: str | None = None,
    device: str | None = None,
    verify: LevelAfterAdding = "changed",
    resume: bool = False,
    progress: bool = False,
) -> Updated:
    """Train a new version of a task on the rows of an earlier one and on new ones, and record it.

    Its hyperparameters are those of the earlier version. Its labels are those of the earlier one,
    in their order, and then the new ones.

    Args:
        bank: an open bank.
        ref: the version to update.
        data: the new data.
        mode: whether to train anew, to continue the earlier version in less time, or, `auto`, to
            continue it and train anew only if that is not as good.
        anchor: weight of a term of the loss that holds what the earlier version answers right;
            None for no such term.
        old: the data that the version was trained on, if its rows were not kept; rows that it was
            not trained on are left out.
        keep_rows: whether to store the training rows; those of a version that kept them are kept.
        alias: the alias to move to the new version unless it is worse.
        backbone: source to load the backbone from; None means the recorded source.
        device: `cpu` or `cuda`; None means a GPU if there is one.
        verify: level at which the whole bank is verified afterwards, or `none`.
        resume: whether to continue from the checkpoints of an interrupted run.
        progress: whether to show progress bars if stderr is a terminal.

    Raises:
        NotFoundError: if there is no such version, or no digests of its rows are recorded.
        InputError: if the data cannot be read or does not fit the task, if old rows are missing, if
            a label has no row any more, or if `mode`, `anchor`, `alias` or `verify` is invalid.
        ConflictError: if the version is retired, also during the training, or another one was added
            meanwhile.
        TrainingError: if training produced no usable adapter.
        DamagedError: if stored rows or bytes differ from what was recorded.
    """
    check_level_after_adding(verify)
    if alias is not None:
        check_alias(alias)
    compared = compare_data(bank, ref, data, mode=mode, anchor=anchor)
    parent, difference = compared.parent, compared.difference
    if difference.is_empty:
        return compared
    kind: Kind = plugins.load("kinds", parent.kind)
    bank.check_can_add(parent.task, parent.kind, new_version=True)
    after = max(one.version for one in bank.adapters(task=parent.task, retired=True))
    rows = _old_rows(bank, parent, kind, old, data)
    task_data = _task_data(bank, parent, kind, rows, compared)
    spec = _spec(parent, task_data, keep_rows)
    loaded = load_recorded_backbone(bank, bank.backbone(parent.backbone), backbone, device)
    training = UpdateTraining(bank, parent, spec, task_data, loaded, anchor, resume, progress)
    trained = training.train(mode)
    plan, result = trained.plan, trained.result
    course: dict[str, Json] = {
        "parents": [Parent(parent.ref, parent.digest).to_json()],
        "update": {"requested": mode, **trained.course, **count(difference)},
    }
    scored = tuple(_parts(parent, plan, result))
    record = store(
        bank,
        plan,
        loaded,
        result,
        new_version=True,
        scored=scored,
        course=course,
        after=after,
        updates=parent.version,
    )
    result.remove_checkpoints()
    assert record is not None  # noqa: S101 - the specification keeps the weights
    return _judge(bank, compared, record, alias, loaded, verify, progress=progress)


def _check_parent(parent: AdapterRecord, kind: Kind, mode: Mode, anchor: float | None) -> None:
    """Raise if a version cannot be updated, or not in this way.

    Raises:
        ConflictError: if the version is retired.
        InputError: if the mode or the anchor does not suit the version.
    """
    if parent.retired:
        raise ConflictError(f"{parent.ref} is retired: update a version in use")
    if mode == "continue" and parent.ensemble > 1:
        raise InputError(
            f"mode is {mode!r}, and {parent.ref} is an ensemble of {parent.ensemble} trainings, "
            "which is trained anew: give --mode retrain or auto"
        )
    if anchor is None:
        return
    if parent.training.get("contrastive") is not None:
        raise InputError(
            f"anchor is {anchor:g}, and {parent.ref} is trained contrastively, by comparing rows "
            "instead of outputs: leave --anchor out"
        )
    check_implements(kind, "right", "an anchor tells which answers it holds", "--anchor")


def count(difference: RowDifference) -> dict[str, Json]:
    """Return the number of rows of each sort, by sort."""
    return {
        name: rows if isinstance(rows, int) else len(rows)
        for name, rows in vars(difference).items()
    }


def _name_new_labels(parent: AdapterRecord, kind: Kind, new: Examples) -> None:
    """Say which labels the head will be extended by: another spelling extends it, too."""
    found = new_labels(new, kind.label, parent.labels)
    if found:
        count = counted(len(found), "label")
        remark(f"{new.origin} has {count} that {parent.ref} does not have: {listed_labels(found)}")


def _judge(
    bank: Bank,
    compared: Updated,
    record: AdapterRecord,
    alias: str | None,
    backbone: Backbone,
    verify: LevelAfterAdding,
    *,
    progress: bool,
) -> Updated:
    """Compare a stored version with its parent, and move the alias unless it is worse."""
    parent = compared.parent
    kind: Kind = plugins.load("kinds", record.kind)
    comparisons = {
        split: diff(bank, parent.ref, record.ref, split=split, backbone=backbone)
        for split in (OLD, NEW, record.split)
        if comparable_rows(kind, parent, bank.examples(record, split))
    }
    tolerance = bank.tolerances().get(record.task)
    worse = []
    if OLD in comparisons and comparisons[OLD].worse(ANY_DROP if tolerance is None else tolerance):
        worse.append(OLD)
    if NEW in comparisons and exceeds_tolerance(comparisons[NEW].drop, tolerance or 0.0):
        worse.append(NEW)
    if alias is not None and not worse:
        bank.alias(record.ref, alias)
    report = verify_after_adding(bank, verify, backbone=backbone, progress=progress)
    return Updated(
        parent, compared.new, compared.difference, record, comparisons, tuple(worse), report
    )


def _read(parent: AdapterRecord, kind: Kind, source: Any, data: NewData) -> Examples:
    """Return labelled data with the columns and the labels of a version."""
    examples = read_examples(
        source,
        [input_fields(kind, parent.definition)],
        kind.label,
        text=data.text,
        text_pair=data.text_pair,
        label_column=data.label,
        style=data.style,
        label_names=label_names_for(kind.name, kind.label, data.label_names),
    )
    return match_labels(examples, kind.label, parent.labels, merge=data.merge_labels)


def _old_rows(
    bank: Bank, parent: AdapterRecord, kind: Kind, source: Any, data: NewData
) -> Examples:
    """Return the rows that a version was trained on, from the bank or from their source."""
    if source is None and parent.kept_rows is not None:
        return bank.kept_rows(parent)
    if source is None:
        raise InputError(
            f"the bank does not have the rows that {parent.ref} was trained on, and the new "
            "version is trained on them too: give the data it was trained on with --old DATA, and "
            "add --keep-rows so that the next update needs no old data"
        )
    label = kind.label.name
    wanted = {row.row for row in bank.row_digests(parent).rows}
    examples = _read(parent, kind, source, data)
    digests = [digest.row for digest in digests_of(examples, label)]
    missing = wanted - set(digests)
    if missing:
        raise InputError(
            f"{examples.origin} lacks {len(missing):,} of the {len(wanted):,} rows that "
            f"{parent.ref} was trained on, such as the one with the digest {shown(min(missing))}: "
            "give the very data it was trained on with --old"
        )
    rows = [row for row, digest in enumerate(digests) if digest in wanted]
    return examples.select(rows, examples.origin)


def _task_data(
    bank: Bank, parent: AdapterRecord, kind: Kind, old: Examples, compared: Updated
) -> TaskData:
    """Return the data of an update; the new rows of an evaluated split follow the old ones."""
    label = kind.label.name
    stay, come = divide(old, compared.new, compared.difference, label)
    names = [split.name for split in parent.splits if split.name in HELD_OUT]
    splits = {}
    for name in names:
        come, held = _hold_out(come, kind, parent)
        splits[name] = join([bank.examples(parent, name), held])
    train = join([stay, come])
    parts = {"train": train, **{name: splits[name] for name in names}}
    check_alike(parts, kind.label, merge=False)
    try:
        definition = _definition(parent, kind, train)
        for examples in splits.values():
            kind.check(examples.columns, definition, examples.origin)
    except DataError:
        # Names an invalid row by its place in the new data, which is another one in the union.
        whole = join([compared.new, old])
        kind.define(whole.columns, compared.new.origin, {})
        raise
    check_rows(definition, len(splits["validation"]), splits["validation"].origin)
    repeats: dict[str, Json] = {
        "contradictions": contradictions(parts, label).to_json(),
        "in_train": {name: rows_in_train(train, parts[name], label) for name in names},
    }
    return TaskData(definition, train, splits["validation"], splits.get("test"), repeats)


def _hold_out(rows: Examples, kind: Kind, parent: AdapterRecord) -> tuple[Examples, Examples]:
    seed = int(parent.training.get("seed", TrainingSpec.seed))
    groups = equal_inputs(rows, kind.label.name)
    try:
        return hold_out(rows, kind.strata(rows.columns), HELD_OUT_SHARE, seed, groups)
    except DataError:
        different = len(np.unique(groups))
        inputs = "" if different == len(rows) else f" with {counted(different, 'different input')}"
        raise DataError(
            f"{rows.origin} has {counted(len(rows), 'new row')}{inputs}, too few to hold some out "
            "to score the new version on: update the task when there are more"
        ) from None


def _definition(parent: AdapterRecord, kind: Kind, train: Examples) -> Definition:
    """Return the definition of the union: the labels of a version in their order, then new ones.

    What was chosen for the version stays chosen: the class whose F1 is computed, and the rule by
    which answers are withheld.
    """
    found = kind.define(train.columns, train.origin, {})
    gone = [label for label in parent.labels if label not in found.labels]
    if gone:
        raise InputError(
            f"no row has the label {gone[0]!r} of {parent.ref} any more, and an update only adds "
            "labels: add a version from all rows with taskbank add-task --new-version"
        )
    labels = (*parent.labels, *(one for one in found.labels if one not in parent.labels))
    settings = dict(found.settings)
    if "positive" in settings and "positive" in parent.settings:
        settings["positive"] = parent.settings["positive"]
    abstention = abstention_of(parent.definition)
    definition = Definition(labels, settings)
    if abstention is None:
        return definition
    return with_abstention(definition, replace(abstention, threshold=None))


def _spec(parent: AdapterRecord, data: TaskData, keep_rows: bool) -> TaskSpec:
    return TaskSpec(
        name=parent.task,
        train=data.train.origin,
        kind=parent.kind,
        metric=parent.metric,
        method=parent.method,
        options=parent.options,
        training={key: parent.training[key] for key in TRAINING_FIELDS if key in parent.training},
        keep_weights=True,
        keep_rows=keep_rows or parent.kept_rows is not None,
        description=parent.description,
        tags=parent.tags,
    )


def _parts(parent: AdapterRecord, plan: TaskPlan, result: Result) -> list[NewScoredSplit]:
    """Return the old and the new rows of the scored split, each as a split of its own."""
    kind, definition = plan.kind, result.definition
    scored = plan.data.scored_split
    examples, predictions = plan.data.evaluated_splits[scored], result.predictions[scored]
    of = kind.examples_of(examples.columns)
    first_new = next(split.rows for split in parent.splits if split.name == scored)
    places = {OLD: range(first_new), NEW: range(first_new, len(examples))}
    made = []
    for name, rows in places.items():
        part = examples.select(rows, f"the {name} rows of {scored}")
        own = np.ascontiguousarray(predictions[np.isin(of, list(rows))])
        split = new_split(name, kind, part, own, definition)
        metrics = tuple(measure(kind, name, own, part.columns, definition))
        made.append(NewScoredSplit(split, metrics))
    return made
