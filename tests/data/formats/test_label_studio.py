"""Exports of Label Studio in its own JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from taskbank.errors import DataError
from taskbank.kinds.multilabel import MULTILABEL
from taskbank.kinds.tagging import TAGGING
from tests.helpers.sources import read


def choice(*names: str, control: str = "mood") -> dict[str, Any]:
    """Return the result of choosing labels."""
    return {
        "type": "choices",
        "from_name": control,
        "to_name": "text",
        "value": {"choices": list(names)},
    }


def mark(start: int, end: int, label: str, text: str) -> dict[str, Any]:
    """Return the result of marking a span."""
    value = {"start": start, "end": end, "labels": [label], "text": text}
    return {"type": "labels", "from_name": "ner", "to_name": "text", "value": value}


def export(path: Path, *tasks: tuple[str, list[list[dict[str, Any]]]]) -> str:
    """Write tasks, each a text with the results of its annotations."""
    document = [
        {
            "id": number,
            "data": {"text": text},
            "annotations": [{"result": result, "was_cancelled": False} for result in results],
        }
        for number, (text, results) in enumerate(tasks)
    ]
    path.write_text(json.dumps(document))
    return str(path)


def test_choices_are_labels(tmp_path: Path) -> None:
    """The only control that chooses is the label, also under its own name."""
    path = export(tmp_path / "a.json", ("x", [[choice("good")]]), ("y", [[choice("bad", "sad")]]))
    assert read(path, MULTILABEL).columns["labels"] == (["good"], ["bad", "sad"])
    path = export(tmp_path / "b.json", ("x", [[choice("good")]]), ("y", [[choice("bad")]]))
    assert read(path).columns["label"] == read(path, label_column="mood").columns["label"]
    assert read(path).columns["label"] == ("good", "bad")


def test_of_several_controls_one_is_named(tmp_path: Path) -> None:
    """Two controls are two columns, and neither is taken unasked."""
    result = [choice("good"), choice("en", control="language")]
    path = export(tmp_path / "a.json", ("x", [result]))
    assert read(path, label_column="language").columns["label"] == ("en",)
    with pytest.raises(DataError, match="no column 'label'; its columns are text, mood, language"):
        read(path)


def test_spans_are_words_with_tags(tmp_path: Path) -> None:
    """Positions count characters, or as browsers do, which is seen from the marked text."""
    path = export(
        tmp_path / "a.json",
        ("😀 Ada lives", [[mark(3, 6, "PER", "Ada")]]),
        ("😀 Ada lives", [[mark(2, 5, "PER", "Ada")]]),
    )
    assert read(path, TAGGING).columns["words"] == (["😀", "Ada", "lives"],) * 2
    assert read(path, TAGGING).columns["tags"] == (["O", "B-PER", "O"],) * 2


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ([[choice("good")], [choice("bad")]], "row 1 of .* has 2 annotations that differ"),
        ([[mark(0, 3, "PER", "Bob")]], "row 1 of .* marks 'Bob', but its text has 'Ada' there"),
        ([[{"type": "labels", "from_name": "ner", "value": {}}]], "row 1 of .* a span without"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, results: list[list[dict[str, Any]]], says: str
) -> None:
    """Annotators who disagree, and positions of another text, are not decided silently."""
    with pytest.raises(DataError, match=says):
        read(export(tmp_path / "a.json", ("Ada lives", results)), TAGGING)


def test_a_task_without_an_annotation_has_no_label(tmp_path: Path) -> None:
    """What nobody has annotated yet is named by its row."""
    path = export(tmp_path / "a.json", ("x", [[choice("good")]]), ("y", []))
    with pytest.raises(DataError, match=r"1 rows of .* have no label .* row 2"):
        read(path)
