"""Which words are marked as those that move an answer."""

from __future__ import annotations

from taskbank.bank.bank import Bank
from taskbank.pages.leave_out import Effect, Word
from taskbank.pages.why import why


def test_words_are_marked_by_strength(demo: Bank) -> None:
    """A word for the answer and one against it differ, and weak ones are in no table."""
    effects = [
        Effect(Word(0, 0, 4), 0.5, 3, "ham"),
        Effect(Word(0, 5, 9), -0.05, 1, "spam"),
        Effect(Word(0, 10, 13), 0.0, 0, "spam"),
    ]
    found = why(demo["spam@1"], ("free cash now",), "spam", effects, 3)
    assert found is not None
    assert [part.mark for part in found.texts[0].parts if part.mark] == [
        "for-3",
        "against-1",
        "tried",
    ]
    assert [(one.word, one.other) for one in found.strongest] == [("free", "ham"), ("cash", None)]
    assert why(demo["spam@1"], ("free",), "spam", [], 1) is None
