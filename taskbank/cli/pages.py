"""`taskbank pages`: write the pages of a bank as files."""

from __future__ import annotations

from pathlib import Path

import click

from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, data_options
from taskbank.counts import counted, size


@click.command()
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option(
    "--filter",
    "query",
    default="",
    metavar="QUERY",
    help="Only tasks whose current version satisfies this query.",
)
@click.option(
    "--replace", is_flag=True, help="Move a folder with other files to FOLDER.old, if there is one."
)
@data_options
@click.pass_obj
def pages(settings: Settings, output: Path, query: str, replace: bool) -> None:
    """Write the pages that `taskbank serve` shows as files, for any web server.

    The folder is new, empty, or one that this command has written before, which is replaced as a
    whole at the end.
    """
    from taskbank.bank.open import open_bank
    from taskbank.pages.export import export_pages

    with open_bank(settings.bank) as bank:
        made = export_pages(bank, output, query=query, replace=replace, progress=settings.progress)
    if settings.json:
        print_json(vars(made))
        return
    if made.moved:
        settings.say(f"the folder that was there is now {made.moved}")
    settings.say(
        f"wrote {counted(made.pages, 'page')} to {made.folder} ({size(made.bytes)}): "
        "index.html is the first"
    )
