"""Which words move an answer, marked in the texts and listed by strength."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from taskbank.bank.records import AdapterRecord
from taskbank.pages.drawn import Drawn, Place, draw
from taskbank.pages.inputs import fields_of, kind_of, title_of
from taskbank.pages.leave_out import Effect

STRONGEST = 6  # words in the table


@dataclass(frozen=True)
class WordEffect:
    """A word, its effect on the answer, and the answer without it if that is another one."""

    word: str
    change: float
    other: str | None


@dataclass(frozen=True)
class Why:
    """Which words move an answer.

    Attributes:
        texts: the input with its words marked by strength.
        strongest: the words with the largest effects.
        words: number of words that were left out.
        of_all: number of words that the input has.
        number: whether effects are changes of a number and not of a probability.
    """

    texts: tuple[Drawn, ...]
    strongest: tuple[WordEffect, ...]
    words: int
    of_all: int
    number: bool


def why(
    record: AdapterRecord, row: Sequence[str], label: str, effects: Sequence[Effect], of_all: int
) -> Why | None:
    """Return which words move an answer; None if nothing tells.

    Args:
        record: the version that answered.
        row: its input.
        label: the answer.
        effects: the effects of the words that were left out.
        of_all: number of words that the input has.
    """
    if not effects:
        return None
    texts = tuple(
        draw(title_of(field), text, _marks(position, effects))
        for position, (field, text) in enumerate(zip(fields_of(record), row, strict=True))
    )
    strongest = sorted(effects, key=lambda one: -abs(one.change))[:STRONGEST]
    return Why(
        texts,
        tuple(_word_effect(one, row, label) for one in strongest if one.level),
        len(effects),
        of_all,
        kind_of(record).label.type == "number",
    )


def _marks(position: int, effects: Iterable[Effect]) -> list[Place]:
    return [
        Place(
            one.word.start,
            one.word.end,
            f"{'for' if one.change > 0 else 'against'}-{one.level}" if one.level else "tried",
            _signed(one.change),
        )
        for one in effects
        if one.word.text == position
    ]


def _word_effect(effect: Effect, row: Sequence[str], label: str) -> WordEffect:
    word = effect.word
    other = None if effect.label == label else effect.label
    return WordEffect(row[word.text][word.start : word.end], effect.change, other)


def _signed(change: float) -> str:
    return f"{change:+.3f}".replace("-", "\N{MINUS SIGN}")
