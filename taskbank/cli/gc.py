"""`taskbank gc`: destroy retired adapters and unneeded blobs."""

from __future__ import annotations

import click

from taskbank.cli.output import print_json, size
from taskbank.cli.settings import Settings, data_options


@click.command()
@click.option("--confirm", is_flag=True, help="Destroy them.")
@data_options
@click.pass_obj
def gc(settings: Settings, confirm: bool) -> None:
    """Show which retired adapters and unneeded blobs --confirm would destroy."""
    from taskbank.bank.open import open_bank

    with open_bank(settings.bank) as bank:
        garbage = bank.gc(confirm=confirm)
    if settings.json:
        print_json({"confirmed": confirm, **vars(garbage)})
        return
    verb = "destroyed" if confirm else "would destroy"
    settings.say(
        f"{verb} {len(garbage.adapters)} adapters ({', '.join(garbage.adapters) or 'none'}) "
        f"and {garbage.blobs} blobs of {size(garbage.bytes)}"
        + ("" if confirm or not garbage.blobs else "; run taskbank gc --confirm to destroy them")
    )
