"""`taskbank list`: list the adapters of the bank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taskbank.checks import LARGEST
from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, data_options
from taskbank.cli.text_table import print_table
from taskbank.counts import size

if TYPE_CHECKING:
    from taskbank.bank.record_list import Records


@click.command("list")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(0, LARGEST),
    help="List only the newest N; 0 means all.",
)
@click.option("--retired", is_flag=True, help="Include retired adapters.")
@data_options
@click.pass_obj
def list_(settings: Settings, limit: int | None, retired: bool) -> None:
    """List the adapters of the bank, oldest first.

    By default, a table shows the newest 50, and JSON all of them.
    """
    from taskbank.bank.open import open_bank

    count = limit if limit is not None else 0 if settings.json else 50
    with open_bank(settings.bank) as bank:
        records = bank.adapters(retired=retired, newest=count or None)
        print_records(settings, records)
        if count and len(records) == count and (total := len(bank)) > count:
            settings.say(f"the newest {count} of {total:,} adapters; --limit 0 lists all")


def print_records(settings: Settings, records: Records) -> None:
    """Print adapters as a table, or as JSON if requested."""
    if settings.json:
        print_json([record.summary() for record in records])
        return
    if not records:
        settings.say("no adapters: add one with taskbank add-task NAME --train DATA")
        return
    columns = (
        "adapter",
        "kind",
        "method",
        "metric",
        ">score",
        "split",
        ">params",
        ">size",
        "added",
    )
    print_table(
        columns,
        [
            (
                record.ref + (" (retired)" if record.retired else ""),
                record.kind,
                record.method,
                record.metric,
                f"{record.score:.4f}",
                record.split,
                f"{record.parameters:,}",
                size(record.bytes),
                record.created_at[:16].replace("T", " "),
            )
            for record in records
        ],
        optional=(">size", ">params", "added"),
    )
