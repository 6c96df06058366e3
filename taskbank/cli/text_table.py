"""Prints tables that fit the terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from taskbank.cli.output import echo, print_fields
from taskbank.cli.streams import encodable
from taskbank.runtime.visible_text import visible

WIDE = 3  # spaces between columns if the table fits the terminal
LONG_WORD = 12  # characters; longer words in a narrow last column may be broken
USUAL_WIDTH = 100  # characters of a line where there is no terminal
READABLE = 20  # minimum characters of a last column that is folded before other columns


def terminal_width() -> int | None:
    """Return the width of the terminal in characters, or None if stdout is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], optional: Sequence[str] = ()
) -> None:
    """Print rows under their headings, fitted to the terminal, or unabridged elsewhere.

    If the terminal is too narrow, optional columns are dropped first. Then texts are folded between
    words, the last column before the others. If the table still does not fit, every row is printed
    as one line per heading.

    Args:
        columns: the headings; a heading that starts with `>` aligns its numbers to the right.
        rows: the rows, with one cell per heading.
        optional: the headings of columns that may be dropped, in the order of dropping.
    """
    cells = [[encodable(visible(str(cell))) for cell in row] for row in rows]
    width = terminal_width()
    if width is None:
        _print_grid(columns, cells, Layout(range(len(columns)), None, WIDE))
        return
    layout = _layout(columns, cells, width, optional)
    if layout is not None:
        _print_grid(columns, cells, layout)
        return
    for number, row in enumerate(cells):
        if number:
            echo()
        names = (column.lstrip(">") for column in columns)
        print_fields({name: cell for name, cell in zip(names, row, strict=True) if cell})


def fits(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a table fits the terminal, or usual paper elsewhere, with no cell folded."""
    table = [[column.lstrip(">"), *cells] for column, *cells in zip(columns, *rows, strict=True)]
    width = sum(_widest(cells, str.splitlines) + WIDE for cells in table) - WIDE
    return width <= (terminal_width() or USUAL_WIDTH)


@dataclass(frozen=True)
class Layout:
    """The layout of a table.

    Attributes:
        kept: indices of the columns that are shown.
        widths: widths of the shown columns; None if every column is as wide as its widest cell.
        gap: spaces between columns, from 1 to 3.
    """

    kept: Sequence[int]
    widths: Sequence[int] | None
    gap: int


def _layout(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int, optional: Sequence[str]
) -> Layout | None:
    """Return the best layout for a terminal width, or None if no layout fits."""
    table = [[column.lstrip(">"), *cells] for column, *cells in zip(columns, *rows, strict=True)]
    natural = [_widest(cells, str.splitlines) for cells in table]
    minimum = [
        width if column.startswith(">") else _widest(cells, str.split)
        for column, width, cells in zip(columns, natural, table, strict=True)
    ]
    if not columns[-1].startswith(">"):  # text that may contain long words, such as URLs
        minimum[-1] = min(minimum[-1], LONG_WORD)
    kept = list(range(len(columns)))
    for name in ("", *optional):
        kept = [index for index in kept if columns[index] != name]
        for gap in (WIDE, WIDE - 1):
            if sum(natural[index] + gap for index in kept) - gap <= width:
                return Layout(kept, None, gap)
    folded_last = [*natural[:-1], max(minimum[-1], min(natural[-1], READABLE))]
    for narrowest, gap in ((natural, 1), (folded_last, 2), (minimum, 2), (minimum, 1)):
        spare = width + gap - sum(narrowest[index] + gap for index in kept)
        if spare >= 0:
            return Layout(kept, _distribute(kept, narrowest, natural, spare), gap)
    return None


def _distribute(
    kept: Sequence[int], minimum: Sequence[int], natural: Sequence[int], spare: int
) -> list[int]:
    """Return the widths of columns after distributing spare characters to folded columns."""
    widths = {index: minimum[index] for index in kept}
    by_need = sorted(kept, key=lambda index: natural[index] - minimum[index])
    for number, index in enumerate(by_need):
        more = min(spare // (len(by_need) - number), natural[index] - minimum[index])
        widths[index] += more
        spare -= more
    return list(widths.values())


def _widest(cells: Sequence[str], parts: Callable[[str], list[str]]) -> int:
    from rich.cells import cell_len

    return max((cell_len(part) for cell in cells for part in parts(cell)), default=1)


def _print_grid(columns: Sequence[str], rows: Sequence[Sequence[str]], layout: Layout) -> None:
    from rich.box import SIMPLE_HEAD, Box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # The box puts one space between columns, and padding adds up to one on each side of a cell.
    padding = (0, int(layout.gap > 1), 0, int(layout.gap > 2))
    box = SIMPLE_HEAD
    if encodable(str(box)) != str(box):
        box = Box(str(box).replace("─", "-"), ascii=True)
    table = Table(box=box, pad_edge=False, show_edge=False, padding=padding)
    for number, index in enumerate(layout.kept):
        right = columns[index].startswith(">")
        table.add_column(
            columns[index].lstrip(">"),
            justify="right" if right else "left",
            no_wrap=right,
            overflow="fold",
            width=layout.widths[number] if layout.widths is not None else None,
        )
    for row in rows:
        table.add_row(*(Text(row[index]) for index in layout.kept))
    Console(width=terminal_width() or 10_000, highlight=False).print(table)
