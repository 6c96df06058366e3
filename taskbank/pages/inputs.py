"""The texts that the form of the page Try asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taskbank import plugins
from taskbank.bank.records import AdapterRecord
from taskbank.data.fields import Field
from taskbank.kinds.kind import Kind, input_fields

# For tasks of several kinds: each takes as many texts as it needs.
ANY_TEXTS = ("text", "second text, for tasks that take two")
NAMES = {"text_a": "first text", "text_b": "second text", "words": "text"}


@dataclass(frozen=True)
class Input:
    """A text of the form: its name there, what it is, what was typed, and whether it must be."""

    name: str
    title: str
    value: str
    required: bool


def inputs_for(record: AdapterRecord | None, values: Sequence[str]) -> tuple[Input, ...]:
    """Return the texts of the form for one version, or for tasks of any kind.

    Args:
        record: the version; None means tasks of any kind.
        values: what was typed.
    """
    titles = ANY_TEXTS if record is None else tuple(map(title_of, fields_of(record)))
    given = [*values, *[""] * len(titles)]
    return tuple(
        Input(f"input{number}", title, value, record is not None or number == 1)
        for number, (title, value) in enumerate(zip(titles, given, strict=False), 1)
    )


def fields_of(record: AdapterRecord) -> tuple[Field, ...]:
    """Return the fields of an input of a version."""
    return input_fields(kind_of(record), record.definition)


def title_of(field: Field) -> str:
    """Return what the form calls a field."""
    return NAMES.get(field.name, field.name.replace("_", " "))


def kind_of(record: AdapterRecord) -> Kind:
    """Return the kind of a version."""
    kind: Kind = plugins.load("kinds", record.kind)
    return kind
