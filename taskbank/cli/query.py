"""`taskbank query`: the adapters for which a condition holds."""

from __future__ import annotations

import click

from taskbank.cli.list import print_records
from taskbank.cli.settings import Settings, data_options


@click.command()
@click.argument("condition")
@click.option("--retired", is_flag=True, help="Also adapters that are out of use.")
@data_options
@click.pass_obj
def query(settings: Settings, condition: str, retired: bool) -> None:
    """List the adapters for which CONDITION holds.

    Fields: task, version, kind, method, metric, score, split, parameters, bytes, digest,
    backbone, description, created_at, metric.NAME (or metric.SPLIT.NAME), tag.KEY,
    training.NAME, options.NAME. Joined by and, or, not, parentheses; compared by
    = != < <= > >=, in (…), like "…%" (capitals do not matter).

    \b
    taskbank query 'metric.accuracy >= 0.9 and method = "houlsby" and tag.team = "search"'
    """
    from taskbank.bank.open import open_bank

    with open_bank(settings.bank) as bank:
        print_records(settings, bank.query(condition, retired=retired))
