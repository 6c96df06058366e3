"""Prints tables that fit the terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from taskbank.cli.output import print_fields

if TYPE_CHECKING:
    pass

WIDE = 3  # spaces between the columns of a table that has room
LONG_WORD = 12  # characters; a longer one may be cut where a last column is too narrow
READABLE = 20  # characters of a last column that is folded so that others need not be


def terminal_width() -> int | None:
    """Return how many characters a line of the terminal has; none where output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], optional: Sequence[str] = ()
) -> None:
    """Print rows under their headings, as wide as the terminal is and whole elsewhere.

    Where the terminal is too narrow, the optional columns go first; then texts are folded between
    words, the last column before others; where even that does not do, a row becomes a line a
    heading.

    Args:
        columns: the headings; one that starts with `>` is for numbers, aligned to the right.
        rows: a cell a heading.
        optional: the headings of columns that may be left out, the first of them first.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    width = terminal_width()
    if width is None:
        _print_grid(columns, cells, Layout(range(len(columns)), None, WIDE))
        return
    layout = _layout(columns, cells, width, optional)
    if layout is not None:
        _print_grid(columns, cells, layout)
        return
    for number, row in enumerate(cells):
        click.echo("\n" * (number > 0), nl=False)
        names = (column.lstrip(">") for column in columns)
        print_fields({name: cell for name, cell in zip(names, row, strict=True) if cell})


@dataclass(frozen=True)
class Layout:
    """How a table is set.

    Attributes:
        kept: positions of the columns that are shown.
        widths: of these; none where every column is as wide as what is in it.
        gap: spaces between two of them, from 1 to 3.
    """

    kept: Sequence[int]
    widths: Sequence[int] | None
    gap: int


def _layout(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int, optional: Sequence[str]
) -> Layout | None:
    """Return the best layout that a line has room for; none if there is none."""
    table = [[column.lstrip(">"), *cells] for column, *cells in zip(columns, *rows, strict=True)]
    whole = [_widest(cells, str.splitlines) for cells in table]
    least = [
        own if column.startswith(">") else _widest(cells, str.split)
        for column, own, cells in zip(columns, whole, table, strict=True)
    ]
    if not columns[-1].startswith(">"):  # prose, maybe with an address in it, or without spaces
        least[-1] = min(least[-1], LONG_WORD)
    kept = list(range(len(columns)))
    for name in ("", *optional):
        kept = [place for place in kept if columns[place] != name]
        for gap in (WIDE, WIDE - 1):
            if sum(whole[place] + gap for place in kept) - gap <= width:
                return Layout(kept, None, gap)
    last = [*whole[:-1], max(least[-1], min(whole[-1], READABLE))]
    for narrowest, gap in ((whole, 1), (last, 2), (least, 2), (least, 1)):
        spare = width + gap - sum(narrowest[place] + gap for place in kept)
        if spare >= 0:
            return Layout(kept, _shared_out(kept, narrowest, whole, spare), gap)
    return None


def _shared_out(
    kept: Sequence[int], least: Sequence[int], whole: Sequence[int], spare: int
) -> list[int]:
    """Return the widths of columns when what is to spare is shared out among those that lack."""
    widths = {place: least[place] for place in kept}
    lacking = sorted(kept, key=lambda place: whole[place] - least[place])
    for number, place in enumerate(lacking):
        more = min(spare // (len(lacking) - number), whole[place] - least[place])
        widths[place] += more
        spare -= more
    return list(widths.values())


def _widest(cells: Sequence[str], parts: Callable[[str], list[str]]) -> int:
    from rich.cells import cell_len

    return max((cell_len(part) for cell in cells for part in parts(cell)), default=1)


def _print_grid(columns: Sequence[str], rows: Sequence[Sequence[str]], layout: Layout) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Between columns the box has a space, and each cell may have one at either side.
    padding = (0, int(layout.gap > 1), 0, int(layout.gap > 2))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=padding)
    for number, place in enumerate(layout.kept):
        right = columns[place].startswith(">")
        table.add_column(
            columns[place].lstrip(">"),
            justify="right" if right else "left",
            no_wrap=right,
            overflow="fold",
            width=layout.widths[number] if layout.widths is not None else None,
        )
    for row in rows:
        table.add_row(*(Text(row[place]) for place in layout.kept))
    Console(width=terminal_width() or 10_000, highlight=False).print(table)
