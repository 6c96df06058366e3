"""Tables: readable on a terminal of any width, whole where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.terminal import Screen

PROSE = "a very good day and quite a bright one with a film that was lovely"
COLUMNS = ("label", ">score", "text")
ROWS = [("praise", "0.9876", PROSE), ("blame", "0.5000", "it was bad")]


def test_where_there_is_no_terminal_a_table_is_whole(screen: Screen) -> None:
    """A pipe gets every column and a line a row, however long."""
    wide = "x " * 300 + "end"
    lines = screen.table(None, (*COLUMNS, "more"), [(*ROWS[0], wide)], ("text",))
    assert len(lines) == 3
    assert lines[0].split() == ["label", "score", "text", "more"]
    assert lines[2] == f"praise   0.9876   {PROSE}   {wide}"


def test_a_table_that_fits_is_the_same_on_a_terminal(screen: Screen) -> None:
    """Nothing is folded or left out where there is room."""
    assert screen.table(120, COLUMNS, ROWS, ("label",)) == screen.table(None, COLUMNS, ROWS)


@pytest.mark.parametrize("width", range(28, 100, 3))
def test_only_the_text_is_folded_and_only_between_words(screen: Screen, width: int) -> None:
    """Every word of the table is whole on some line, and no line is wider than the terminal."""
    lines = screen.table(width, COLUMNS, ROWS)
    assert all(len(line) <= width for line in lines)
    words = {word for line in lines for word in line.split()}
    assert words >= {*PROSE.split(), *COLUMNS[::2], "score", "praise", "0.9876", "blame", "bad"}
    assert lines[2].split()[:2] == ["praise", "0.9876"]


def test_two_long_texts_share_what_room_there_is(screen: Screen) -> None:
    """A long answer does not leave its question a few letters a line."""
    lines = screen.table(40, COLUMNS, [(PROSE, "0.5000", PROSE)])
    assert all(len(line) <= 40 for line in lines)
    assert len(lines) <= 2 + 6


def test_a_long_word_is_cut_only_in_the_last_column(screen: Screen) -> None:
    """An address in a text does not cost the table; in a name it would not be the same name."""
    address = "https://example.org/" + "x" * 60
    lines = screen.table(60, COLUMNS, [("praise", "0.5", address)])
    assert lines[0].split() == ["label", "score", "text"]
    assert "".join(line.split()[-1] for line in lines[2:]) == address
    assert screen.table(60, COLUMNS, [(address, "0.5", "praise")])[0] == f"label  {address}"


def test_optional_columns_go_first_and_in_their_order(screen: Screen) -> None:
    """A narrow terminal does without what was said to matter least."""
    columns, row = ("name", ">a", ">b"), ("n" * 20, "1" * 20, "2" * 20)
    kept = {
        width: screen.table(width, columns, [row], (">b", ">a"))[0].split()
        for width in (66, 64, 63, 42, 41, 20)
    }
    assert kept == {
        66: ["name", "a", "b"],
        64: ["name", "a", "b"],
        63: ["name", "a"],
        42: ["name", "a"],
        41: ["name"],
        20: ["name"],
    }


def test_a_terminal_too_narrow_for_a_table_gets_a_line_a_heading(screen: Screen) -> None:
    """Where not even folding does, a row is a block; what is empty is left out of it."""
    rows = [("sst2-houlsby@1", "ok", "0.9000"), ("cola@12", "", "0.5000")]
    assert screen.table(20, ("adapter", "status", ">recorded"), rows) == [
        "adapter   sst2-houlsby@1",
        "status    ok",
        "recorded  0.9000",
        "",
        "adapter   cola@12",
        "recorded  0.5000",
    ]


def test_wide_letters_take_two_places(screen: Screen) -> None:
    """Chinese is folded by what it takes on a screen."""
    lines = screen.table(40, COLUMNS, [("好", "0.5", "今天天气很好" * 5)])
    assert all(len(line.encode("gbk")) <= 40 for line in lines if "─" not in line)
    assert sum(line.count("气") for line in lines) == 5


@pytest.mark.parametrize("rows", [[], [("", "", "")]])
def test_a_table_of_nothing_is_its_headings(screen: Screen, rows: list[Any]) -> None:
    """No rows, or empty ones, are no error."""
    assert screen.table(60, COLUMNS, rows)[0].split() == ["label", "score", "text"]
