"""Marked spans of texts as words with tags."""

from __future__ import annotations

import random

from taskbank.data.formats.spans import Span, words_and_tags


def test_a_word_is_divided_at_the_border_of_a_span() -> None:
    """A span that ends inside a word keeps its own part of it."""
    words, tags = words_and_tags("row 1", "preAda's", [Span(3, 6, "PER")])
    assert (words, tags) == (["pre", "Ada", "'", "s"], ["O", "B-PER", "O", "O"])


def test_the_tags_give_the_spans_back() -> None:
    """For spans of whole words, the tagged words are exactly the marked texts."""
    chance = random.Random(0)
    for _ in range(200):
        words = [chance.choice(["Ada", "lives", "here", "état"]) for _ in range(9)]
        cuts = sorted(chance.sample(range(10), 4))
        places = [sum(len(word) + 1 for word in words[:cut]) for cut in range(10)]
        spans = [Span(places[start], places[end] - 1, "X") for start, end in (cuts[:2], cuts[2:])]
        found, tags = words_and_tags("row 1", " ".join(words), spans)
        assert found == words
        marked = [
            tag
            for start, end in (cuts[:2], cuts[2:])
            for tag in ["B-X"] + ["I-X"] * (end - start - 1)
        ]
        assert [tag for tag in tags if tag != "O"] == marked
