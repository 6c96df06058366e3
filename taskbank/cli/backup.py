"""`taskbank backup`: copy the bank into a new file."""

from __future__ import annotations

from pathlib import Path

import click

from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, data_options
from taskbank.counts import size


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@data_options
@click.pass_obj
def backup(settings: Settings, file: Path) -> None:
    """Copy the bank into the new SQLite file FILE, also while others read and write it.

    The copy holds one consistent state of the bank, with all weights and splits. FILE appears whole
    or not at all. taskbank restore FILE --to URL brings everything into an empty bank; a SQLite
    file can also be put in the place of the bank's.
    """
    from taskbank.bank.backup import back_up

    copy = back_up(settings.bank, file, progress=settings.progress)
    if settings.json:
        print_json(vars(copy))
        return
    settings.say(f"copied {copy.adapters} adapters to {copy.file} ({size(copy.bytes)})")
    if copy.blobs != "catalog":
        settings.say(
            f"weights and splits are not in the copy: both banks read them from {copy.blobs}, so "
            "back that up, too"
        )
