"""`taskbank forget`: list what was trained on some rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taskbank.cli.output import echo, print_json
from taskbank.cli.settings import Settings, data_options
from taskbank.cli.spec_options import style_options
from taskbank.cli.text_table import print_table
from taskbank.counts import counted
from taskbank.errors import InputError

if TYPE_CHECKING:
    from taskbank.pipeline.forget import RowUses


@click.command()
@click.argument("digests", nargs=-1, metavar="[DIGEST]...")
@click.option(
    "--data", metavar="DATA", help="The rows, in any form that --train takes; labels do not matter."
)
@click.option("--kind", default="single", show_default=True, help="Kind of the tasks of the rows.")
@click.option("--text", metavar="COL", help="Column of the texts.  [default: by kind]")
@click.option("--text-pair", metavar="COL", help="Column of the second texts.  [default: by kind]")
@style_options
@data_options
@click.pass_obj
def forget(
    settings: Settings,
    /,
    digests: tuple[str, ...],
    data: str | None,
    kind: str,
    text: str | None,
    text_pair: str | None,
    **style: str | None,
) -> int:
    """List every version that was trained on some rows, and what was made of these versions.

    Rows are given by the digest of a row or of its inputs, or as data. Versions whose stored splits
    have a row are listed as well. Nothing is changed. The exit code is 1 if any is
    found.
    """
    from taskbank.bank.open import open_bank
    from taskbank.data.style import Style
    from taskbank.pipeline.forget import find_rows, parse_digests, read_row_digests

    if not digests and data is None:
        raise InputError("there are no rows to look for: give digests, or the rows with --data")
    with open_bank(settings.bank) as bank:
        wanted = parse_digests(digests)
        if data is not None:
            wanted |= read_row_digests(
                data, kind, text=text, text_pair=text_pair, style=Style(**style)
            )
        uses = find_rows(bank, wanted)
    if settings.json:
        print_json(uses.to_json())
    else:
        _print(settings, uses)
    if uses.unknown:
        echo(
            f"not known for {counted(len(uses.unknown), 'version')}, which an earlier taskbank "
            f"recorded without digests of their rows: {', '.join(uses.unknown)}",
            err=True,
        )
    return 1 if uses.versions else 0


def _print(settings: Settings, uses: RowUses) -> None:
    if not uses.versions:
        settings.say(f"no version has any of {counted(uses.rows, 'row')}")
        return
    print_table(
        ("version", ">trained on", "in splits", "made from"),
        [
            (
                use.ref + (" (retired)" if use.retired else ""),
                f"{len(use.trained_on):,}",
                ", ".join(f"{name} {count:,}" for name, count in use.splits.items()),
                ", ".join(use.derived_from),
            )
            for use in uses.versions
        ],
    )
