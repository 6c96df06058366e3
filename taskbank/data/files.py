"""Reads the bytes of files: regular files and standard input only, unpacked, within bounds.

A file that ends with `.gz`, `.bz2` or `.zst` is unpacked. A small file that unpacks to very much is
no text, but an attack or a mistake.
"""

from __future__ import annotations

import codecs
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from taskbank.data.fields import preview
from taskbank.data.remarks import remark
from taskbank.data.style import Style
from taskbank.data.table import reason_of
from taskbank.errors import DataError

STANDARD_INPUT = "-"
PACKED: Mapping[str, str] = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
MAX_BYTES = 1 << 31  # of a file of text, unpacked, and of the values of one column
BLOCK = 1 << 22
MAX_SHOWN = 500  # number of characters of a name that an error shows
FREE_BYTES = 1 << 26  # up to this size, a file may unpack to any multiple of its size
MAX_RATIO = 40  # text is packed to a third of its size, and to a twentieth if it is all alike

# The first bytes of files that are taken for text, and what they are.
MAGIC: Mapping[bytes, str] = {
    b"\x1f\x8b": "is packed by gzip: give it the ending .gz after its own",
    b"\x28\xb5\x2f\xfd": "is packed by zstd: give it the ending .zst after its own",
    b"BZh": "is packed by bzip2: give it the ending .bz2 after its own",
    b"PK\x03\x04": "is a zip archive or a workbook, such as .xlsx: unpack it, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "is an old workbook (.xls): save it as CSV",
    b"PAR1": "is Parquet: give it the ending .parquet, or add --format parquet",
    b"ARROW1": "is an Arrow file: give it the ending .arrow, or add --format arrow",
    b"FEA1": "is a Feather file: give it the ending .feather, or add --format arrow",
    b"%PDF": "is a PDF: save its text",
}
BYTE_ORDER_MARKS: Mapping[bytes, str] = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is the beginning of this one
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class File:
    """A file to read.

    Attributes:
        source: the file as the user wrote it, for errors; `-` is standard input.
        style: what is said about the file.
    """

    source: str
    style: Style

    @property
    def shown(self) -> str:
        """The file's name for errors."""
        if self.source == STANDARD_INPUT:
            return "standard input"
        if len(self.source) > MAX_SHOWN:
            return preview(self.source)
        return "".join(
            sign if sign.isprintable() else sign.encode("unicode_escape").decode()
            for sign in self.source
        )

    @property
    def packing(self) -> str | None:
        """How the file is packed, such as `gzip`, or None."""
        return PACKED.get(Path(self.source).suffix.lower())

    @property
    def suffix(self) -> str:
        """The ending that names the format, in lower case; empty without one."""
        path = Path(self.source)
        return Path(path.stem if self.packing else path.name).suffix.lower()

    @cached_property
    def content(self) -> bytes:
        """The bytes of the file, unpacked.

        Raises:
            DataError: if there is no such file, or it cannot be read, or it is too large.
        """
        if self.source == STANDARD_INPUT:
            return self._bounded(_standard_input(), None)
        size = self.check()
        done = "unpacked" if self.packing else "read"
        try:
            with Path(self.source).open("rb") as file:
                if self.packing is None:
                    return self._bounded(file, None)
                return self._bounded(pa.CompressedInputStream(file, self.packing), size)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{self.shown} cannot be {done}: {reason_of(error)}") from None

    def check(self) -> int:
        """Return the size of the file, or raise if it is no regular file.

        Raises:
            DataError: if there is no such file, or it is a device, a pipe or a socket.
        """
        try:
            found = Path(self.source).stat()
        except FileNotFoundError:
            raise DataError(
                f"{self.shown} does not exist: give a file, a folder or hf:NAME"
            ) from None
        except OSError as error:
            raise DataError(f"{self.shown} cannot be read: {error.strerror}") from None
        except ValueError as error:  # the name has a NUL character
            raise DataError(f"{self.shown} cannot be read: {error}") from None
        if not stat.S_ISREG(found.st_mode):
            raise DataError(
                f"{self.shown} is a device, a pipe or a socket, not a file: give a file, or - to "
                "read standard input"
            )
        return found.st_size

    def random_access(self) -> pa.NativeFile:
        """Return the file open for reading at any place, without reading it whole.

        Raises:
            DataError: if there is no such file, or it cannot be read.
        """
        if self.source == STANDARD_INPUT or self.packing is not None:
            return pa.BufferReader(self.content)
        self.check()
        try:
            return pa.PythonFile(Path(self.source).open("rb"), mode="r")
        except OSError as error:
            raise DataError(f"{self.shown} cannot be read: {reason_of(error)}") from None

    def text(self) -> str:
        """Return the text of the file, without a byte order mark.

        Raises:
            DataError: if the file is empty, or is not text in the encoding that was given or, by
                default, in UTF-8.
        """
        data = self.content
        if not data.strip():
            raise DataError(f"{self.shown} is empty")
        for magic, problem in MAGIC.items():
            if data.startswith(magic):
                raise DataError(f"{self.shown} {problem}")
        marked = next(
            (name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)), None
        )
        encoding = self.style.encoding or marked or "utf-8"
        if codecs.lookup(encoding).name == "utf-8":
            encoding = "utf-8-sig"
        try:
            text = data.decode(encoding)
        except UnicodeError as error:
            raise DataError(self._not_text(data, encoding, error)) from None
        if self.style.encoding is None and marked not in (None, "utf-8-sig"):
            remark(f"{self.shown} is read as {marked}, by its byte order mark")
        if not text.strip():
            raise DataError(f"{self.shown} is empty")
        return text

    def _not_text(self, data: bytes, encoding: str, error: UnicodeError) -> str:
        name = encoding.removesuffix("-sig")
        if not isinstance(error, UnicodeDecodeError):
            return f"{self.shown} is not {name} ({error}): name its encoding with --encoding"
        line = data[: error.start].count(b"\n") + 1
        wrong = data[error.start : error.end]
        return (
            f"{self.shown} is not {name.upper()}: line {line:,} has the bytes {wrong.hex(' ')}, "
            f"which are no character ({error.reason}); name its encoding with --encoding, such as "
            "--encoding cp1252 for a file from a Windows program"
        )

    def _bounded(self, stream: Any, packed_size: int | None) -> bytes:
        blocks, size = [], 0
        while block := stream.read(BLOCK):
            blocks.append(block)
            size += len(block)
            if size > MAX_BYTES:
                raise DataError(
                    f"{self.shown} has more than {MAX_BYTES:,} bytes: divide it, or save it as "
                    "Parquet"
                )
            if packed_size is not None and size > max(FREE_BYTES, MAX_RATIO * packed_size):
                raise DataError(
                    f"{self.shown} has {packed_size:,} bytes and unpacks to more than {size:,}: "
                    "it is no packed text; unpack it yourself if you trust it"
                )
        return b"".join(blocks)


def _standard_input() -> BinaryIO:
    stream: BinaryIO | None = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise DataError("there is no standard input to read")
    return stream
