"""Cuts very long texts before they are tokenised, where that changes none of their first tokens.

A tokenizer changes, divides and looks up a text in steps. If every step up to the one that divides
texts at spaces looks no further than a space, the tokens of what stands before a space are the
first tokens of the whole text. The names of the steps in the tokenizer's own description show
whether this holds; of a tokenizer with any other step, texts are tokenised whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

LONG = 64  # only texts of more than so many characters per wanted token are cut
FIRST = 8  # characters per wanted token to begin with; English has about five
MARGIN = 4096  # characters that are never worth a cut

# A letter or digit before a space. No known step joins these two characters, whereas some other
# signs form one character with the space after them.
BORDER = re.compile(r"[^\W_](?= )")
JOINING = "\u0d4e"  # the only letter below LAST_SAFE that forms one character with what follows
LAST_SAFE = 0x11000

# Steps that change characters one by one, or together with those that form one character.
NORMALIZERS = {
    "BertNormalizer",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Lowercase",
    "StripAccents",
    "Strip",
    "Precompiled",
    "Prepend",
}
RUN_OF_SPACES = {"Regex": " {2,}"}
# Steps that divide a text between any two characters by these two alone.
DIVIDERS = {"Digits", "Punctuation"}


def shorten(tokenizer: Any, texts: Sequence[str], tokens: int) -> list[str]:
    """Return texts whose first tokens are those of the given texts, the very long ones cut.

    Args:
        tokenizer: the backbone's tokenizer; its truncation settings change.
        texts: the texts.
        tokens: number of tokens that must stay; a text that is cut has more than these.
    """
    shortest = LONG * tokens + MARGIN
    if all(len(text) <= shortest for text in texts) or not is_divided_at_spaces(tokenizer):
        return list(texts)
    return [
        text if len(text) <= shortest else _beginning(tokenizer, text, tokens) for text in texts
    ]


def shorten_pairs(tokenizer: Any, texts: Sequence[Sequence[str]], tokens: int) -> list[list[str]]:
    """Return the texts of pairs that are truncated to the same tokens as the given ones.

    The longer text of a pair is truncated first, so which of the two is longer must stay as it is:
    a text is cut only if the other one has no more than the wanted number of tokens.

    Args:
        tokenizer: the backbone's tokenizer; its truncation settings change.
        texts: the first texts and the second texts.
        tokens: number of tokens to which a pair is truncated.
    """
    shortened = [shorten(tokenizer, column, tokens) for column in texts]
    first, second = ([*column] for column in texts)
    for row, (one, other) in enumerate(zip(*shortened, strict=True)):
        if len(one) < len(first[row]) and _count(tokenizer, other) <= tokens:
            first[row] = one
        elif len(other) < len(second[row]) and _count(tokenizer, one) <= tokens:
            second[row] = other
    return [first, second]


def is_divided_at_spaces(tokenizer: Any) -> bool:
    """Return whether the tokens before a space do not depend on what comes after it."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or tokenizer.truncation_side != "right":
        return False
    described = json.loads(backend.to_str())
    return (
        _is_local(described["normalizer"])
        and _divides(described["pre_tokenizer"])
        and not described["model"].get("dropout")
        and all(_is_plain(token["content"]) for token in described["added_tokens"])
    )


def _beginning(tokenizer: Any, text: str, tokens: int) -> str:
    """Return the shortest beginning, of some lengths, that has more than a number of tokens."""
    size = FIRST * tokens
    while size < len(text) // 2:
        border = _border(text, size)
        if border is None:
            break
        if _count(tokenizer, text[:border]) > tokens:
            return text[:border]
        size = 2 * border
    return text


def _border(text: str, start: int) -> int | None:
    """Return the place of the first usable space from a place on."""
    for match in BORDER.finditer(text, start):
        if ord(match[0]) < LAST_SAFE and match[0] != JOINING:
            return match.end()
    return None


def _count(tokenizer: Any, text: str) -> int:
    encoded = tokenizer(
        text, add_special_tokens=False, truncation=False, return_attention_mask=False, verbose=False
    )
    return len(encoded["input_ids"])


def _is_local(step: Mapping[str, Any] | None) -> bool:
    """Return whether a step that changes characters looks no further than a space."""
    if step is None:
        return True
    if step["type"] == "Sequence":
        return all(map(_is_local, step["normalizers"]))
    if step["type"] == "Replace":
        pattern = step["pattern"]
        return pattern == RUN_OF_SPACES or _is_plain(pattern.get("String", " "))
    return step["type"] in NORMALIZERS


def _divides(step: Mapping[str, Any] | None) -> bool:
    """Return whether a step divides texts at spaces, and looks no further than a space."""
    if step is None:
        return False
    if step["type"] == "Sequence":
        for part in step["pretokenizers"]:
            if _divides(part):
                return True
            if part["type"] not in DIVIDERS:
                return False
        return False
    if step["type"] == "Metaspace":
        return bool(step.get("split", True))
    if step["type"] == "ByteLevel":
        return bool(step.get("use_regex", True))
    return step["type"] in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")


def _is_plain(text: str) -> bool:
    return text.isascii() and bool(text) and not re.search(r"\s", text)
