"""`taskbank accept`: make the predictions of a verification the reference."""

from __future__ import annotations

import click

from taskbank.checks import LARGEST
from taskbank.cli.head import current_head, say_head
from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, complete_task, data_options


@click.command()
@click.argument("ref", metavar="NAME[@VERSION]", shell_complete=complete_task)
@click.option(
    "--verification",
    type=click.IntRange(1, LARGEST),
    required=True,
    help="Number of the verification.",
)
@click.option("--reason", required=True, help="Why the change is acceptable; recorded in the bank.")
@data_options
@click.pass_obj
def accept(settings: Settings, ref: str, verification: int, reason: str) -> None:
    """Make the predictions that a verification observed the reference of a task.

    Later verifications compare the task with these predictions. The earlier reference and the
    reason stay recorded.
    """
    from taskbank.bank.open import open_bank

    with open_bank(settings.bank) as bank:
        record = bank.accept(ref, verification, reason)
    if settings.json:
        print_json(record.to_json() | {"head": current_head(settings)})
    settings.say(
        f"{record.ref} is now compared with the predictions of verification {verification}"
    )
    say_head(settings)
