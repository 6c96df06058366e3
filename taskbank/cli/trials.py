"""`taskbank trials`: list every recorded trial, whether or not its weights are stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from taskbank.cli.output import echo, print_json
from taskbank.cli.settings import Settings, complete_task, data_options
from taskbank.cli.text_table import print_table, terminal_width
from taskbank.digests import Json
from taskbank.errors import NotFoundError

if TYPE_CHECKING:
    from taskbank.bank.records import TrialRecord

MAIN = ("learning_rate", "epochs")  # hyperparameters that are shown even if all values are equal
COMMON = ("task", "method", "metric")  # columns whose values are often equal in all rows
OPTIONAL = (">seconds", ">params")  # columns that a narrow terminal does not show


@click.command()
@click.argument("name", required=False, shell_complete=complete_task)
@data_options
@click.pass_obj
def trials(settings: Settings, name: str | None) -> None:
    """Show the hyperparameters and scores of every trial of task NAME, or of all tasks.

    The score is the validation score. A second table shows mean and standard deviation for each
    setting that was trained from several seeds.
    """
    from taskbank.bank.open import open_bank

    with open_bank(settings.bank) as bank:
        records = bank.trials(name)
    if name is not None and not records:
        raise NotFoundError(
            f"the bank has no trial of a task {name!r}: taskbank trials shows all trials"
        )
    if settings.json:
        print_json([trial.to_json() for trial in records])
    elif not records:
        settings.say("the bank has no trials: taskbank add-task records one for every training")
    else:
        print_trials(records)
        print_spread(records)


def print_trials(trials: Sequence[TrialRecord]) -> None:
    """Print one row per trial, with the hyperparameters that differ between trials."""
    hyperparameters = [_hyperparameters(trial) for trial in trials]
    names = _differing(trials)
    _print_table(
        ("task", "method", *names, ">seed", "status", "metric", ">score", ">params", ">seconds"),
        [
            (
                trial.task,
                trial.method,
                *(values.get(name, "") for name in names),
                trial.training["seed"],
                trial.status,
                trial.metric,
                f"{trial.score:.4f}",
                f"{trial.parameters:,}",
                f"{trial.course['seconds']:.0f}",
            )
            for trial, values in zip(trials, hyperparameters, strict=True)
        ],
        {*COMMON, *names},
    )


def print_spread(trials: Sequence[TrialRecord]) -> None:
    """Print mean and spread of the scores of every setting that was trained from several seeds."""
    from statistics import mean, stdev

    several = [group for group in group_by_setting(trials) if len(group) > 1]
    if not several:
        return
    hyperparameters = [_hyperparameters(group[0]) for group in several]
    names = _differing([group[0] for group in several])
    if terminal_width() is not None:
        echo()
    _print_table(
        ("task", "method", *names, ">seeds", "metric", ">mean", ">std", ">worst", ">best"),
        [
            (
                group[0].task,
                group[0].method,
                *(values.get(name, "") for name in names),
                len(group),
                group[0].metric,
                *(
                    f"{value:.4f}"
                    for scores in [[trial.score for trial in group]]
                    for value in (mean(scores), stdev(scores), min(scores), max(scores))
                ),
            )
            for group, values in zip(several, hyperparameters, strict=True)
        ],
        {*COMMON, *names},
    )


def group_by_setting(trials: Sequence[TrialRecord]) -> list[list[TrialRecord]]:
    """Group trials by setting, with the newest trial of every seed; pruned trials are left out."""
    from taskbank.digests import canonical_json

    groups: dict[str, dict[Json, TrialRecord]] = defaultdict(dict)
    for trial in trials:
        if trial.status != "pruned":
            key = (trial.task, trial.backbone, trial.method, trial.data, trial.metric)
            groups[canonical_json([*key, _hyperparameters(trial)])][trial.training["seed"]] = trial
    return [list(group.values()) for group in groups.values()]


def _print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], common: Collection[str]
) -> None:
    """Print a table; on a terminal, a value that all rows share is printed once above it.

    Args:
        columns: the headings, in the format of `print_table`.
        rows: the rows, with one cell per heading.
        common: the headings of columns to which that applies.
    """
    shared: dict[str, object] = {}
    if terminal_width() is not None:
        for column, *cells in zip(columns, *rows, strict=True):
            if column in common and len(set(map(str, cells))) == 1:
                shared[column] = cells[0]
    if shared:
        echo(", ".join(f"{name} {value}" for name, value in shared.items()))
    kept = [index for index, column in enumerate(columns) if column not in shared]
    print_table(
        [columns[index] for index in kept],
        [[row[index] for index in kept] for row in rows],
        OPTIONAL,
    )


def _hyperparameters(trial: TrialRecord) -> dict[str, Json]:
    return {**trial.options, **trial.training, "seed": None, "from": _origin(trial)}


def _origin(trial: TrialRecord) -> str:
    from taskbank.bank.records import describe_parents, parents_of

    return describe_parents(parents_of(trial.course))


def _differing(trials: Sequence[TrialRecord]) -> list[str]:
    """Return the hyperparameters that differ; options are compared only within a method."""
    options: dict[str, list[Mapping[str, Json]]] = defaultdict(list)
    for trial in trials:
        options[trial.method].append(trial.options)
    names: dict[str, None] = {}
    for group in (*options.values(), [trial.training for trial in trials]):
        for name in dict.fromkeys(name for values in group for name in values):
            differs = len({repr(values.get(name)) for values in group}) > 1
            if name in MAIN or (differs and name != "seed"):
                names[name] = None
    return [*names, *(["from"] if any(map(_origin, trials)) else [])]
