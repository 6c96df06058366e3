"""`taskbank trials`: every training that was run, recorded as an adapter or not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, complete_task, data_options
from taskbank.cli.tables import print_table, terminal_width
from taskbank.digests import Json
from taskbank.errors import NotFoundError

if TYPE_CHECKING:
    from taskbank.bank.records import TrialRecord

ALWAYS = ("learning_rate", "epochs")  # columns that are shown even where they are all the same
ALIKE = ("task", "method", "metric")  # columns that are often the same in all rows
OPTIONAL = (">seconds", ">params")  # columns that a narrow terminal does without


@click.command()
@click.argument("name", required=False, shell_complete=complete_task)
@data_options
@click.pass_obj
def trials(settings: Settings, name: str | None) -> None:
    """Show every trial of task NAME, or of all tasks: what was trained, and how it scored.

    The score is of validation. Below, settings that were trained from several seeds are shown
    with the mean and the standard deviation over them.
    """
    from taskbank.bank.open import open_bank

    with open_bank(settings.bank) as bank:
        found = bank.trials(name)
    if name is not None and not found:
        raise NotFoundError(
            f"the bank has no trial of a task {name!r}: taskbank trials shows what is there"
        )
    if settings.json:
        print_json([trial.to_json() for trial in found])
    elif not found:
        settings.say("no trials: taskbank add-task records one for every training")
    else:
        print_trials(found)
        print_spread(found)


def print_trials(trials: Sequence[TrialRecord]) -> None:
    """Print a row a trial, with the hyperparameters that differ between them."""
    values = [_hyperparameters(trial) for trial in trials]
    names = _differing(trials)
    _print_table(
        ("task", "method", *names, ">seed", "status", "metric", ">score", ">params", ">seconds"),
        [
            (
                trial.task,
                trial.method,
                *(own.get(name, "") for name in names),
                trial.training["seed"],
                trial.status,
                trial.metric,
                f"{trial.score:.4f}",
                f"{trial.parameters:,}",
                f"{trial.course['seconds']:.0f}",
            )
            for trial, own in zip(trials, values, strict=True)
        ],
        {*ALIKE, *names},
    )


def print_spread(trials: Sequence[TrialRecord]) -> None:
    """Print mean and spread over seeds of every setting that was trained from several."""
    from statistics import mean, stdev

    several = [group for group in by_seed(trials) if len(group) > 1]
    if not several:
        return
    values = [_hyperparameters(group[0]) for group in several]
    names = _differing([group[0] for group in several])
    if terminal_width() is not None:
        click.echo()
    _print_table(
        ("task", "method", *names, ">seeds", "metric", ">mean", ">std", ">worst", ">best"),
        [
            (
                group[0].task,
                group[0].method,
                *(own.get(name, "") for name in names),
                len(group),
                group[0].metric,
                *(
                    f"{value:.4f}"
                    for scores in [[trial.score for trial in group]]
                    for value in (mean(scores), stdev(scores), min(scores), max(scores))
                ),
            )
            for group, own in zip(several, values, strict=True)
        ],
        {*ALIKE, *names},
    )


def by_seed(trials: Sequence[TrialRecord]) -> list[list[TrialRecord]]:
    """Return the trials of each setting that were not given up, one a seed: the last of it."""
    from taskbank.digests import canonical_json

    groups: dict[str, dict[Json, TrialRecord]] = defaultdict(dict)
    for trial in trials:
        if trial.status != "pruned":
            of = (trial.task, trial.backbone, trial.method, trial.data, trial.metric)
            groups[canonical_json([*of, _hyperparameters(trial)])][trial.training["seed"]] = trial
    return [list(group.values()) for group in groups.values()]


def _print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], alike: Collection[str]
) -> None:
    """Print a table; on a terminal, what all rows have alike is said once above it.

    Args:
        columns: the headings, as `print_table` takes them.
        rows: a cell a heading.
        alike: the columns of which that may be said.
    """
    shared: dict[str, object] = {}
    if terminal_width() is not None:
        for column, *cells in zip(columns, *rows, strict=True):
            if column in alike and len(set(map(str, cells))) == 1:
                shared[column] = cells[0]
    if shared:
        click.echo(", ".join(f"{name} {value}" for name, value in shared.items()))
    left = [place for place, column in enumerate(columns) if column not in shared]
    print_table(
        [columns[place] for place in left],
        [[row[place] for place in left] for row in rows],
        OPTIONAL,
    )


def _hyperparameters(trial: TrialRecord) -> dict[str, Json]:
    return {**trial.options, **trial.training, "seed": None}


def _differing(trials: Sequence[TrialRecord]) -> list[str]:
    """Return the hyperparameters that differ; the options of a method only between its own."""
    options: dict[str, list[Mapping[str, Json]]] = defaultdict(list)
    for trial in trials:
        options[trial.method].append(trial.options)
    names: dict[str, None] = {}
    for group in (*options.values(), [trial.training for trial in trials]):
        for name in dict.fromkeys(name for own in group for name in own):
            differs = len({repr(own.get(name)) for own in group}) > 1
            if name in ALWAYS or (differs and name != "seed"):
                names[name] = None
    return list(names)
