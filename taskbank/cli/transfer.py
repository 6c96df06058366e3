"""`taskbank export` and `taskbank import`: an adapter as a folder of open formats."""

from __future__ import annotations

from pathlib import Path

import click

from taskbank.cli.common import Settings, complete_task, data_options, print_json


@click.command()
@click.argument("ref", metavar="NAME", shell_complete=complete_task)
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), help="A folder to be made."
)
@data_options
@click.pass_obj
def export(settings: Settings, ref: str, output: Path) -> None:
    """Write an adapter, with the evidence to verify it, as safetensors and JSON."""
    from taskbank.bank import open_bank
    from taskbank.transfer import export_adapter

    with open_bank(settings.bank) as bank:
        record = export_adapter(bank, ref, output)
    if settings.json:
        print_json(record.summary() | {"folder": str(output)})
    else:
        settings.say(f"{record.ref} is in {output}; taskbank import {output} reads it")


@click.command("import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="Of the task, if not the one it was exported under.")
@click.option("--new-version", is_flag=True, help="Add a version to a task that is there.")
@data_options
@click.pass_obj
def import_(settings: Settings, folder: Path, name: str | None, new_version: bool) -> None:
    """Put an exported adapter into the bank, after checking every byte of it."""
    from taskbank.bank import open_bank
    from taskbank.transfer import import_adapter

    with open_bank(settings.bank) as bank:
        record = import_adapter(bank, folder, name=name, new_version=new_version)
    if settings.json:
        print_json(record.summary())
    else:
        settings.say(f"imported {record.ref}; taskbank verify-all --task {record.ref} checks it")
