"""Exports of doccano."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskbank.errors import DataError
from taskbank.kinds.multilabel import MULTILABEL
from taskbank.kinds.tagging import TAGGING
from tests.helpers.rows import write_jsonl
from tests.helpers.sources import read

TEXT = "Ada lives in New York."
TAGS = ["B-PER", "O", "O", "B-LOC", "I-LOC", "O"]


@pytest.mark.parametrize(
    "marks",
    [
        {"label": [[13, 21, "LOC"], [0, 3, "PER"]]},
        {"labels": [[0, 3, "PER"], [13, 21, "LOC"]]},
        {
            "entities": [
                {"id": 1, "label": "PER", "start_offset": 0, "end_offset": 3},
                {"id": 2, "label": "LOC", "start_offset": 13, "end_offset": 21},
            ],
            "relations": [],
        },
    ],
)
def test_marked_spans_are_words_with_tags(tmp_path: Path, marks: dict[str, Any]) -> None:
    """Every form in which doccano has exported spans gives the same tags."""
    (key, *_) = marks
    rows = [{"id": 1, "text": TEXT, **marks}, {"id": 2, "text": "none here", key: []}]
    examples = read(write_jsonl(tmp_path / "a.jsonl", rows), TAGGING)
    assert examples.columns["words"][0] == ["Ada", "lives", "in", "New", "York", "."]
    assert examples.columns["tags"] == (TAGS, ["O", "O"])


def test_labels_of_texts_are_columns(tmp_path: Path) -> None:
    """One label in a list is a class, and several are labels."""
    rows = [{"id": 1, "text": "x", "label": ["good"]}, {"id": 2, "text": "y", "label": ["bad"]}]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    assert read(path).columns["label"] == ("good", "bad")
    assert read(path, MULTILABEL, label_column="label").columns["labels"] == (["good"], ["bad"])
    rows[1]["label"] = ["bad", "sad"]
    with pytest.raises(DataError, match=r"row 2 of .* \['bad', 'sad'\] .* one class"):
        read(write_jsonl(tmp_path / "a.jsonl", rows))


@pytest.mark.parametrize(
    ("spans", "says"),
    [
        ([[0, 99, "PER"]], "row 1 of .* 'PER' from 0 to 99, which is not in its text of 22"),
        ([[3, 3, "PER"]], "from 3 to 3"),
        ([[0, 9, "PER"], [4, 12, "LOC"]], "'LOC' from 4 to 12, which overlaps"),
    ],
)
def test_spans_that_do_not_fit_are_named(tmp_path: Path, spans: list[list[Any]], says: str) -> None:
    """A span outside the text, an empty one and an overlap are refused with row and place."""
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": TEXT, "label": spans}])
    with pytest.raises(DataError, match=says):
        read(path, TAGGING)
