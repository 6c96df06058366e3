"""`taskbank db`: show and upgrade the schema of a bank."""

from __future__ import annotations

import click

from taskbank.cli.output import echo, print_json
from taskbank.cli.settings import Settings, data_options


@click.group()
def db() -> None:
    """Show or upgrade the schema of the bank's tables."""


@db.command()
@data_options
@click.pass_obj
def current(settings: Settings) -> None:
    """Print the bank's schema and the schema that this taskbank reads."""
    from taskbank.bank.open import SCHEMA_REVISION, schema_of

    revision = schema_of(settings.bank)
    if settings.json:
        print_json({"bank": revision, "taskbank": SCHEMA_REVISION})
    else:
        echo(f"the bank has schema {revision}, this taskbank reads {SCHEMA_REVISION}")


@db.command()
@data_options
@click.pass_obj
def upgrade(settings: Settings) -> None:
    """Upgrade the bank to the schema that this taskbank reads.

    Copy the bank first, with taskbank backup or pg_dump.
    """
    from taskbank.bank.open import SCHEMA_REVISION, upgrade_bank

    before = upgrade_bank(settings.bank)
    if settings.json:
        print_json({"before": before, "after": SCHEMA_REVISION})
    elif before == SCHEMA_REVISION:
        settings.say(f"the bank already has schema {before}: nothing to do")
    else:
        settings.say(f"upgraded the bank from schema {before} to {SCHEMA_REVISION}")
