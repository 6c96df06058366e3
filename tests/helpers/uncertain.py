"""Predictions of every kind with classes or answers, right as often as their probabilities say."""

from __future__ import annotations

from typing import Any

import numpy as np

from taskbank import plugins
from taskbank.kinds.definition import Definition
from taskbank.kinds.kind import Kind
from taskbank.kinds.logits import softmax
from taskbank.kinds.span import STORED_ANSWERS

KINDS = ("single", "pair", "multilabel", "span", "tagging")  # those with probabilities
LABELS = ("a", "b", "c")
WORDS = 4  # words of a sentence
CONTEXT = "cat dog owl"  # the place of each word is an answer
Case = tuple[Kind, np.ndarray, dict[str, list[Any]], Definition]


def uncertain(
    name: str, rows: int, seed: int = 0, *, factor: float = 1.0, **requested: str
) -> Case:
    """Return a kind, predictions, the examples that they are of, and their definition.

    Args:
        name: the kind's name.
        rows: number of examples.
        seed: of the random generator.
        factor: what the logits are multiplied by, which is the temperature that makes them right.
        requested: settings of the task, such as `abstain`.
    """
    generator = np.random.default_rng(seed)
    kind: Kind = plugins.load("kinds", name)
    count = rows * WORDS if name == "tagging" else rows
    logits = generator.normal(size=(count, 3)) * 2
    shares = softmax(logits)
    drawn = (generator.random((count, 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(max=2)
    columns: dict[str, list[Any]] = {"text": ["x"] * rows}
    if name in ("single", "pair"):
        if name == "pair":
            columns = {"text_a": ["x"] * rows, "text_b": ["y"] * rows}
        columns["label"] = [LABELS[place] for place in drawn]
    elif name == "multilabel":
        given = generator.random((rows, 3)) < 1 / (1 + np.exp(-logits))
        columns["labels"] = [[LABELS[place] for place in np.flatnonzero(row)] for row in given]
    elif name == "tagging":
        tags = [LABELS[place] for place in drawn]
        starts = range(0, count, WORDS)
        columns = {
            "words": [["x"] * WORDS for _ in starts],
            "tags": [tags[start : start + WORDS] for start in starts],
        }
    else:
        words = CONTEXT.split()
        columns = {
            "question": ["?"] * rows,
            "context": [CONTEXT] * rows,
            "answers": [{"text": [words[d]], "answer_start": [4 * int(d)]} for d in drawn],
        }
    predictions = (logits * factor).astype(np.float32)
    if name == "span":
        predictions = _stored(predictions)
    return kind, predictions, columns, kind.define(columns, "here", requested)


def _stored(scores: np.ndarray) -> np.ndarray:
    """Return the predictions of a span whose three answers have some scores."""
    stored = np.zeros((len(scores), 1 + 3 * STORED_ANSWERS), dtype=np.float32)
    stored[:, 1::3] = stored[:, 2::3] = -1
    stored[:, 0] = -100  # no answer
    for row, places in enumerate(np.argsort(-scores, axis=1)):
        for column, place in enumerate(places):
            stored[row, 1 + 3 * column : 4 + 3 * column] = (
                4 * place,
                4 * place + 3,
                scores[row, place],
            )
    return stored
