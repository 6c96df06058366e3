"""`taskbank restore`: bring everything of a backup into an empty bank."""

from __future__ import annotations

import click

from taskbank.cli.copied import print_copied
from taskbank.cli.settings import Settings, data_options


@click.command()
@click.argument("file")
@click.option("--to", required=True, metavar="URL", help="The bank; created if there is none.")
@click.option(
    "--blobs", metavar="URL", help="Folder or fsspec URL for weights and splits of a new bank."
)
@data_options
@click.pass_obj
def restore(settings: Settings, file: str, to: str, blobs: str | None) -> int:
    """Bring everything of the backup FILE into an empty bank, on any database.

    This creates the bank and copies into it, as taskbank copy does: an interrupted restoration is
    completed by the same command.
    """
    from taskbank.bank.backup import restore as restore_into

    copied = restore_into(file, to, blobs=blobs, progress=settings.progress)
    return print_copied(settings, copied, to)
