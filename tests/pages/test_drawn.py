"""Texts with marked places."""

from __future__ import annotations

from taskbank.pages.drawn import SHOWN, Drawn, Part, Place, draw


def test_parts_make_the_text() -> None:
    """Places are marked in their order, and everything between is kept."""
    places = [Place(5, 8, "b"), Place(0, 3, "a", "first")]
    parts = (Part("one", "a", "first"), Part("; "), Part("two", "b"), Part("."))
    assert draw("text", "one; two.", places) == Drawn("text", parts, None)


def test_overlaps_are_marked_once() -> None:
    """A place that begins within another one is left out, so that no text appears twice."""
    found = draw("text", "abcdef", [Place(0, 4, "a"), Place(2, 6, "b"), Place(4, 6, "c")])
    assert [part.text for part in found.parts] == ["abcd", "ef"]
    assert [part.mark for part in found.parts] == ["a", "c"]


def test_long_texts_are_cut() -> None:
    """A page has a bounded size, and says how long the text is."""
    found = draw("text", "x" * 1_000_000, [Place(999_990, 1_000_000, "a")])
    assert found == Drawn("text", (Part("x" * SHOWN),), 1_000_000)
