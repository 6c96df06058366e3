"""The labelled data of one task: read from its sources and checked against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbank.data.examples import Examples
from taskbank.data.sources import read_examples
from taskbank.data.splits import hold_out, sample
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.kinds.definition import Definition
from taskbank.specs import TaskSpec, TrainingSpec

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

HELD_OUT = 0.1  # share of train that becomes validation where none is given


@dataclass(frozen=True)
class TaskData:
    """The data of one task.

    Attributes:
        definition: what train has fixed, such as the classes.
        train: what is learned.
        validation: what everything is chosen on.
        test: scored once, at the end; or none.
    """

    definition: Definition
    train: Examples
    validation: Examples
    test: Examples | None

    @property
    def evaluated(self) -> dict[str, Examples]:
        """The splits that are scored and stored, by name; the last one gives the score."""
        splits = {"validation": self.validation}
        return splits if self.test is None else splits | {"test": self.test}

    @property
    def scored(self) -> str:
        """The name of the split that gives the score."""
        return list(self.evaluated)[-1]

    def described(self) -> dict[str, Json]:
        """Return origin, rows and digest of every split."""
        return {
            name: {"origin": split.origin, "rows": len(split), "digest": split.digest}
            for name, split in ({"train": self.train} | self.evaluated).items()
        }


def read_task_data(kind: Kind, spec: TaskSpec) -> TaskData:
    """Read and check the data of a task.

    Args:
        kind: the task's kind.
        spec: names the data and the seed of what is held out or sampled.

    Raises:
        InputError: if a source cannot be read, a row is not usable, or the splits do not fit
            each other.
    """
    seed = int(spec.training.get("seed", TrainingSpec.seed))
    requested = {} if spec.positive is None else {"positive": spec.positive}

    def read(source: str) -> Examples:
        return read_examples(
            source,
            kind.inputs,
            kind.label,
            text=spec.text,
            text_pair=spec.text_pair,
            label_column=spec.label,
        )

    train = read(spec.train)
    others = [source and read(source) for source in (spec.validation, spec.test)]
    validation, test = (examples or None for examples in others)
    definition = kind.define(train.columns, train.origin, requested)
    for examples in (validation, test):
        if examples is not None:
            if examples.columns.keys() != train.columns.keys():
                raise InputError(
                    f"{examples.origin} has the columns {', '.join(examples.columns)}, and "
                    f"{train.origin} {', '.join(train.columns)}: give the same in each"
                )
            kind.check(examples.columns, definition, examples.origin)
    if spec.rows is not None and spec.rows < len(train):
        origin = f"{train.origin} ({spec.rows:,} of {len(train):,} rows, seed {seed})"
        some = sample(train, kind.strata(train.columns), spec.rows, seed)
        train = Examples(some.columns, origin)
    if validation is None:
        train, validation = hold_out(train, kind.strata(train.columns), HELD_OUT, seed)
    return TaskData(definition, train, validation, test)
