"""`taskbank query`: list the adapters that match a condition."""

from __future__ import annotations

import click

from taskbank.cli.list import print_records
from taskbank.cli.settings import Settings, data_options


@click.command()
@click.argument("condition")
@click.option("--retired", is_flag=True, help="Include retired adapters.")
@data_options
@click.pass_obj
def query(settings: Settings, condition: str, retired: bool) -> None:
    """List the adapters that match CONDITION.

    Fields: task, version, kind, method, metric, score, split, parameters, bytes, digest,
    backbone, description, created_at, metric.NAME (or metric.SPLIT.NAME), tag.KEY,
    training.NAME, options.NAME. Operators: and, or, not, parentheses,
    = != < <= > >=, in (…), like "…%" (case-insensitive).

    \b
    taskbank query 'metric.accuracy >= 0.9 and method = "houlsby" and tag.team = "search"'
    """
    from taskbank.bank.open import open_bank

    with open_bank(settings.bank) as bank:
        print_records(settings, bank.query(condition, retired=retired))
