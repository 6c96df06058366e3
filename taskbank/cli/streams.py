"""Standard output and error that take any text, and never end a command.

The encoding of a stream may be any, such as latin-1, or cp1252 where Windows redirects the output.
Characters that it lacks are written as escapes. What cannot be written because the reader is gone,
as after `| head -1`, is discarded: the command does its work and exits with its own exit code. Any
other failure, such as a full disk, is reported at the end.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Any, TextIO

from taskbank.errors import ResourceError

ASCII = "ascii-only"  # click writes UTF-8 to streams whose encoding it recognises as ASCII
NAMES = ("stdin", "stdout", "stderr")


class Output(io.RawIOBase):
    """The bytes of a standard stream; after a failure, everything is discarded.

    Args:
        raw: the stream.

    Attributes:
        failure: the error after which everything was discarded.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.failure: OSError | None = None

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the number of the stream."""
        return self._raw.fileno()

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self._raw.isatty()

    def write(self, data: Any) -> int | None:
        """Write bytes, or discard them."""
        if self.failure is None:
            try:
                return self._raw.write(data)
            except OSError as error:
                self.failure = error
        return len(data)


def prepare_streams() -> None:
    """Replace the standard streams of this process, which is the command line's own."""
    codecs.register(_ascii_only)
    for number, name in enumerate(NAMES):
        if getattr(sys, name) is None:
            _open_null(number, name)
    for name in NAMES[1:]:
        setattr(sys, name, _safe(getattr(sys, name)))


def check_output() -> None:
    """Raise if some output could not be written, except if its reader was gone.

    Raises:
        ResourceError: if the output is incomplete.
    """
    failure = getattr(getattr(getattr(sys.stdout, "buffer", None), "raw", None), "failure", None)
    if failure is not None and not isinstance(failure, BrokenPipeError):
        raise ResourceError(
            f"the output could not be written: {failure.strerror}; what the command recorded "
            "remains recorded"
        )


def encodable(text: str) -> str:
    """Return a text as standard output shows it, with escapes for characters that it lacks."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _safe(stream: TextIO) -> TextIO:
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # PYTHONUNBUFFERED leaves out the buffer
    if not isinstance(raw, io.RawIOBase):
        return stream
    ascii_only = codecs.lookup(stream.encoding).name == "ascii"
    return io.TextIOWrapper(
        io.BufferedWriter(Output(raw)),
        encoding=ASCII if ascii_only else stream.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


def _open_null(number: int, name: str) -> None:
    """Open the null device in place of a closed stream, so that no other file gets its number."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        os.fstat(number)
    except OSError:
        os.dup2(null, number)
    if null != number:
        os.close(null)
    stream = os.fdopen(number, "r" if name == "stdin" else "w", encoding="utf-8")
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)  # which keeps it open once it is replaced


def _ascii_only(name: str) -> codecs.CodecInfo | None:
    if name.replace("_", "-") != ASCII:
        return None
    plain = codecs.lookup("ascii")
    return codecs.CodecInfo(
        name=ASCII,
        encode=plain.encode,
        decode=plain.decode,
        incrementalencoder=plain.incrementalencoder,
        incrementaldecoder=plain.incrementaldecoder,
    )
