"""`taskbank gc`: destroy retired adapters and unneeded blobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from taskbank.cli.head import current_head, say_head
from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, data_options
from taskbank.counts import size

if TYPE_CHECKING:
    from taskbank.bank.records import Garbage

NAMED = 5  # names to print; --json prints all of them


@click.command()
@click.option("--confirm", is_flag=True, help="Destroy them.")
@click.option(
    "--strays",
    is_flag=True,
    help="With --confirm, also destroy blobs that no row of this bank names.",
)
@click.option(
    "--older-than",
    metavar="HOURS",
    type=click.FloatRange(min=0),
    default=24,
    show_default=True,
    help="Destroy only strays and unfinished files that are older than this.",
)
@data_options
@click.pass_obj
def gc(settings: Settings, confirm: bool, strays: bool, older_than: float) -> None:
    """Show which retired adapters and unneeded blobs --confirm would destroy.

    Others may write meanwhile. Files that taskbank did not write are named, and stay.
    """
    from taskbank.bank.open import open_bank

    with open_bank(settings.bank) as bank:
        garbage = bank.gc(confirm=confirm, strays=strays, older_than=older_than)
        place = bank.blobs_url
    if settings.json:
        print_json({"confirmed": confirm, **vars(garbage), "head": current_head(settings)})
        return
    verb = "destroyed" if confirm else "would destroy"
    settings.say(
        f"{verb} {len(garbage.adapters)} adapters ({', '.join(garbage.adapters) or 'none'}) "
        f"and {garbage.blobs} blobs of {size(garbage.bytes)}"
        + ("" if confirm or not garbage.blobs else "; run taskbank gc --confirm to destroy them")
    )
    for remark in _remarks(garbage, place, older_than):
        settings.say(remark)
    if confirm:
        say_head(settings)


def _remarks(garbage: Garbage, place: str, older_than: float) -> list[str]:
    remarks = []
    if garbage.strays:
        remarks.append(
            f"{len(garbage.strays)} blobs in {place} are named by no row of this bank "
            f"({_names(garbage.strays)}): an interrupted write left them, or a newer copy of this "
            "bank needs them; taskbank gc --confirm --strays destroys them"
        )
    if garbage.unfinished:
        remarks.append(
            f"{len(garbage.unfinished)} unfinished files are in {place} "
            f"({_names(garbage.unfinished)}); taskbank gc --confirm destroys them"
        )
    if garbage.recent:
        remarks.append(
            f"{garbage.recent} of these are less than {older_than:g} hours old and stay for now"
        )
    if garbage.foreign:
        remarks.append(
            f"{len(garbage.foreign)} files in {place} are not taskbank's and stay "
            f"({_names(garbage.foreign)})"
        )
    return remarks


def _names(names: Sequence[str]) -> str:
    more = ", …" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
