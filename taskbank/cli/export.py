"""`taskbank export`: write an adapter to a folder in open formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from taskbank.cli.format_option import format_option
from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, complete_task, data_options


@click.command()
@click.argument("ref", metavar="NAME", shell_complete=complete_task)
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder to create.")
@format_option
@click.option("--key", type=click.Path(path_type=Path), help="SSH key to sign the export with.")
@data_options
@click.pass_obj
def export(settings: Settings, /, ref: str, output: Path, **options: Any) -> None:
    """Write an adapter to a folder of open formats, or a model that other libraries run."""
    from taskbank.bank.open import open_bank
    from taskbank.interchange.export import export_adapter

    with open_bank(settings.bank) as bank:
        record = export_adapter(bank, ref, output, **options)
    if settings.json:
        print_json(record.summary() | {"folder": str(output)})
    elif options["format"] == "taskbank":
        settings.say(f"exported {record.ref} to {output}; taskbank import {output} imports it")
    else:
        settings.say(f"exported {record.ref} to {output}; its README.md has the code that runs it")
