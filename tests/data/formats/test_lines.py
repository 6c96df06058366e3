"""Plain text: one text per line."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.data.remarks import Remark
from taskbank.errors import DataError
from taskbank.kinds.pair import PAIR
from tests.helpers.sources import read_texts


def test_lines_of_text_are_only_that(tmp_path: Path) -> None:
    """A .txt file keeps what is in a line, and is refused where columns are needed."""
    path = tmp_path / "a.TXT"
    path.write_bytes(b"\xef\xbb\xbffirst\tone\r\nsecond\xe2\x80\xa8line")
    assert read_texts(str(path)) == [("first\tone",), ("second\u2028line",)]
    with pytest.raises(DataError, match="leave out --text 'body'"):
        read_texts(str(path), text="body")
    with pytest.raises(DataError, match="columns text_a, text_b"):
        read_texts(str(path), PAIR)
    path.write_text("\n")
    with pytest.raises(DataError, match="is empty"):
        read_texts(str(path))


def test_blank_lines_are_left_out(tmp_path: Path) -> None:
    """A blank line between texts is said; those at the end are nothing."""
    (tmp_path / "a.txt").write_text("first\n\n  \nfourth\n\n")
    with pytest.warns(Remark, match=r"2 blank rows of .* left out: line 2, 3$"):
        assert read_texts(str(tmp_path / "a.txt")) == [("first",), ("fourth",)]
