"""JSON from and to clients."""

from __future__ import annotations

import pytest

from taskbank.serve.http.json_text import json_bytes, parse_json


def test_values_come_back() -> None:
    """What is written is read as it was, whatever its characters."""
    value = {"text": "é \ud800 😀 \u2028", "score": 0.1, "labels": []}
    assert json_bytes(value).isascii()
    assert parse_json(json_bytes(value)) == value


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"NaN", b"-Infinity", b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"\xff",
     b"\xef\xbb\xbf{}", b"\x00", b"'a'"],
)  # fmt: skip
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """Numbers that JSON does not know, deep nesting, and bytes that are no UTF-8 are refused."""
    with pytest.raises(ValueError, match=r"."):
        parse_json(body)
