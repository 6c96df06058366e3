"""SQuAD's own file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from taskbank.errors import DataError
from taskbank.kinds.span import SPAN
from tests.helpers.sources import read, read_texts

CONTEXT = "Ada lives in Paris."
QUESTIONS: list[dict[str, Any]] = [
    {"id": "1", "question": "who?", "answers": [{"text": "Ada", "answer_start": 0}]},
    {"id": "2", "question": "when?", "answers": [], "is_impossible": True, "plausible_answers": []},
]


def document(**changes: Any) -> dict[str, Any]:
    """Return a document as SQuAD has it, with changes to its paragraph."""
    paragraph = {"context": CONTEXT, "qas": QUESTIONS} | changes
    return {"version": "v2.0", "data": [{"title": "Ada", "paragraphs": [paragraph]}]}


@pytest.mark.parametrize("indent", [None, 2])
def test_questions_are_rows(tmp_path: Path, indent: int | None) -> None:
    """Every question comes with its context and its answers, if it has any."""
    (tmp_path / "dev-v2.0.json").write_text(json.dumps(document(), indent=indent))
    assert list(read(str(tmp_path / "dev-v2.0.json"), SPAN).rows()) == [
        {
            "question": "who?",
            "context": CONTEXT,
            "answers": {"text": ["Ada"], "answer_start": [0]},
        },
        {"question": "when?", "context": CONTEXT, "answers": {"text": [], "answer_start": []}},
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"context": 5}, "paragraph 1 of article 1 of .* 'context' is 5, and should be a text"),
        ({"qas": None}, "'qas' is None, and should be a list"),
        ({"qas": [{"question": "who?", "answers": [{"text": "x"}]}]}, "'answer_start' is None"),
        ({"qas": ["who?"]}, "'question' is None"),
    ],
)
def test_a_document_that_is_not_as_squad_is_named(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    """The article, the paragraph and the field are named."""
    (tmp_path / "a.json").write_text(json.dumps(document(**changes)))
    with pytest.raises(DataError, match=says):
        read(str(tmp_path / "a.json"), SPAN)


def test_questions_without_answers_are_read_to_predict(tmp_path: Path) -> None:
    """A test set whose answers are not published can be predicted."""
    questions = [{"id": "1", "question": "who?"}]
    (tmp_path / "a.json").write_text(json.dumps(document(qas=questions)))
    assert read_texts(str(tmp_path / "a.json"), SPAN) == [("who?", CONTEXT)]
