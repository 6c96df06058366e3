"""The bytes of files: unpacked, decoded and bounded, or refused with the way out."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from taskbank.data import files
from taskbank.data.remarks import Remark
from taskbank.data.style import Style
from taskbank.errors import DataError
from tests.helpers.sources import ODD_ROWS, read, read_texts, write

CONTENT = "text,label\ncafé,a\nthé,b\n"


def _zstd(data: bytes) -> bytes:
    buffer = pa.BufferOutputStream()
    with pa.CompressedOutputStream(buffer, "zstd") as stream:
        stream.write(data)
    return bytes(buffer.getvalue())


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": _zstd,
}


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.arrow"])
def test_packed_files_are_unpacked(tmp_path: Path, name: str, suffix: str) -> None:
    """Every format gives the same rows from a packed file, in parts or whole."""
    plain = Path(write(tmp_path / name, ODD_ROWS)).read_bytes()
    path = tmp_path / f"{name}{suffix}"
    path.write_bytes(PACKERS[suffix](plain[:20]) + PACKERS[suffix](plain[20:]))
    assert list(read(str(path)).rows()) == ODD_ROWS


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("spoil", ["cut", "flipped", "rubbish"])
def test_damaged_packed_files_are_refused(tmp_path: Path, suffix: str, spoil: str) -> None:
    """No row is lost silently at the end of a packed file."""
    packed = PACKERS[suffix](CONTENT.encode() * 99)
    middle = len(packed) // 2
    path = tmp_path / f"a.csv{suffix}"
    path.write_bytes(
        {
            "cut": packed[:-3],
            "flipped": packed[:middle] + bytes([packed[middle] ^ 255]) + packed[middle + 1 :],
            "rubbish": b"text,label\nx,a\n",
        }[spoil]
    )
    with pytest.raises(DataError, match=r"a\.csv\S* cannot be unpacked|a\.csv\S* is not UTF-8"):
        read(str(path))


def test_a_file_that_unpacks_to_very_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A packed file of nothing but zeros is not unpacked to its end."""
    monkeypatch.setattr(files, "FREE_BYTES", 1 << 20)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(bytes(1 << 26)))
    with pytest.raises(DataError, match=r"unpacks to more than [\d,]+: it is no packed text"):
        read(str(tmp_path / "a.csv.gz"))


def test_a_file_beyond_the_bound_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file too large for memory is refused with another way to store it."""
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    (tmp_path / "a.csv").write_text(CONTENT)
    with pytest.raises(DataError, match="more than 10 bytes: divide it, or save it as Parquet"):
        read(str(tmp_path / "a.csv"))


@pytest.mark.parametrize("name", ["/dev/zero", "pipe"])
@pytest.mark.parametrize("format_", ["csv", "parquet", "arrow", "txt"])
def test_what_is_no_file_is_refused_without_reading(
    tmp_path: Path, name: str, format_: str
) -> None:
    """A device that never ends and a pipe that nobody writes to do not hang."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is a device, a pipe or a socket"):
        read(str(tmp_path / name), style=Style(format=format_))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_names_the_encoding(tmp_path: Path, encoding: str) -> None:
    """Text as Windows programs save it is read, and another encoding than UTF-8 is said."""
    (tmp_path / "a.csv").write_bytes(CONTENT.encode(encoding))
    if encoding in ("utf-16", "utf-32"):
        with pytest.warns(Remark, match=f"is read as {encoding}"):
            assert read(str(tmp_path / "a.csv")).columns["text"] == ("café", "thé")
    else:
        assert read(str(tmp_path / "a.csv")).columns["text"] == ("café", "thé")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.txt"])
def test_the_advice_for_another_encoding_works(tmp_path: Path, name: str) -> None:
    """What is not UTF-8 is refused with the line, the bytes and an option that reads it."""
    text = {
        "a.csv": "text\nplain\ncafé\n",
        "a.tsv": "text\tmore\nplain\t1\ncafé\t2\n",
        "a.jsonl": '{"text": "plain"}\n\n{"text": "café"}\n',
        "a.txt": "plain\n\ncafé",
    }[name]
    (tmp_path / name).write_bytes(text.encode("cp1252"))
    with pytest.raises(DataError, match="is not UTF-8: line 3 has the bytes e9") as caught:
        read_texts(str(tmp_path / name))
    advised = re.search(r"--encoding (\S+) for", str(caught.value))
    assert advised is not None
    style = Style(encoding=advised[1])
    assert read_texts(str(tmp_path / name), style=style)[-1] == ("café",)


@pytest.mark.parametrize("encoding", ["utf-16", "ascii", "utf-8"])
def test_an_encoding_that_does_not_fit_is_refused(tmp_path: Path, encoding: str) -> None:
    """The encoding that the user names is not doubted, only tried."""
    (tmp_path / "a.csv").write_bytes("text\ncafé!\n".encode("cp1252"))
    with pytest.raises(DataError, match=f"(?i)a.csv is not {encoding}"):
        read_texts(str(tmp_path / "a.csv"), style=Style(encoding=encoding))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x1f\x8b\x08rest", "packed by gzip: give it the ending .gz"),
        (b"\x28\xb5\x2f\xfdrest", "packed by zstd: give it the ending .zst"),
        (b"PK\x03\x04rest", "zip archive or a workbook"),
        (b"PAR1rest", "is Parquet: give it the ending .parquet"),
    ],
)
def test_a_file_of_another_format_is_recognised(tmp_path: Path, content: bytes, says: str) -> None:
    """A workbook that is named .csv, and the like, is named for what it is."""
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=says):
        read(str(tmp_path / "a.csv"))


def test_standard_input_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash reads standard input in the format that is named, and asks for it otherwise."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CONTENT.encode())))
    assert read("-", style=Style(format="csv")).columns["label"] == ("a", "b")
    with pytest.raises(DataError, match="standard input is not known: add --format, one of csv"):
        read("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="no standard input"):
        read("-", style=Style(format="csv"))


def test_a_name_that_is_not_utf8_is_read_and_recorded_escaped(tmp_path: Path) -> None:
    """A file with odd bytes in its name can be read."""
    path = os.fsdecode(os.fsencode(tmp_path / "a") + b"\xff.csv")
    Path(path).write_text(CONTENT)
    assert read(path).origin.endswith(r"a\udcff.csv")
    Path(write(tmp_path / "a.parquet", ODD_ROWS)).rename(path + ".parquet")
    assert len(read(path + ".parquet")) == len(ODD_ROWS)
