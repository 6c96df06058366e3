"""`taskbank accept`: what a verification saw becomes the reference."""

from __future__ import annotations

import click

from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, complete_task, data_options


@click.command()
@click.argument("ref", metavar="NAME[@VERSION]", shell_complete=complete_task)
@click.option("--verification", type=int, required=True, help="Its number.")
@click.option("--reason", required=True, help="Why the predictions may change; it is kept.")
@data_options
@click.pass_obj
def accept(settings: Settings, ref: str, verification: int, reason: str) -> None:
    """Make what a verification saw a task predict its reference from now on.

    The predictions from before are kept, and so is the reason.
    """
    from taskbank.bank.open import open_bank

    with open_bank(settings.bank) as bank:
        record = bank.accept(ref, verification, reason)
    if settings.json:
        print_json(record.to_json())
    settings.say(f"{record.ref} is compared with what verification {verification} saw")
