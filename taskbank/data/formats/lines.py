"""Plain text: one text per line, without columns."""

from __future__ import annotations

import re

import pyarrow as pa

from taskbank.data.files import File
from taskbank.data.table import Table

LINE_END = re.compile(r"\r\n|\n")


def read_lines(file: File) -> Table:
    """Return the lines of a file as a table with the column `text`; blank lines are left out."""
    lines = LINE_END.split(file.text())
    while not lines[-1].strip():
        lines.pop()
    texts = [line for line in lines if line.strip()]
    values = pa.chunked_array([pa.array(texts, pa.string())])
    blank = [number for number, line in enumerate(lines, start=1) if not line.strip()]
    return Table(file.shown, ("text",), len(texts), lambda _: values, blank=blank, is_lines=True)
