"""Finds the first token of each word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from taskbank.data.tokenization import Window


@dataclass(frozen=True)
class Words:
    """The tokens at which the words of all examples are read.

    Attributes:
        tokens: the index of each word's first sub-word among all tokens; -1 for a word without
            tokens.
        outside: the position of the label that a word without tokens gets.
    """

    tokens: np.ndarray
    outside: int


def word_places(words: Sequence[str]) -> list[tuple[int, int]]:
    """Return the start and end of each word in the words joined by spaces."""
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    return [(int(end) - len(word), int(end)) for word, end in zip(words, ends, strict=True)]


def first_tokens(
    words: Sequence[Sequence[str]],
    texts: Sequence[str],
    windows: Sequence[Window],
    offsets: np.ndarray,
) -> np.ndarray:
    """Return the index of each word's first sub-word, in the window with the most context.

    Positions are counted in all texts joined by spaces, as the words of each text are.
    """
    sizes = np.array([len(word) for example_words in words for word in example_words])
    starts = np.cumsum(sizes + 1) - sizes - 1
    begins = np.cumsum([0, *(len(text) + 1 for text in texts)])
    inside = np.flatnonzero(np.concatenate([window.inside for window in windows]))
    number = np.repeat(np.arange(len(windows)), np.diff(offsets))[inside]
    shift = begins[[window.example for window in windows]][number]
    at = np.concatenate([window.starts for window in windows])[inside] + shift
    stop = np.concatenate([window.ends for window in windows])[inside] + shift
    at = _without_spaces(" ".join(texts), at, stop)
    word = np.searchsorted(starts, at, side="right") - 1
    left, right = (np.searchsorted(number, number, side=side) for side in ("left", "right"))
    around = np.minimum(inside - inside[left], inside[right - 1] - inside)
    usable = np.flatnonzero(at < np.minimum(stop, (starts + sizes)[word]))
    # A character may have several tokens, of which only the first counts.
    place = np.stack([number, at])[:, usable]
    usable = usable[np.append(True, (place[:, 1:] != place[:, :-1]).any(axis=0))[: len(usable)]]
    # A window may begin inside a word, but only the word's first piece counts.
    order = usable[np.lexsort((-around[usable], at[usable], word[usable]))]
    read, first = np.unique(word[order], return_index=True)
    tokens = np.full(len(sizes), -1, dtype=np.int64)
    tokens[read] = inside[order[first]]
    return tokens


def _without_spaces(text: str, at: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Return the starts of tokens without the leading spaces that some tokenizers include."""
    space = np.zeros(len(text) + 1, dtype=bool)
    space[[match.start() for match in re.finditer(r"\s", text)]] = True
    while (before := space[at] & (at < stop)).any():
        at = at + before
    return at
