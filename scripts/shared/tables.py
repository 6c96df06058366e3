"""Formats tables as aligned text, Markdown and CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def aligned(rows: Sequence[Mapping[str, str]]) -> str:
    """Return a plain-text table: the first column left-aligned, the others right-aligned.

    Args:
        rows: cells by column. The first row has every column; a missing cell is left empty.
    """
    names = list(rows[0])
    lines = [names, *([row.get(name, "") for name in names] for row in rows)]
    widths = _widths(lines)
    padded = [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    padded.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(padded)


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns.

    Args:
        lines: rows of cells, the header first.
    """
    widths = _widths(lines)
    ruled = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return "\n".join(
        markdown_row([cell.ljust(width) for cell, width in zip(line, widths, strict=True)])
        for line in ruled
    )


def markdown_header(names: Sequence[str]) -> str:
    """Return the first two lines of a Markdown table that is printed row by row."""
    return markdown_row(names) + "\n" + markdown_row(["---"] * len(names))


def markdown_row(cells: Sequence[str]) -> str:
    """Return one line of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV; lists and mappings become JSON.

    Args:
        path: the file.
        rows: cells by column; the header lists every column in order of appearance. Without rows
            the file is empty.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        if rows:
            writer.writeheader()
        for row in rows:
            writer.writerow({key: _cell(value) for key, value in row.items()})


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
