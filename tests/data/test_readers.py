"""Readers: every file format gives the same rows, and says what is wrong with a file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from taskbank import plugins
from taskbank.digests import Json
from taskbank.errors import DataError
from taskbank.kinds.pair import PAIR
from tests.helpers.rows import ROWS
from tests.helpers.sources import ODD_ROWS, read, read_texts, write


@pytest.mark.parametrize(
    "name", ["a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet", "a.arrow", "a.feather", "saved"]
)
def test_every_format_gives_the_same_examples_and_digest(tmp_path: Path, name: str) -> None:
    """Texts come out letter for letter as they went in, whatever the format."""
    rows = [row for row in ODD_ROWS if "\n" not in row["text"]] if name == "a.tsv" else ODD_ROWS
    examples = read(write(tmp_path / name, rows))
    assert list(examples.rows()) == rows
    same = read(write(tmp_path / "same.jsonl", rows))
    assert examples.digest == same.digest


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.arrow", "saved"])
@pytest.mark.parametrize("kind", plugins.names("kinds"))
def test_every_format_holds_the_examples_of_every_kind(
    tmp_path: Path, kind: str, name: str
) -> None:
    """Numbers, lists and answers come out alike from typed columns and, as JSON, from text."""
    rows = ROWS[kind](8)
    written = rows
    if name in ("a.csv", "a.tsv"):
        written = [{column: _as_text(value) for column, value in row.items()} for row in rows]
    examples = read(write(tmp_path / name, written), plugins.load("kinds", kind))
    assert list(examples.rows()) == rows


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def test_an_arrow_file_reads_as_an_arrow_stream_does(tmp_path: Path) -> None:
    """Both shapes of Arrow data are read."""
    table = pa.Table.from_pylist(ODD_ROWS)
    with ipc.new_file(tmp_path / "a.arrow", table.schema) as file:
        file.write_table(table)
    assert list(read(str(tmp_path / "a.arrow")).rows()) == ODD_ROWS


def test_a_tsv_has_no_quotes(tmp_path: Path) -> None:
    """A text that begins with a quote does not swallow the rows after it."""
    (tmp_path / "a.tsv").write_text('text\tlabel\n"open\tx\nnext\ty\n')
    assert read(str(tmp_path / "a.tsv")).columns["text"] == ('"open', "next")


def test_a_byte_order_mark_is_no_part_of_a_column_name(tmp_path: Path) -> None:
    """A CSV file saved by a spreadsheet reads as any other."""
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbftext,label\nx,a\ny,b\n")
    assert read(str(tmp_path / "a.csv")).columns["label"] == ("a", "b")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "does not exist: give a file|cannot be read"),
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"text,label\n", "has no rows"),
        (b"text,class\nx,a\n", "no column 'label'; its columns are text, class.*--label"),
        (b"body,label\nx,a\n", "no column 'text'.*--text"),
        (b"text,label\nx,a\n,b\n  ,c\n", "2 rows .* have no text .*row 2, 3"),
        (b"text,label\nx,a\ny,\n", "1 rows .* have no label .*row 2"),
        (b"text,label\nx,a\nlonely\n", "row 2 .* has 1 values and the header 2.*'lonely'"),
        (b"text,label\nx,a,too,many\n", "row 1 .* has 4 values and the header 2"),
        (b'text,label\nx,a\n"y\nz",b\nu,"open\nv,c\n', "never closed.* line 5"),
        (b'text,label\n"a"b,x\n', "begins on line 2"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"one\x1b[31m,label\nx,a\n", r"its columns are 'one\\x1b\[31m', label"),
        (b"word " * 999 + b",label\nx,a\n", "its columns are '[word ]{40}'…, label"),
        (b"text,text,label\nx,y,a\n", "more than one column 'text'"),
        (b"text,label\n\xe9t\xe9,a\n", "not UTF-8"),
        (b"text,label\na\x00b,a\n", "NUL"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "not UTF-8"),
    ],
)
def test_a_csv_file_that_is_not_usable_says_why(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    """Each defect of a CSV file is an error that names the file, the place and the way out."""
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        read(str(path))
    assert "a.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('{"text": "x", "label": "a"}\n[1]\n', "line 2 .* one object per line"),
        ('{"text": "x", "label": "a"}\n{"text": \n', "line 2 .* is not JSON"),
        ("[" * 100_000 + "\n", "is not JSON"),
        ('{"text": "x", "label": 0.5}\n', "holds fractions"),
        ('{"text": "x", "label": NaN}\n', "holds fractions"),
        ('{"text": 5, "label": "a"}\n', "not text"),
        ('{"text": "x", "label": ["a"]}\n', "not one class per row"),
        ('{"text": "x", "label": "a"}\n{"text": "y", "label": 1}\n', "one type in every row"),
        ('{"text": "x"}\n{"label": "a"}\n', "have no text"),
        ('{"text": "\\ud800", "label": "a"}\n', "row 1 .* half a surrogate"),
        ('{"text": null, "label": "a"}\n', "have no text"),
        ('{"text": "x", "text": "y", "label": "a"}\n', "line 1 .* repeats the key 'text'"),
        ('{"text": "x", "label": "a\\u0000"}\n', "row 1 .* NUL"),
        (f'{{"text": "x", "label": {2**70}}}\n', f"row 1 .* {2**70} in 'label', .*cannot be read"),
        (
            '{"text": "x", "label": "a"}\n{"text": "y", "label": ["\\udc00"]}\n',
            "row 2 .* surrogate",
        ),
    ],
)
def test_json_lines_that_are_not_usable_say_why(tmp_path: Path, lines: str, says: str) -> None:
    """Each defect of a JSON Lines file is an error that names the line or row."""
    (tmp_path / "a.jsonl").write_text(lines)
    with pytest.raises(DataError, match=says):
        read(str(tmp_path / "a.jsonl"))


def test_a_blank_line_is_a_missing_text_only_where_a_row_is_one_value(tmp_path: Path) -> None:
    """No text to predict is lost without a word, and blank lines between rows do no harm."""
    (tmp_path / "two.csv").write_text("\ntext,label\nx,a\n\ny,b\n\n")
    assert read(str(tmp_path / "two.csv")).columns["text"] == ("x", "y")
    (tmp_path / "one.csv").write_text("text\nx\n\ny\n")
    with pytest.raises(DataError, match="row 2"):
        read_texts(str(tmp_path / "one.csv"))


def test_a_value_of_any_length_is_read(tmp_path: Path) -> None:
    """A text longer than Python's usual limit for CSV is read, and the limit is as before."""
    usual = csv.field_size_limit()
    path = write(tmp_path / "a.csv", [{"text": "word " * 40_000, "label": "a"}])
    assert len(read(path).columns["text"][0]) == 200_000
    assert csv.field_size_limit() == usual


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_values_that_are_not_utf8_are_found_in_typed_files(tmp_path: Path, name: str) -> None:
    """Arrow itself does not look, so a damaged text would otherwise surface later."""
    offsets = pa.array([0, 1, 2], pa.int32()).buffers()[1]
    texts = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xff\xfe")])
    table = pa.table({"text": texts, "label": ["a", "b"]})
    if name == "a.parquet":
        parquet.write_table(table, tmp_path / name)
    else:
        with ipc.new_file(tmp_path / name, table.schema) as file:
            file.write_table(table)
    with pytest.raises(DataError, match=f"column 'text' of .*{name} is damaged"):
        read(str(tmp_path / name))


def test_a_column_name_that_is_not_utf8_is_found(tmp_path: Path) -> None:
    """A name that cannot be shown is an error of the file, not of the program."""
    path = tmp_path / "a.arrow"
    write(path, [{"more": "x", "text": "y", "label": "a"}])
    path.write_bytes(path.read_bytes().replace(b"more", b"mo\xff\xfe"))
    with pytest.raises(DataError, match=r"a.arrow cannot be read as .arrow"):
        read(str(path))


def test_an_arrow_dictionary_that_points_outside_is_found(tmp_path: Path) -> None:
    """Labels by number into a list of names are checked against the list."""
    labels = pa.DictionaryArray.from_arrays(
        pa.array([0, 9], pa.int32()), pa.array(["a", "b"]), safe=False
    )
    table = pa.table({"text": ["x", "y"], "label": labels})
    with ipc.new_file(tmp_path / "a.arrow", table.schema) as file:
        file.write_table(table)
    with pytest.raises(DataError, match=r"column 'label' of .* is damaged"):
        read(str(tmp_path / "a.arrow"))


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.feather", "a.jsonl", "a.csv"])
@pytest.mark.parametrize("spoil", ["rubbish", "truncated"])
def test_rubbish_in_any_format_is_no_traceback(tmp_path: Path, name: str, spoil: str) -> None:
    """Random bytes and files cut in the middle give one clear error."""
    path = tmp_path / name
    write(path, [{"text": "word " * 50, "label": "a"}] * 50)
    whole = path.read_bytes()
    path.write_bytes(bytes(range(256)) * 8 if spoil == "rubbish" else whole[: len(whole) // 2 - 5])
    with pytest.raises(DataError, match=name):
        read(str(path))


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
