"""Reading labelled text: every format, every way it can be wrong."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

from taskbank.errors import DataError
from taskbank.kinds.multilabel import MULTILABEL
from taskbank.kinds.pair import PAIR
from taskbank.kinds.regression import REGRESSION
from taskbank.kinds.span import SPAN
from taskbank.kinds.tagging import TAGGING
from tests.helpers.sources import ODD_ROWS, read, read_texts, write


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3, 1], ("3", "1")), ([True, False], ("true", "false"))],
)
def test_labels_of_other_types_become_their_names(
    tmp_path: Path, values: list[Any], expected: tuple[str, ...]
) -> None:
    """Whole numbers and truth values are classes by name."""
    rows = [{"text": "x", "label": value} for value in values]
    assert read(write(tmp_path / "a.parquet", rows)).columns["label"] == expected


def test_other_columns_are_named_by_options(tmp_path: Path) -> None:
    """Columns of any name become the canonical ones."""
    path = write(tmp_path / "a.csv", [{"q1": "a", "q2": "b", "same": "1"}] * 2)
    examples = read(path, PAIR, text="q1", text_pair="q2", label_column="same")
    assert next(examples.rows()) == {"text_a": "a", "text_b": "b", "label": "1"}


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        ({"text": "x"}, {}, {"text": "x"}),
        ({"text_a": "x", "text_b": "y"}, {}, {"text_a": "x", "text_b": "y"}),
        ({"text": "t", "text_a": "x", "text_b": "y"}, {}, {"text": "t"}),
        ({"body": "x"}, {"text": "body"}, {"text": "x"}),
        ({"text_a": "x", "two": "y"}, {"text_pair": "two"}, {"text_a": "x", "text_b": "y"}),
        (
            {"one": "x", "two": "y"},
            {"text": "one", "text_pair": "two"},
            {"text_a": "x", "text_b": "y"},
        ),
    ],
)
def test_a_kind_of_one_text_or_two_takes_what_is_there(
    tmp_path: Path, columns: dict[str, str], options: dict[str, str], expected: dict[str, str]
) -> None:
    """Options say how many texts make an input; without them, the columns do."""
    path = write(tmp_path / "a.csv", [columns | {"label": "0.5"}])
    assert next(read(path, REGRESSION, **options).rows()) == expected | {"label": 0.5}


@pytest.mark.slow
def test_values_nested_to_any_depth_are_no_traceback(tmp_path: Path) -> None:
    """What Python can just about read, but neither write nor show, is an error like any other."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 150)  # Arrow takes its time with deeper ones
    try:
        for depth in range(2, 160):
            nested = "[" * depth + "]" * depth
            (tmp_path / "a.jsonl").write_text(f'{{"text": "x", "labels": {nested}}}')
            with pytest.raises(DataError, match=r"a\.jsonl"):
                read(str(tmp_path / "a.jsonl"), MULTILABEL)
    finally:
        sys.setrecursionlimit(usual)


def test_columns_that_are_not_asked_for_may_hold_anything(tmp_path: Path) -> None:
    """A column of mixed types, huge numbers or broken text does not stop its neighbours."""
    others = ["1", "0.5", str(2**70), '{"k": "\\ud800"}', '[1, "a"]']
    lines = [f'{{"text": "x", "label": "a", "o": {o}, "\\udc00": 1}}\n' for o in others]
    (tmp_path / "a.jsonl").write_text("".join(lines))
    assert len(read(str(tmp_path / "a.jsonl"))) == len(others)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("a.xlsx", "does not exist"),
        ("notes.md", r"ending '.md'"),
        ("hf:", "write hf:NAME"),
        ("hf:a/b/c/d", "write hf:NAME"),
        ("hf:csv", "names a file format"),
        ("x" * 5000 + ".csv", "cannot be read"),
        ("a\x00.csv", "cannot be read"),
        ("hf:no-such-data-set-here", "cannot be loaded from the hub"),
        ("empty-folder", "save_to_disk"),
    ],
)
def test_other_sources_that_are_not_usable_say_why(tmp_path: Path, source: str, says: str) -> None:
    """An unknown ending, a folder of something else and a wrong hub name are named."""
    (tmp_path / "notes.md").write_text("x")
    (tmp_path / "empty-folder").mkdir()
    with pytest.raises(DataError, match=says):
        read(source)


def test_a_pair_option_for_a_single_text_is_refused(tmp_path: Path) -> None:
    """Second texts are not silently ignored."""
    path = write(tmp_path / "a.jsonl", ODD_ROWS)
    with pytest.raises(DataError, match="--kind pair"):
        read(path, text_pair="label")


def test_texts_to_predict_come_from_lines_or_columns(tmp_path: Path) -> None:
    """A .txt file gives a text a line, every other format its text column without labels."""
    (tmp_path / "a.txt").write_text("first\nsecond\n")
    assert read_texts(str(tmp_path / "a.txt")) == [("first",), ("second",)]
    path = write(tmp_path / "a.csv", [{"text": "x"}, {"text": "y"}])
    assert read_texts(path) == [("x",), ("y",)]


def test_inputs_of_every_shape_come_from_columns(tmp_path: Path) -> None:
    """Questions with contexts, and lists of words or lines of text, are read without labels."""
    path = write(tmp_path / "a.csv", [{"q": "who?", "context": "Ada", "answers": "rubbish"}])
    assert read_texts(path, SPAN, text="q") == [("who?", "Ada")]
    words = write(tmp_path / "w.jsonl", [{"words": ["Ada", "lives"]}])
    assert read_texts(words, TAGGING) == [(["Ada", "lives"],)]
    (tmp_path / "a.txt").write_text("Ada lives here")
    assert read_texts(str(tmp_path / "a.txt"), TAGGING) == [("Ada lives here",)]
    with pytest.raises(DataError, match="--text-pair 'q' names second texts"):
        read_texts(words, TAGGING, text_pair="q")
