"""Shared ground of the kinds whose head reads one vector per text, or per pair of texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from taskbank.checks import check_text
from taskbank.data.fields import Field, shown
from taskbank.digests import Json
from taskbank.errors import DataError
from taskbank.kinds.definition import Definition

if TYPE_CHECKING:
    from taskbank.data.encoded import Encoded
    from taskbank.kinds.kind import Columns

ONE_TEXT = (Field("text", "text", "--text"),)
TWO_TEXTS = (Field("text_a", "text", "--text"), Field("text_b", "text", "--text-pair"))


def input_names(inputs: Sequence[Sequence[Field]], columns: Mapping[str, Any]) -> list[str]:
    """Return the names of the columns that make the input of some examples."""
    found = (fields for fields in inputs if all(field.name in columns for field in fields))
    return [field.name for field in next(found, inputs[0])]


def are_inputs(
    inputs: Sequence[Sequence[Field]], columns: Mapping[str, Any]
) -> Callable[[Json], bool]:
    """Return what says whether a setting names the columns that make the input of examples."""
    names = input_names(inputs, columns)
    return lambda value: bool(value == names)


def is_written(text: Json) -> bool:
    """Return whether a value is a text that is not blank."""
    return isinstance(text, str) and bool(text.strip())


class TextKind:
    """Encoding, predictions and parsing; a kind adds labels, loss and metrics."""

    name: str
    inputs: tuple[tuple[Field, ...], ...]
    label: Field
    per_token = False
    training: Mapping[str, Json] = {}

    def targets(self, columns: Columns, definition: Definition) -> np.ndarray:
        """Return what the loss compares with, an array with a row an example."""
        raise NotImplementedError

    def encode(
        self,
        tokenizer: Any,
        columns: Columns,
        definition: Definition,
        max_length: int,
        *,
        labelled: bool,
    ) -> Encoded:
        """Tokenise every example once; see `Kind.encode`."""
        from taskbank.data.tokenization import encode

        names = input_names(self.inputs, columns)
        rows = {"targets": self.targets(columns, definition)} if labelled else {}
        return encode(tokenizer, columns, names, max_length, rows)

    def examples_of(self, columns: Columns) -> np.ndarray:
        """Return the position of each example: it has one row of predictions."""
        return np.arange(len(columns[self.label.name]))

    def predictions(self, outputs: np.ndarray, encoded: Encoded) -> np.ndarray:
        """Return the outputs as they are: a row an example."""
        return outputs

    def tune(self, predictions: np.ndarray, columns: Columns, definition: Definition) -> Definition:
        """Return the definition as it is: there is nothing to choose on validation."""
        return definition

    def parse(self, rows: Sequence[tuple[Json, ...]], definition: Definition) -> Columns:
        """Return the columns of texts that are to be predicted.

        Raises:
            DataError: naming an input that is no text, empty, or of the wrong number of texts.
        """
        names = [field.name for field in self.inputs[0]]
        wanted = definition.settings.get("inputs", names)
        for number, row in enumerate(rows, start=1):
            if len(row) != len(wanted) or not all(is_written(text) for text in row):
                size = "one text that is" if len(wanted) == 1 else f"{len(wanted)} texts that are"
                raise DataError(
                    f"input {number} is {shown(row[0] if len(row) == 1 else row)}: a task of kind "
                    f"{self.name!r} takes {size} not empty"
                )
            for text in row:
                check_text(text, f"input {number},")
        return dict(zip(wanted, zip(*rows, strict=True), strict=True))
