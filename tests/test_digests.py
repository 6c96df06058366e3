"""Canonical JSON and digests."""

from __future__ import annotations

import math

import pytest

from taskbank.digests import DIGEST, canonical_json, digest_bytes, digest_json


def test_equal_values_have_one_text() -> None:
    """Keys are sorted, nothing is spaced, and letters stay letters."""
    assert canonical_json({"b": [1, 2.5, None], "a": "ü"}) == '{"a":"ü","b":[1,2.5,null]}'
    assert canonical_json({"a": 1, "b": 2}) == canonical_json({"b": 2, "a": 1})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_does_not_have_is_an_error(value: float) -> None:
    """NaN and infinities have no canonical text."""
    with pytest.raises(ValueError, match="JSON"):
        canonical_json([value])


def test_a_digest_is_that_of_sha_256() -> None:
    """Digests are tagged SHA-256: of bytes, and of the canonical text of a value."""
    abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest_bytes(b"abc") == digest_bytes(memoryview(b"abc")) == abc
    assert digest_json({"b": 1, "a": 2}) == digest_bytes(b'{"a":2,"b":1}')
    assert DIGEST.fullmatch(abc)
