"""`taskbank import`: add an exported adapter to the bank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from taskbank.cli.head import current_head, say_head
from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, data_options


@click.command("import")
@click.argument("source", metavar="FOLDER|hf:OWNER/REPO[@REVISION]")
@click.option("--name", help="New name of the task.  [default: the exported name]")
@click.option("--new-version", is_flag=True, help="Add a version to an existing task.")
@click.option(
    "--backbone",
    metavar="SPEC",
    help="Your copy of the backbone, if the bank does not know it or it was moved.",
)
@click.option(
    "--signer",
    type=click.Path(path_type=Path),
    help="Public SSH key whose owner must have signed the export.",
)
@data_options
@click.pass_obj
def import_(settings: Settings, /, source: str, **options: Any) -> None:
    """Add an exported adapter, from a folder or the Hugging Face Hub, after checking every byte."""
    from taskbank.bank.open import open_bank
    from taskbank.interchange.export_folder import import_adapter

    with open_bank(settings.bank) as bank:
        record = import_adapter(bank, source, **options)
    if settings.json:
        print_json(record.summary() | {"head": current_head(settings)})
    else:
        settings.say(f"imported {record.ref}; taskbank verify-all --task {record.ref} verifies it")
        say_head(settings)
