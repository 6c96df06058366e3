"""SQuAD's own file: articles of paragraphs, with questions (Rajpurkar et al. 2016, 2018)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taskbank.data.fields import preview
from taskbank.data.formats.records import Record
from taskbank.errors import DataError


def is_squad(document: dict[str, Any]) -> bool:
    """Return whether a JSON document is a file of SQuAD."""
    articles = document.get("data")
    return isinstance(articles, list) and any(
        isinstance(article, dict) and "paragraphs" in article for article in articles
    )


def records_of_squad(source: str, document: dict[str, Any]) -> list[Record]:
    """Return the questions of a file of SQuAD, each with its context and its answers.

    Raises:
        DataError: naming the article and the paragraph that is not as in SQuAD.
    """
    return list(_questions(source, document["data"]))


def _questions(source: str, articles: list[Any]) -> Iterator[Record]:
    for number, article in enumerate(articles, start=1):
        place = f"article {number} of {source}"
        paragraphs = _get(article, "paragraphs", list, place)
        for position, paragraph in enumerate(paragraphs, start=1):
            paragraph_place = f"paragraph {position} of {place}"
            context = _get(paragraph, "context", str, paragraph_place)
            for question in _get(paragraph, "qas", list, paragraph_place):
                text = _get(question, "question", str, paragraph_place)
                record = {
                    "id": str(question.get("id", "")),
                    "title": str(article.get("title", "")),
                    "question": text,
                    "context": context,
                }
                if "answers" in question:  # a test set may keep them to itself
                    record["answers"] = _answers(question, paragraph_place)
                yield record


def _answers(question: dict[str, Any], place: str) -> dict[str, list[Any]]:
    answers = _get(question, "answers", list, place)
    return {
        "text": [_get(answer, "text", str, place) for answer in answers],
        "answer_start": [_get(answer, "answer_start", int, place) for answer in answers],
    }


def _get(value: Any, key: str, kind: type, place: str) -> Any:
    found = value.get(key) if isinstance(value, dict) else None
    if type(found) is not kind:
        raise DataError(
            f"{place} is not as in SQuAD: {key!r} is {preview(found)}, and should be "
            f"{ {list: 'a list', str: 'a text', int: 'a whole number'}[kind] }"
        )
    return found
