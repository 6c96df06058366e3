"""The inputs of a prediction: one tuple of texts per input, from whatever a caller gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from taskbank.data.fields import Field, preview
from taskbank.digests import Json
from taskbank.errors import DataError


def input_rows(inputs: Any, fields: Sequence[Field]) -> list[tuple[Json, ...]]:
    """Return one tuple per input.

    Args:
        inputs: one text, or several inputs in a list, an array or any other collection, or a table
            in memory. An input is a text, a list of words, or two texts in a tuple or a list.
        fields: the fields of an input.

    Raises:
        DataError: if there are no inputs, or they have no such form.
    """
    if is_table(inputs):
        from taskbank.data.sources import read_inputs

        return read_inputs(inputs, fields)
    values = input_list(inputs)
    if len(fields) > 1:
        if all(isinstance(value, str) for value in values):
            raise DataError(
                f"input 1 is the text {preview(values[0])}: the task takes {len(fields)} texts "
                f"per input, so write [({', '.join(field.name for field in fields)}), …]"
            )
        values = [tuple(value) if isinstance(value, list) else value for value in values]
    return [value if isinstance(value, tuple) else (value,) for value in values]


def is_table(inputs: Any) -> bool:
    """Return whether inputs are a table in memory, whose columns have names."""
    if isinstance(inputs, str):
        return False
    if isinstance(inputs, list | tuple) and not (inputs and isinstance(inputs[0], Mapping)):
        return False
    # It takes long to import, and a client of a server seldom needs it.
    from taskbank.data.memory import is_in_memory

    return is_in_memory(inputs)


def input_list(inputs: Any) -> list[Any]:
    """Return several inputs as a list, whatever collection they are in.

    Args:
        inputs: one text, or several inputs in a list, an array or any other collection.

    Raises:
        DataError: if there are none, or they are no collection.
    """
    values = _values(inputs)
    if not values:
        raise DataError("there is nothing to predict: give at least one text")
    return values


def _values(inputs: Any) -> list[Any]:
    if isinstance(inputs, str):  # a collection of its own characters
        return [inputs]
    for name in ("tolist", "to_pylist", "to_list"):  # arrays of numpy, pandas, pyarrow and polars
        if hasattr(inputs, name):
            inputs = getattr(inputs, name)()
            break
    if isinstance(inputs, str):
        return [inputs]
    if isinstance(inputs, bytes | Mapping) or not isinstance(inputs, Iterable):
        raise DataError(
            f"the inputs are {preview(inputs)} ({type(inputs).__name__}): give a text or a list "
            "of texts"
        )
    return list(inputs)


def read_once(asked: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return what is asked with every iterator turned into a list, so that tasks can share it.

    Raises:
        DataError: if it is not a list of pairs of a task and its inputs.
    """
    lists: dict[int, list[Any]] = {}
    checked = []
    for pair in () if isinstance(asked, str | Mapping) else asked:
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(pair[0], str):
            raise DataError(f"{preview(pair)} is not a task with its inputs: write (NAME, inputs)")
        ref, inputs = pair
        if isinstance(inputs, Iterator):
            inputs = lists.setdefault(id(inputs), lists.get(id(inputs)) or list(inputs))
        checked.append((ref, inputs))
    if not checked and asked:
        raise DataError(
            f"{preview(asked)} is not a list of tasks with inputs: write (NAME, inputs)"
        )
    return checked
