"""Finds the rows of a file that no task can predict: without text, or with text that is no text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import category

from taskbank.data.fields import PREVIEW_LENGTH, Field, preview
from taskbank.digests import Json


def unusable_rows(
    fields: Sequence[Field], names: Sequence[str], columns: Sequence[Sequence[Any]]
) -> dict[int, str]:
    """Return what is wrong with each row that cannot be predicted, by its number from 1.

    Args:
        fields: the fields of an input.
        names: the name of each field's column.
        columns: the values of each column.
    """
    problems: dict[int, str] = {}
    for field, name, values in zip(fields, names, columns, strict=True):
        find = PROBLEMS.get(field.type)
        if find is not None:  # other types are checked when the column is read
            for row, value in enumerate(values, start=1):
                problem = find(value)
                if problem is not None:
                    problems.setdefault(row, f"{problem} in column {name!r}")
    return dict(sorted(problems.items()))


def describe(problems: Mapping[int, str], shown: int) -> list[str]:
    """Return one line per row that cannot be predicted, and a count of those not shown."""
    lines = [f"row {row:,} has {problem}" for row, problem in list(problems.items())[:shown]]
    left_out = len(problems) - shown
    return lines + ([f"and {left_out:,} more"] if left_out > 0 else [])


def _text_problem(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return "no text"
    if not isinstance(value, str):
        return None
    if all(sign.isspace() or category(sign).startswith("C") for sign in value):
        return f"no visible text ({value[:PREVIEW_LENGTH]!a})"
    return _character_problem(value)


def _character_problem(text: str) -> str | None:
    if "\x00" in text:
        return f"a NUL character ({preview(text)})"
    if text != text.encode(errors="ignore").decode():  # valid in JSON, invalid in UTF-8
        return f"half a surrogate pair ({preview(text)})"
    return None


def _words_problem(value: Any) -> str | None:
    words: Json = value
    if isinstance(value, str):
        try:
            words = json.loads(value)
        except (ValueError, RecursionError):
            words = None
    if not words or not isinstance(words, list):
        return f"no list of words ({preview(value)})" if value else "no words"
    for word in words:
        if not isinstance(word, str) or not word.strip():
            return f"a word that is blank or no text ({preview(value)})"
        problem = _character_problem(word)
        if problem is not None:
            return problem
    return None


PROBLEMS = {"text": _text_problem, "words": _words_problem}
