"""The base of the kinds whose head reads one vector per text, or per pair of texts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from taskbank.checks import check_text
from taskbank.data.fields import Field, preview
from taskbank.digests import Json
from taskbank.errors import DataError
from taskbank.kinds.definition import Definition

if TYPE_CHECKING:
    from taskbank.data.encoded import Encoded
    from taskbank.kinds.kind import Columns

ONE_TEXT = (Field("text", "text", "--text"),)
TWO_TEXTS = (Field("text_a", "text", "--text"), Field("text_b", "text", "--text-pair"))


def input_names(inputs: Sequence[Sequence[Field]], columns: Mapping[str, Any]) -> list[str]:
    """Return the names of the input columns of some examples."""
    candidates = (fields for fields in inputs if all(field.name in columns for field in fields))
    return [field.name for field in next(candidates, inputs[0])]


def inputs_check(
    inputs: Sequence[Sequence[Field]], columns: Mapping[str, Any]
) -> Callable[[Json], bool]:
    """Return a check that a setting names the input columns of some examples."""
    names = input_names(inputs, columns)
    return lambda value: bool(value == names)


def is_nonblank_text(text: Json) -> bool:
    """Return whether a value is a nonblank text."""
    return isinstance(text, str) and bool(text.strip())


def parse_texts(
    kind: str, names: Sequence[str], rows: Sequence[tuple[Json, ...]]
) -> dict[str, tuple[Json, ...]]:
    """Return the columns of texts to predict.

    Args:
        kind: the kind's name, for errors.
        names: the names of an input's columns.
        rows: one tuple of texts per input.

    Raises:
        DataError: naming an input that is not text, is empty, or has the wrong number of texts.
    """
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names) or not all(is_nonblank_text(text) for text in row):
            size = "one text that is" if len(names) == 1 else f"{len(names)} texts that are"
            raise DataError(
                f"input {number} is {preview(row[0] if len(row) == 1 else row)}: a task of kind "
                f"{kind!r} takes {size} not empty"
            )
        for text in row:
            check_text(text, f"input {number},")
    return dict(zip(names, zip(*rows, strict=True), strict=True))


class TextKind(ABC):
    """Encodes, parses and predicts; a subclass adds labels, loss and metrics."""

    name: str
    inputs: tuple[tuple[Field, ...], ...]
    label: Field
    per_token = False
    training: Mapping[str, Json] = {}

    @abstractmethod
    def targets(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return the targets of the loss, one row per example."""

    def encode(
        self,
        tokenizer: Any,
        columns: Columns,
        definition: Definition,
        max_length: int,
        *,
        labelled: bool,
    ) -> Encoded:
        """Tokenise every example once; see `Objective.encode`."""
        from taskbank.data.tokenization import encode

        names = input_names(self.inputs, columns)
        targets = {"targets": self.targets(columns, definition)} if labelled else {}
        return encode(tokenizer, columns, names, max_length, targets)

    def examples_of(self, columns: Columns) -> np.ndarray:
        """Return the position of each example: each has one row of predictions."""
        return np.arange(len(columns[self.label.name]))

    def predictions(self, outputs: np.ndarray, encoded: Encoded) -> np.ndarray:
        """Return the outputs unchanged: one row per example."""
        return outputs

    def parse(self, rows: Sequence[tuple[Json, ...]], definition: Definition) -> Columns:
        """Return the columns of texts to predict; see `parse_texts`."""
        default = [field.name for field in self.inputs[0]]
        return parse_texts(self.name, definition.settings.get("inputs", default), rows)
