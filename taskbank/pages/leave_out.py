"""Tells which words of an input move a task's answer: each is left out once.

The *support* of an answer by an input is one number: the probability of the same class, the joint
probability of the same labels, the number itself, the confidence in the same span, or the mean
confidence in the same entities. The effect of a word is the support by the input, minus the
support by the input without the word.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from taskbank.data.words import find_words

WORDS = 48  # that are left out, at most
CHARACTERS = 65_536  # of all inputs without a word together, at most
LEVELS = (0.02, 0.1, 0.3)  # effects from which a mark is stronger
Answer = Mapping[str, Any]  # `label`, `score` and the kind's further keys


@dataclass(frozen=True)
class Word:
    """A word of an input: the position of its text, and its place there."""

    text: int
    start: int
    end: int


@dataclass(frozen=True)
class Effect:
    """What leaving out a word changes.

    Attributes:
        word: the word.
        change: how much of the answer's support the word gives; negative if it speaks against it.
        level: its strength, from 0 to 3.
        label: the answer without the word.
    """

    word: Word
    change: float
    level: int
    label: str


def words_of(row: Sequence[str]) -> list[Word]:
    """Return the words of an input that can be left out: those of texts with several."""
    found: list[Word] = []
    for number, text in enumerate(row):
        places = [
            (start, end)
            for start, end in find_words(text)
            if any(sign.isalnum() for sign in text[start:end])
        ]
        if len(places) > 1:  # a text must not become empty
            found += [Word(number, start, end) for start, end in places]
    return found


def first_words(words: Sequence[Word], row: Sequence[str], most: int) -> Sequence[Word]:
    """Return as many words as are left out, the first ones: fewer of a long input.

    Args:
        words: the words of the input.
        row: its texts.
        most: number of words, at most.
    """
    return words[: max(0, min(WORDS, most, CHARACTERS // max(1, sum(map(len, row)))))]


def without(row: Sequence[str], word: Word) -> tuple[str, ...]:
    """Return an input without one word, and without the space that followed it."""
    text = row[word.text]
    before, after = text[: word.start], text[word.end :]
    if not before or before[-1].isspace():
        after = after.lstrip()
    return (*row[: word.text], before + after, *row[word.text + 1 :])


def support(answer: Answer, other: Answer) -> float | None:
    """Return how much another answer of the same task supports one; None if no number says so."""
    if "labels" in answer and "probabilities" in answer:
        chosen = set(answer["labels"])
        joint = math.prod(
            probability if label in chosen else 1 - probability
            for label, probability in other["probabilities"].items()
        )
        return float(joint)
    if "probabilities" in answer:
        return float(other["probabilities"][answer["label"]])
    if "value" in answer:
        return float(other["value"])
    if "answer" in answer:
        return float(other["score"]) if other["answer"] == answer["answer"] else 0.0
    return None


def effects(
    answer: Answer, words: Sequence[Word], others: Sequence[Answer], unit: float = 1.0
) -> list[Effect]:
    """Return the effect of each word; none if no number tells the support of such answers.

    Args:
        answer: the answer to the whole input.
        words: the words that were left out.
        others: the answer to the input without each word.
        unit: the change that is as strong as that of a probability from 0 to 1.
    """
    whole = support(answer, answer)
    if whole is None and not answer.get("entities"):
        return []
    found = []
    for word, other in zip(words, others, strict=True):
        if whole is None:
            change = _change_of_entities(answer, other, word)
        else:
            change = whole - (support(answer, other) or 0.0)
        level = sum(abs(change) / unit >= least for least in LEVELS)
        found.append(Effect(word, change, level, str(other["label"])))
    return found


def _change_of_entities(answer: Answer, other: Answer, word: Word) -> float:
    """Return what the mean confidence in an answer's entities loses in another answer.

    An entity is the same if its type is, and its text but for the word that was left out. An entity
    that is nothing but this word cannot be there without it, so it does not count.
    """
    confidence: dict[tuple[str, str], list[float]] = defaultdict(list)
    for entity in other["entities"]:
        confidence[entity["type"], entity["text"]].append(entity["score"])
    changes = []
    for entity in answer["entities"]:
        text = _text_without(entity, word)
        if text:
            scores = confidence[entity["type"], text]
            changes.append(entity["score"] - (scores.pop(0) if scores else 0.0))
    return fmean(changes) if changes else 0.0


def _text_without(entity: Mapping[str, Any], word: Word) -> str:
    text: str = entity["text"]
    start = entity["start"]
    if word.end <= start or word.start >= entity["end"]:
        return text
    place = Word(0, max(0, word.start - start), min(len(text), word.end - start))
    return without((text,), place)[0].strip()
