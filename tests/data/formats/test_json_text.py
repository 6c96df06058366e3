"""JSON: one object per line, and documents of objects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskbank.errors import DataError
from tests.helpers.sources import ODD_ROWS, read


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('{"text": "x", "label": "a"}\n[1]\n', "line 2 .* one object per line"),
        ('{"text": "x", "label": "a"}\n{"text": \n', "line 2 .* is not JSON"),
        ("[" * 100_000 + "\n", "is not JSON"),
        ('{"text": "x", "label": 0.5}\n', "holds fractions"),
        ('{"text": "x", "label": NaN}\n', "holds fractions"),
        ('{"text": 5, "label": "a"}\n', "not text"),
        ('{"text": "x", "label": {"a": 1}}\n', "not one class per row"),
        ('{"text": "x", "label": ["a", "b"]}\n', "not one class: use --kind multilabel"),
        ('{"text": "x", "label": "a"}\n{"text": "y", "label": 1}\n', "one type in every row"),
        ('{"text": "x"}\n{"label": "a"}\n', "have no text"),
        ('{"text": "\\ud800", "label": "a"}\n', "row 1 .* half a surrogate"),
        ('{"text": null, "label": "a"}\n', "have no text"),
        ('{"text": "x", "text": "y", "label": "a"}\n', "line 1 .* repeats the key 'text'"),
        ('{"text": "x", "label": "a\\u0000"}\n', "row 1 .* NUL"),
        (f'{{"text": "x", "label": {2**70}}}\n', f"row 1 .* {2**70} in 'label', .*cannot be read"),
        (
            '{"text": "x", "label": "a"}\n{"text": "y", "label": ["\\udc00"]}\n',
            "row 2 .* surrogate",
        ),
    ],
)
def test_json_lines_that_are_not_usable_say_why(tmp_path: Path, lines: str, says: str) -> None:
    """Each defect of a JSON Lines file is an error that names the line or row."""
    (tmp_path / "a.jsonl").write_text(lines)
    with pytest.raises(DataError, match=says):
        read(str(tmp_path / "a.jsonl"))


ROWS = [{"text": "x", "label": "a"}, {"text": "y", "label": "b"}]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "document",
    [
        ROWS,
        {"data": ROWS},
        {"version": 1, "rows": ROWS, "tags": ["x"]},
        {"text": {"0": "x", "1": "y"}, "label": {"0": "a", "1": "b"}},  # as pandas writes it
    ],
)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_documents_of_objects_are_read(
    tmp_path: Path, name: str, document: object, indent: int | None
) -> None:
    """A list of objects, alone or under a name, gives the rows that lines of objects give."""
    (tmp_path / name).write_text(json.dumps(document, indent=indent))
    assert list(read(str(tmp_path / name)).rows()) == ROWS


def test_a_single_object_is_a_row(tmp_path: Path) -> None:
    """A file of one line is read as lines are, and so is one object over several lines."""
    (tmp_path / "a.json").write_text(json.dumps(ODD_ROWS[0], indent=2))
    assert list(read(str(tmp_path / "a.json")).rows()) == ODD_ROWS[:1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1, 2]", "item 1 of the list in .* is 1"),
        ('[{"text": "x"},\n{"text": ]', "line 2 of .* is not JSON"),
        ('{\n"text": "x"\n', "line 3 of .* is not JSON"),
        ('"text"', "line 1 of .* is '\"text\"': write one object per line"),
        ("[]", "has no rows"),
        ('[{"a": ' + "[" * 100_000, "is not JSON"),
        ('{"a": ' * 100_000, "is not JSON"),
        ("1" * 5000, "is not JSON"),
    ],
)
def test_documents_that_are_not_usable_say_why(tmp_path: Path, text: str, says: str) -> None:
    """What is no object, what is cut off and what is nested without end is named."""
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=says):
        read(str(tmp_path / "a.json"))
