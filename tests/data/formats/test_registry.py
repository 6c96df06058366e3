"""Every format of files gives the same rows, and says what is wrong with a file."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from taskbank import plugins
from taskbank.digests import Json
from taskbank.errors import DataError
from taskbank.kinds.single import SINGLE
from taskbank.kinds.tagging import TAGGING
from tests.helpers.rows import ROWS
from tests.helpers.sources import ODD_ROWS, read, write


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


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.arrow", "a.feather", "a.conll"]
)
def test_a_changed_byte_anywhere_is_no_traceback(tmp_path: Path, name: str) -> None:
    """With any byte changed, a file is read, or refused by an error that names it."""
    path = tmp_path / name
    kind = TAGGING if name == "a.conll" else SINGLE
    if name == "a.conll":
        path.write_text("".join(f"w{number} {'BO'[number % 2]}\n\n" for number in range(30)))
    else:
        rows = [{"text": f"{number} days", "label": "ab"[number % 2]} for number in range(30)]
        write(path, rows)
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x85]) + whole[place + 1 :])
        try:
            assert len(read(str(path), kind)) > 0
        except DataError as error:
            assert name in str(error)  # noqa: PT017 - a refusal is allowed, nothing else
