"""Makes small labelled rows of every kind, which a tiny model can learn from."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests.helpers.backbones import BAD, GOOD, PLAIN


def sentences(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Return labelled sentences that even a tiny model can tell apart by their words."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        label = ("bad", "good")[number % 2]
        words = chance.choices(PLAIN, k=chance.randint(2, 8))
        words += chance.choices(GOOD if label == "good" else BAD, k=2)
        chance.shuffle(words)
        rows.append({"text": " ".join(words), "label": label})
    return rows


def pairs(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Return labelled pairs of sentences: do both say something good?"""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        both = number % 2 == 0
        sides = (GOOD, GOOD) if both else chance.choice([(GOOD, BAD), (BAD, GOOD), (BAD, BAD)])
        one, other = (chance.choice(words) for words in sides)
        rows.append({"text_a": f"it was {one}", "text_b": f"{other} day", "label": "yn"[not both]})
    return rows


def numbered(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return sentences with how many more good words than bad ones they have."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        good, bad = chance.randint(0, 3), chance.randint(0, 3)
        words = chance.choices(GOOD, k=good) + chance.choices(BAD, k=bad)
        words += chance.choices(PLAIN, k=3)
        chance.shuffle(words)
        rows.append({"text": " ".join(words), "label": float(good - bad)})
    return rows


def topics(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return sentences with what they are: praise, blame, both or neither."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        labels = [label for label in ("blame", "praise") if chance.random() < 0.5]
        words = chance.choices(PLAIN, k=chance.randint(2, 6))
        for label in labels:
            words += chance.choices(GOOD if label == "praise" else BAD, k=2)
        chance.shuffle(words)
        rows.append({"text": " ".join(words), "labels": labels})
    return rows


def questions(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return contexts, of which a good word is the answer; a fifth has none."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        words = chance.choices(PLAIN, k=chance.randint(3, 8)) + chance.choices(BAD, k=1)
        answers: dict[str, list[Any]] = {"text": [], "answer_start": []}
        place = chance.randint(0, len(words))
        if number % 5:
            answers["text"].append(chance.choice(GOOD))
            answers["answer_start"].append(len("".join(f"{word} " for word in words[:place])))
        words[place:place] = answers["text"]
        rows.append({"question": "was it", "context": " ".join(words), "answers": answers})
    return rows


def tagged(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return words with tags: good ones come in twos, bad ones alone."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        parts = [([word], ["O"]) for word in chance.choices(PLAIN, k=chance.randint(2, 6))]
        parts += [([chance.choice(BAD)], ["B-blame"]) for _ in range(chance.randint(0, 2))]
        if chance.random() < 0.7:
            parts.append((chance.choices(GOOD, k=2), ["B-praise", "I-praise"]))
        chance.shuffle(parts)
        words, tags = ([one for part in parts for one in part[side]] for side in (0, 1))
        rows.append({"words": words, "tags": tags})
    return rows


ROWS = {
    "single": sentences,
    "pair": pairs,
    "regression": numbered,
    "multilabel": topics,
    "span": questions,
    "tagging": tagged,
}


def labelled(kind: str, count: int, seed: int = 0) -> dict[str, tuple[Any, ...]]:
    """Return labelled examples of a kind, as columns, that even a tiny model can learn from."""
    assert kind in ROWS, f"give tests/helpers/rows.py a function for rows of kind {kind!r}"
    rows = ROWS[kind](count, seed)
    return {name: tuple(row[name] for row in rows) for name in rows[0]}


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> str:
    """Write rows as JSON lines and return the path as text."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)
