"""What a user says about how files are written."""

from __future__ import annotations

from typing import Any

import pytest

from taskbank.data.style import Style
from taskbank.errors import InputError


def test_delimiters_have_names() -> None:
    """Characters that a shell makes hard to write can be named."""
    assert [Style(delimiter=name).separator for name in ("tab", "\\t", ";", None)] == [
        "\t",
        "\t",
        ";",
        None,
    ]
    assert Style(columns="text, label").names == ("text", "label")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"delimiter": "ab"}, "delimiter is 'ab': it must be one character"),
        ({"delimiter": '"'}, "delimiter is"),
        ({"delimiter": ""}, "delimiter is ''"),
        ({"quote": "\n"}, "quote is"),
        ({"quote": ";", "delimiter": ";"}, "must differ"),
        ({"encoding": "klingon"}, "encoding is 'klingon'"),
        ({"encoding": "base64"}, "encoding is 'base64'"),
        ({"encoding": "utf\x00-8"}, "encoding is"),
        ({"columns": "text,,label"}, "columns is"),
        ({"columns": 3}, "columns is 3"),
        ({"format": "xlsx"}, "format is 'xlsx': it must be one of csv, tsv"),
    ],
)
def test_a_style_that_makes_no_sense_is_refused(fields: dict[str, Any], says: str) -> None:
    """Each wrong value is named with what is accepted."""
    with pytest.raises(InputError, match=says):
        Style(**fields)
