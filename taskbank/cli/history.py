"""`taskbank history`: the events of a bank, and the scores of its tasks over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from taskbank.cli.output import print_fields, print_json
from taskbank.cli.settings import Settings, complete_task, data_options
from taskbank.cli.text_table import print_table
from taskbank.errors import InputError

if TYPE_CHECKING:
    from taskbank.history.events import Event
    from taskbank.history.matrix import Matrix

MAX_TASKS = 12  # tasks in a printed matrix
MAX_EVENTS = 50  # events in a table


@click.command()
@click.argument("task", required=False, metavar="[NAME]", shell_complete=complete_task)
@click.option("--matrix", is_flag=True, help="Show the score of every task after each addition.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Plot the matrix, or the scores of NAME, to FILE.png or FILE.svg.",
)
@data_options
@click.pass_obj
def history(settings: Settings, task: str | None, matrix: bool, plot: Path | None) -> None:
    """Show the events of the bank, or of task NAME, oldest first.

    --matrix shows the score of every task after each task was added, with the average score,
    backward transfer and forgetting.
    """
    from taskbank.bank.open import open_bank
    from taskbank.history.events import bank_events, task_events
    from taskbank.history.matrix import score_matrix

    if task is not None and matrix:
        raise InputError("--matrix covers all tasks: leave out the name")
    if plot is not None:
        from taskbank.history.plots import check_plot

        check_plot(plot)
    with open_bank(settings.bank) as bank:
        if task is None and (matrix or plot):
            scores = score_matrix(bank)
            if plot and not scores.tasks:
                raise InputError("the bank has no tasks: there is nothing to plot")
            _print_matrix(settings, scores)
            if plot:
                from taskbank.history.plots import draw_matrix

                draw_matrix(scores, plot)
            return
        events = bank_events(bank) if task is None else task_events(bank, task)
    _print_events(settings, events)
    if plot is not None and task is not None:
        from taskbank.history.plots import draw_task

        draw_task(task, events, plot)


def _print_events(settings: Settings, events: Sequence[Event]) -> None:
    if settings.json:
        print_json([event.to_json() for event in events])
        return
    if not events:
        settings.say("there are no events yet")
        return
    rows = [
        (
            event.at[:19].replace("T", " "),
            event.what,
            event.about,
            "" if event.verification is None else event.verification,
            "" if event.score is None else f"{event.score:.4f}",
            "" if event.flips is None else event.flips,
            event.result,
        )
        for event in events[-MAX_EVENTS:]
    ]
    columns = ("when (UTC)", "what", "of", ">verification", ">score", ">flips", "result")
    print_table(columns, rows, optional=(">flips",))
    if len(events) > MAX_EVENTS:
        settings.say(f"the newest {MAX_EVENTS} of {len(events):,} events; --json prints all")


def _print_matrix(settings: Settings, matrix: Matrix) -> None:
    if settings.json:
        print_json(matrix.to_json())
        return
    if not matrix.tasks:
        settings.say("the bank has no tasks")
        return
    if len(matrix.tasks) <= MAX_TASKS:
        columns = ("after adding", *(f">{task}" for task in matrix.tasks))
        rows = [
            (task, *("" if score != score else f"{score:.4f}" for score in row))
            for task, row in zip(matrix.tasks, matrix.scores.tolist(), strict=True)
        ]
        print_table(columns, rows)
    else:
        settings.say(
            f"{len(matrix.tasks)} tasks: --plot FILE.png plots their matrix, --json prints it"
        )
    measures: dict[str, object] = {
        name.replace("_", " "): "none" if value is None else f"{value:.4f}"
        for name, value in matrix.measures().items()
    }
    print_fields(measures)
