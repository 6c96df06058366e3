"""Reads the labelled data of one task and checks that its splits fit each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbank.data.alike_labels import check_alike
from taskbank.data.equal_inputs import equal_inputs
from taskbank.data.examples import Examples
from taskbank.data.folds import assign_folds
from taskbank.data.label_names import label_names_for
from taskbank.data.repeats import contradictions, rows_in_train
from taskbank.data.roles import ROLES, check_sources_differ, source_for
from taskbank.data.sources import read_examples
from taskbank.data.splits import hold_out, sample
from taskbank.data.style import Style
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.kinds.abstention import check_rows
from taskbank.kinds.definition import Definition
from taskbank.specs import FOLDS, TaskSpec, TrainingSpec

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

HELD_OUT_SHARE = 0.1  # share of the training data held out if there is no validation data


@dataclass(frozen=True)
class TaskData:
    """The data of one task.

    Attributes:
        definition: the task's definition, from the training data, such as the classes.
        train: the training examples.
        validation: the examples on which the epoch and the best trial are chosen; with folds, the
            training examples.
        test: the examples that are scored once, at the end; None if there are none.
        repeats: `in_train`, the number of rows of each evaluated split whose input is also in
            train, and `contradictions`, the equal inputs with different labels.
        fold_of: the fold of each training example; None without a cross-validation.
    """

    definition: Definition
    train: Examples
    validation: Examples
    test: Examples | None
    repeats: Mapping[str, Json]
    fold_of: tuple[int, ...] | None = None

    @property
    def folds(self) -> int:
        """The number of folds; 0 without a cross-validation."""
        return 0 if self.fold_of is None else max(self.fold_of) + 1

    @property
    def evaluated_splits(self) -> dict[str, Examples]:
        """The splits that are scored and stored, by name.

        The last one gives the task's score. With folds, the only one is train, which serves later
        verifications, and the folds give the score.
        """
        if self.fold_of is not None:
            return {"train": self.train}
        splits = {"validation": self.validation}
        return splits if self.test is None else splits | {"test": self.test}

    @property
    def scored_split(self) -> str:
        """The name of the split that gives the task's score."""
        return FOLDS if self.fold_of is not None else list(self.evaluated_splits)[-1]

    def describe(self) -> dict[str, Json]:
        """Return the origin, number of rows and digest of every split."""
        return {
            name: {"origin": split.origin, "rows": len(split), "digest": split.digest}
            for name, split in ({"train": self.train} | self.evaluated_splits).items()
        }


def read_task_data(kind: Kind, spec: TaskSpec) -> TaskData:
    """Read and check the data of a task.

    Args:
        kind: the task's kind.
        spec: the task's specification, whose seed decides which rows are held out or sampled.

    Raises:
        InputError: if a source cannot be read, a row is invalid, or the splits do not fit each
            other.
    """
    seed = int(spec.training.get("seed", TrainingSpec.seed))
    chosen = {"positive": spec.positive, "abstain": spec.abstain}
    requested = {name: value for name, value in chosen.items() if value is not None}
    names = label_names_for(kind.name, kind.label, spec.label_names)
    sources = {role: source_for(getattr(spec, role), role) for role in ROLES}
    check_sources_differ(sources)
    style = Style(spec.format, spec.delimiter, spec.quote, spec.encoding, spec.columns)

    def read(role: str) -> Examples:
        return read_examples(
            sources[role],
            kind.inputs,
            kind.label,
            role=role,
            style=style,
            text=spec.text,
            text_pair=spec.text_pair,
            label_column=spec.label,
            label_names=names,
        )

    read_in = {role: read(role) for role in ROLES if sources[role] is not None}
    given = check_alike(read_in, kind.label, merge=spec.merge_labels)
    train, validation, test = (given.get(role) for role in ROLES)
    assert train is not None  # noqa: S101 - a specification has training data
    definition = kind.define(train.columns, train.origin, requested)
    for examples in (validation, test):
        if examples is not None:
            if examples.columns.keys() != train.columns.keys():
                raise InputError(
                    f"{examples.origin} has the columns {', '.join(examples.columns)}, but "
                    f"{train.origin} has {', '.join(train.columns)}: give each split the same "
                    "columns"
                )
            kind.check(examples.columns, definition, examples.origin)
    label = kind.label.name
    repeats: dict[str, Json] = {"contradictions": contradictions(given, label).to_json()}
    if spec.rows is not None and spec.rows < len(train):
        origin = f"{train.origin} ({spec.rows:,} of {len(train):,} rows, seed {seed})"
        sampled = sample(train, kind.strata(train.columns), spec.rows, seed)
        train = Examples(sampled.columns, origin)
    if spec.folds is not None:
        strata = kind.strata(train.columns)
        check_rows(definition, len(train), train.origin)
        fold_of = assign_folds(train, label, strata, spec.folds, seed)
        return TaskData(definition, train, train, None, repeats, tuple(fold_of.tolist()))
    if validation is None:
        strata, groups = kind.strata(train.columns), equal_inputs(train, label)
        train, validation = hold_out(train, strata, HELD_OUT_SHARE, seed, groups)
    check_rows(definition, len(validation), validation.origin)
    repeats["in_train"] = {
        split: rows_in_train(train, examples, label)
        for split, examples in (("validation", validation), ("test", test))
        if examples is not None
    }
    return TaskData(definition, train, validation, test, repeats)
