"""`taskbank tolerance`: the drop that is let pass of a task."""

from __future__ import annotations

import click

from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, complete_task, data_options
from taskbank.cli.tables import print_table
from taskbank.errors import InputError


@click.command()
@click.argument("task", required=False, metavar="NAME", shell_complete=complete_task)
@click.argument("drop", required=False, type=float)
@click.option("--drop", "remove", is_flag=True, help="Leave it to each verification again.")
@data_options
@click.pass_obj
def tolerance(settings: Settings, task: str | None, drop: float | None, remove: bool) -> None:
    """Let a DROP of a task's metric pass in every verification: taskbank tolerance sst2 0.01.

    It is for drops that may be chance; one that chance does not explain is never let pass.
    Without DROP, show what the task has, or all of them.
    """
    from taskbank.bank.open import open_bank

    if remove and (task is None or drop is not None):
        raise InputError(
            "name the task, and no number, with --drop: taskbank tolerance NAME --drop"
        )
    with open_bank(settings.bank) as bank:
        if task is not None and (drop is not None or remove):
            bank.set_tolerance(task, drop)
        found = bank.tolerances()
        if task is not None:
            bank.aliases(task)  # says that there is no such task
            found = {name: value for name, value in found.items() if name == task}
    if settings.json:
        print_json(found)
    elif found:
        print_table(("task", ">drop"), sorted(found.items()))
    else:
        settings.say(f"{task or 'no task'} has {'no' if task else 'a'} tolerance of its own")
