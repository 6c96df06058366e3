"""Finds and escapes characters that control a terminal, or that show a text other than it is.

These are control characters, marks that change the direction of text, invisible format
characters, line and paragraph separators, and halves of a surrogate pair. The two joiners are
left alone, since scripts and emoji need them.
"""

from __future__ import annotations

import re
import unicodedata

CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
KEPT = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
SHORT = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}
NOT_PLAIN = re.compile(r"[^ -~]")  # whatever is not printable ASCII is looked at


def is_visible(text: str, *, lines: bool = False) -> bool:
    """Return whether a text has no character that `visible` would escape.

    Args:
        text: any text.
        lines: whether line breaks and tabs are allowed.
    """
    return visible(text, lines=lines) == text


def visible(text: str, *, lines: bool = True) -> str:
    r"""Return a text with every such character as an escape, such as `\x1b` or `\u202e`.

    Args:
        text: any text.
        lines: whether line breaks and tabs stay as they are.
    """
    kept = KEPT + "\n\t" if lines else KEPT

    def escape(match: re.Match[str]) -> str:
        sign = match[0]
        if sign in kept or unicodedata.category(sign) not in CATEGORIES:
            return sign
        code = ord(sign)
        if code < 0x100:
            return SHORT.get(sign, rf"\x{code:02x}")
        return rf"\u{code:04x}" if code < 0x10000 else rf"\U{code:08x}"

    return NOT_PLAIN.sub(escape, text)


def visible_json(text: str) -> str:
    r"""Return JSON text in which these characters are escapes of JSON, such as `\u009b`."""

    def escape(match: re.Match[str]) -> str:
        sign = match[0]
        if sign in KEPT or sign == "\n" or unicodedata.category(sign) not in CATEGORIES:
            return sign
        units = sign.encode("utf-16-be", "surrogatepass").hex()
        return "".join(rf"\u{units[start : start + 4]}" for start in range(0, len(units), 4))

    return NOT_PLAIN.sub(escape, text)
