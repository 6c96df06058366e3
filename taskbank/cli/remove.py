"""`taskbank remove`: retire an adapter."""

from __future__ import annotations

import click

from taskbank.cli.head import current_head, say_head
from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, complete_task, data_options
from taskbank.errors import InputError


@click.command()
@click.argument("ref", metavar="NAME@VERSION", shell_complete=complete_task)
@data_options
@click.pass_obj
def remove(settings: Settings, ref: str) -> None:
    """Retire one version, so that it is no longer listed or verified.

    taskbank gc --confirm destroys retired versions.
    """
    from taskbank.bank.open import open_bank

    if "@" not in ref:
        raise InputError(f"{ref!r} has no version: write {ref}@VERSION")
    with open_bank(settings.bank) as bank:
        record = bank.remove(ref)
    if settings.json:
        retired = {"task": record.task, "version": record.version, "retired": True}
        print_json(retired | {"head": current_head(settings)})
    else:
        settings.say(f"{record.ref} is retired; taskbank gc shows what gc --confirm would destroy")
        say_head(settings)
