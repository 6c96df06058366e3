"""`taskbank tolerance`: show or set the metric drops that verifications tolerate."""

from __future__ import annotations

import click

from taskbank.cli.head import current_head, say_head
from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, complete_task, data_options
from taskbank.cli.text_table import print_table
from taskbank.errors import InputError


@click.command()
@click.argument("task", required=False, metavar="NAME", shell_complete=complete_task)
@click.argument("drop", required=False, type=float)
@click.option(
    "--drop",
    "remove",
    is_flag=True,
    help="Remove the task's tolerance, so that each verification's --tolerance applies.",
)
@data_options
@click.pass_obj
def tolerance(settings: Settings, task: str | None, drop: float | None, remove: bool) -> None:
    """Set the largest metric DROP to tolerate for a task: taskbank tolerance sst2 0.01.

    The tolerance applies to every verification, but only to drops that are not statistically
    significant; a significant drop is never tolerated. Without DROP, show the tolerance of the
    task, or of all tasks.
    """
    from taskbank.bank.open import open_bank

    if remove and (task is None or drop is not None):
        raise InputError(
            "--drop needs the task's name and no number: taskbank tolerance NAME --drop"
        )
    with open_bank(settings.bank) as bank:
        if task is not None and (drop is not None or remove):
            bank.set_tolerance(task, drop)
        tolerances = bank.tolerances()
        if task is not None:
            bank.aliases(task)  # raises if there is no such task
            tolerances = {name: drop for name, drop in tolerances.items() if name == task}
    if settings.json:
        print_json({"tolerances": tolerances, "head": current_head(settings)})
    elif tolerances:
        print_table(("task", ">drop"), sorted(tolerances.items()))
    elif task is not None:
        settings.say(f"{task} has no tolerance of its own")
    else:
        settings.say("no task has a tolerance of its own")
    if drop is not None or remove:
        say_head(settings)
