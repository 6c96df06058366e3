"""Arrow files and streams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc

from taskbank.data.formats import typed
from taskbank.errors import DataError
from tests.helpers.sources import ODD_ROWS, read, write


def test_an_arrow_file_reads_as_an_arrow_stream_does(tmp_path: Path) -> None:
    """Both shapes of Arrow data are read."""
    table = pa.Table.from_pylist(ODD_ROWS)
    with ipc.new_file(tmp_path / "a.arrow", table.schema) as file:
        file.write_table(table)
    assert list(read(str(tmp_path / "a.arrow")).rows()) == ODD_ROWS


def test_a_column_name_that_is_not_utf8_is_found(tmp_path: Path) -> None:
    """A name that cannot be shown is an error of the file, not of the program."""
    path = tmp_path / "a.arrow"
    write(path, [{"more": "x", "text": "y", "label": "a"}])
    path.write_bytes(path.read_bytes().replace(b"more", b"mo\xff\xfe"))
    with pytest.raises(DataError, match=r"a.arrow cannot be read as arrow"):
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


@pytest.mark.parametrize("is_file", [True, False])
def test_positions_outside_of_the_values_are_found(tmp_path: Path, is_file: bool) -> None:
    """A text that is said to begin or end outside of the file's text does not end the process."""
    table = pa.table({"text": ["x", "y"], "label": ["a", "b"]})
    new = ipc.new_file if is_file else ipc.new_stream
    with new(tmp_path / "a.arrow", table.schema) as file:
        file.write_table(table)
    whole = (tmp_path / "a.arrow").read_bytes()
    places, outside = (np.array([0, 1, end], dtype="<i4").tobytes() for end in (2, 2**30))
    assert places in whole
    (tmp_path / "a.arrow").write_bytes(whole.replace(places, outside, 1))
    with pytest.raises(DataError, match=r"column 'text' of .* is damaged"):
        read(str(tmp_path / "a.arrow"))


@pytest.mark.parametrize("is_file", [True, False])
def test_only_the_columns_that_are_needed_are_read(tmp_path: Path, is_file: bool) -> None:
    """A column that is damaged does no harm if nobody asks for it."""
    offsets = pa.array([0, 1, 2], pa.int32()).buffers()[1]
    damaged = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xff\xfe")])
    table = pa.table({"other": damaged, "text": ["x", "y"], "label": ["a", "b"]})
    new = ipc.new_file if is_file else ipc.new_stream
    with new(tmp_path / "a.arrow", table.schema) as file:
        file.write_table(table, max_chunksize=1)
    assert list(read(str(tmp_path / "a.arrow")).columns["text"]) == ["x", "y"]


def test_values_beyond_the_bound_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column of more bytes than can be held is refused."""
    monkeypatch.setattr(typed, "MAX_BYTES", 5_000)
    path = write(tmp_path / "a.arrow", [{"text": "x" * 100, "label": "a"}] * 100)
    with pytest.raises(DataError, match=r"column 'text' of .* has values of more than 5,000 bytes"):
        read(path)
