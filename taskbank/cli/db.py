"""`taskbank db`: the schema of a bank."""

from __future__ import annotations

import click

from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, data_options


@click.group()
def db() -> None:
    """The schema of the bank's tables: which one it has, and bringing it up to date."""


@db.command()
@data_options
@click.pass_obj
def current(settings: Settings) -> None:
    """Print the schema that the bank has, and the one that this taskbank reads."""
    from taskbank.bank.open import SCHEMA_REVISION, schema_of

    found = schema_of(settings.bank)
    if settings.json:
        print_json({"bank": found, "taskbank": SCHEMA_REVISION})
    else:
        click.echo(f"the bank has schema {found}, this taskbank reads {SCHEMA_REVISION}")


@db.command()
@data_options
@click.pass_obj
def upgrade(settings: Settings) -> None:
    """Bring the bank to the schema that this taskbank reads. Copy the bank first."""
    from taskbank.bank.open import SCHEMA_REVISION, upgrade_bank

    before = upgrade_bank(settings.bank)
    if settings.json:
        print_json({"before": before, "after": SCHEMA_REVISION})
    elif before == SCHEMA_REVISION:
        settings.say(f"the bank has schema {before} already: nothing to do")
    else:
        settings.say(f"the bank went from schema {before} to {SCHEMA_REVISION}")
