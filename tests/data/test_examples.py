"""The stored form of a data set."""

from __future__ import annotations

import pytest

from taskbank.data.examples import Examples
from taskbank.errors import DamagedError

COLUMNS = {"text": ("a\u2028b", 'q"uote', "ünï"), "label": ("x", "y", "x")}


def test_examples_survive_their_stored_form() -> None:
    """Bytes give back the same columns, line separators inside a text and all."""
    examples = Examples(COLUMNS, "here")
    again = Examples.from_bytes(examples.to_bytes(), "there")
    assert again.columns == COLUMNS
    assert (len(again), again.origin, again.digest) == (3, "there", examples.digest)


def test_a_selection_keeps_the_order_it_is_given() -> None:
    """Positions choose rows of every column."""
    chosen = Examples(COLUMNS, "here").select([2, 0], "some")
    assert chosen.columns == {"text": ("ünï", "a\u2028b"), "label": ("x", "x")}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "line 1"),
        (b"\xff\n", "UTF-8"),
        (b'{"text":"a"}\nrubbish\n', "line 2"),
        (b'{"text":"a"}\n{"other":"a"}\n', "line 2"),
        (b'{"text":null}\n', "line 1"),
        (b'{"label":NaN}\n', "line 1"),
        (b'{"text":"a"}\n{"text":"b"}', "line 2 .* cut off"),
        (b'{"text":"a"}\n{"text": "b"}\n', "line 2"),
        (b'{"text":"a"}\r\n', "line 1"),
        (b'{"text":"a","text":"b"}\n', "line 1"),
        (b'{"text":"\\ud800"}\n', "line 1"),
        (b"[]\n", "line 1"),
        (b"{}\n", "line 1"),
        (b"[" * 100_000, "line 1"),
    ],
)
def test_bytes_that_are_no_examples_are_named(data: bytes, says: str) -> None:
    """Hostile bytes are an error that names the line."""
    with pytest.raises(DamagedError, match=says):
        Examples.from_bytes(data, "here")
