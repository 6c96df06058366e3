"""Finds the stored examples that are most like an input, by the words that they share.

Words that few examples have count more: each weighs its inverse document frequency, and two texts
are as alike as the cosine of their weighted counts of words (TF-IDF). No encoder is needed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from taskbank.data.words import find_words

COMPARED = 2000  # examples
READ = 2000  # characters of a text


def most_similar(text: str, examples: Sequence[str], count: int) -> list[tuple[int, float]]:
    """Return the positions of the most similar examples and their similarities, from 0 to 1.

    Examples that share no word with the text are left out.

    Args:
        text: the text.
        examples: the texts of the examples, of which the first `COMPARED` are looked at.
        count: number of examples to return at most.
    """
    wanted = _words(text)
    counted = [_words(example) for example in examples[:COMPARED]]
    having = Counter(word for words in counted for word in words)
    weights = {word: 1 + math.log((1 + len(counted)) / (1 + n)) for word, n in having.items()}
    # What no example has makes the text less like each of them.
    weights |= {word: 1 + math.log(1 + len(counted)) for word in wanted.keys() - weights.keys()}
    length = _length(wanted, weights)
    found = []
    for position, words in enumerate(counted):
        shared = wanted.keys() & words.keys()
        if shared:
            product = sum(wanted[word] * words[word] * weights[word] ** 2 for word in shared)
            found.append((position, product / (length * _length(words, weights))))
    return sorted(found, key=lambda one: -one[1])[:count]


def _words(text: str) -> Counter[str]:
    read = text[:READ]
    words = (read[start:end].casefold() for start, end in find_words(read))
    return Counter(word for word in words if any(sign.isalnum() for sign in word))


def _length(words: Mapping[str, int], weights: Mapping[str, float]) -> float:
    return math.sqrt(sum((count * weights[word]) ** 2 for word, count in words.items()))
