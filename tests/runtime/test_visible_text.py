"""Characters that control a terminal or show a text other than it is."""

from __future__ import annotations

import json

import pytest

from taskbank.runtime.visible_text import is_visible, visible, visible_json

UNSAFE = {
    "\x1b[31m": r"\x1b[31m",
    "\x00": r"\x00",
    "\x9b": r"\x9b",
    "\x7f": r"\x7f",
    "\r": r"\r",
    "\u202e": r"\u202e",
    "\u2066": r"\u2066",
    "\u2028": r"\u2028",
    "\u200b": r"\u200b",
    "\ufeff": r"\ufeff",
    "\udc80": r"\udc80",
    "\U000e0041": r"\U000e0041",
}


@pytest.mark.parametrize("text", UNSAFE)
def test_what_is_not_seen_or_acts_on_a_terminal_is_escaped(text: str) -> None:
    """Escapes show which character is there, in text and in JSON that means the same."""
    assert visible(f"a{text}b") == f"a{UNSAFE[text]}b"
    assert not is_visible(text, lines=True)
    written = visible_json(json.dumps(text, ensure_ascii=False))
    assert written.isascii()
    assert written.isprintable()
    assert json.loads(written) == text


@pytest.mark.parametrize(
    "text", ["plain", "größer", "日本\u3000語", "\N{FAMILY}\u200d\N{WOMAN}", "a\u00a0b", "שלום"]
)
def test_ordinary_text_stays(text: str) -> None:
    """Letters of any script, wide and fixed spaces and joined emoji are shown as they are."""
    assert visible(text) == text
    assert visible_json(text) == text
    assert is_visible(text)


def test_line_breaks_are_kept_where_they_are_wanted() -> None:
    """A message may have lines; a name or a cell may not make one."""
    assert visible("a\n\tb") == "a\n\tb"
    assert visible("a\n\tb", lines=False) == r"a\n\tb"
    assert is_visible("a\nb", lines=True)
    assert not is_visible("a\nb")
