"""`taskbank predict`: labels and probabilities for texts, from one task or many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from taskbank.checks import is_pattern
from taskbank.cli.output import echo, print_json
from taskbank.cli.prediction_file import check_output, write_predictions
from taskbank.cli.prediction_source import Predicted, Source, open_source
from taskbank.cli.settings import Settings, complete_task, data_options, executor_option
from taskbank.cli.spec_options import style_options
from taskbank.cli.text_table import print_table
from taskbank.data.unusable import describe
from taskbank.errors import InputError, NotFoundError
from taskbank.kinds.withheld import shown_label

if TYPE_CHECKING:
    from taskbank.data.fields import Field
    from taskbank.serve.prediction import Prediction

SHOWN_UNUSABLE = 20  # rows that are left out and listed; --json with --output lists all


@click.command()
@click.argument("words", metavar="[NAME] [TEXT …]", nargs=-1, shell_complete=complete_task)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="NAME",
    help="Task or pattern, such as '*' or 'ticket-*', instead of NAME; repeatable.",
)
@click.option(
    "--file",
    "file",
    metavar="DATA",
    help="File of texts: .txt, .csv, …, or - to read standard input.",
)
@click.option("--text", metavar="COL", help="Column of the texts.  [default: text, or text_a]")
@click.option("--text-pair", metavar="COL", help="Column of the second texts.  [default: text_b]")
@style_options
@click.option(
    "--skip-unusable",
    is_flag=True,
    help="Leave out rows of --file without text or with invalid text, and list them; without this "
    "option they are an error.",
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the predictions to this .csv, .parquet or .jsonl file, whole or not at all.",
)
@click.option("--backbone", metavar="SPEC", help="New source of the backbone, if it moved.")
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@click.option(
    "--server",
    metavar="URL",
    help="Let the server at this URL predict, which takes milliseconds; a key comes from "
    "TASKBANK_KEY in the environment.",
)
@executor_option
@data_options
@click.pass_context
def predict(
    context: click.Context,
    /,
    words: tuple[str, ...],
    tasks: tuple[str, ...],
    file: str | None,
    text: str | None,
    text_pair: str | None,
    skip_unusable: bool,
    output: Path | None,
    backbone: str | None,
    device: str | None,
    server: str | None,
    executor: str | None,
    **style: str | None,
) -> None:
    """Predict each TEXT, or each row of --file, with task NAME or with every --task.

    NAME may include a version or an alias: NAME@3, NAME@production. If a task takes two texts (a
    pair, or a question and its context), every two TEXTs are one input. The lower layers that
    several tasks share are computed once.
    """
    settings = context.ensure_object(Settings)
    if not tasks and not words:
        raise InputError("no task is given: write its NAME first, or use --task NAME")
    texts = words if tasks else words[1:]
    if bool(texts) == bool(file):
        raise InputError("give either texts or a file of texts with --file")
    if skip_unusable and file is None:
        raise InputError("--skip-unusable leaves out rows of a file: name it with --file")
    if output is not None:
        check_output(output, file)
    if server is not None and (backbone or device):
        raise InputError("--backbone and --device are for this machine: leave them out")
    if file is None or server is not None:
        if context.get_parameter_source("executor") is ParameterSource.COMMANDLINE:
            raise InputError("--on is for the rows of --file, without --server: leave it out")
        executor = None  # TASKBANK_ON is for all commands
    with open_source(
        settings.bank,
        server,
        backbone=backbone,
        device=device,
        executor=executor,
        progress=settings.progress,
    ) as source:
        chosen = _select(source, tasks) if tasks else {words[0]: source.get(words[0])}
        versions, fields = _compatible(settings, chosen, columns=file is not None)
        if file is not None:
            from taskbank.data.sources import read_usable_inputs
            from taskbank.data.style import Style

            inputs = read_usable_inputs(
                file,
                fields,
                text=text,
                text_pair=text_pair,
                style=Style(**style),
                skip=skip_unusable,
            )
            rows, numbers, unusable = inputs.rows, inputs.numbers, inputs.unusable
        elif len(texts) % len(fields):
            raise InputError(
                f"{len(texts)} texts were given: {versions[0].asked} takes {len(fields)} per input"
            )
        else:
            rows = [texts[i : i + len(fields)] for i in range(0, len(texts), len(fields))]
            numbers, unusable = range(1, len(rows) + 1), {}
        answers = source.predict(versions, rows)
        if not settings.quiet:
            _say_truncated(versions, answers)
    names = [version.ref for version in versions]
    predictions = [  # grouped by text, to compare the tasks
        ({"row": number} if file is not None or output is not None else {})
        | ({"task": name} if tasks else {})
        | prediction.to_json()
        for number, *by_task in zip(numbers, *answers, strict=True)
        for name, prediction in zip(names, by_task, strict=True)
    ]
    for line in describe(unusable, SHOWN_UNUSABLE):
        echo(f"left out: {line}", err=True)
    if output is not None:
        _write(settings, output, predictions, unusable)
    elif settings.json:
        print_json(predictions)
    else:
        _print(predictions)


def _write(
    settings: Settings, output: Path, predictions: list[dict[str, Any]], unusable: Mapping[int, str]
) -> None:
    marked = write_predictions(output, predictions)
    if settings.json:
        skipped = [{"row": row, "problem": problem} for row, problem in unusable.items()]
        print_json(
            {
                "output": str(output),
                "predictions": len(predictions),
                "left_out": skipped,
                "marked_formulas": marked,
            }
        )
    settings.say(f"wrote {len(predictions):,} predictions to {output}")
    if marked:
        settings.say(
            f"{marked:,} texts begin like a formula of a spreadsheet: an apostrophe was written "
            "before each (.parquet and .jsonl hold them unchanged)"
        )


def _print(predictions: list[dict[str, Any]]) -> None:
    several = "task" in predictions[0]
    print_table(
        (*(["task"] if several else []), "label", ">score", "text"),
        [
            (
                *([prediction["task"]] if several else []),
                shown_label(prediction) or "(none)",
                f"{prediction['score']:.4f}",
                _shorten(prediction),
            )
            for prediction in predictions
        ],
    )


def _select(source: Source, tasks: Sequence[str]) -> dict[str, Predicted]:
    """Return the selected versions by reference; a pattern selects each task's newest version."""
    selected: dict[str, Predicted] = {}
    names = source.names() if any(map(is_pattern, tasks)) else ()
    for task in tasks:
        matching = [name for name in names if fnmatchcase(name, task)]
        if is_pattern(task) and not matching:
            raise NotFoundError(f"no task matches {task!r}: taskbank list shows all tasks")
        selected |= {ref: source.get(ref) for ref in matching or [task]}
    return selected


def _compatible(
    settings: Settings, chosen: dict[str, Predicted], *, columns: bool
) -> tuple[list[Predicted], tuple[Field, ...]]:
    """Return the versions that can share inputs, and the fields of an input.

    Args:
        settings: the global options.
        chosen: the selected versions by reference.
        columns: whether inputs are matched by column names; otherwise by the number of texts.
    """
    groups: dict[tuple[int, tuple[str, ...]], list[Predicted]] = {}
    for version in chosen.values():
        names = tuple(field.name for field in version.fields) if columns else ()
        groups.setdefault((len(version.fields), names), []).append(version)
    # If inputs differ, tasks with the fewest texts per input win, then the largest group.
    compatible = groups.pop(min(groups, key=lambda key: (key[0], -len(groups[key]))))
    skipped = [version.asked for group in groups.values() for version in group]
    if skipped and not settings.quiet:
        echo(f"skipped, because their inputs differ: {', '.join(skipped)}", err=True)
    return compatible, compatible[0].fields


def _say_truncated(versions: Sequence[Predicted], answers: Sequence[Sequence[Prediction]]) -> None:
    """Say on the error stream how many inputs are longer than the tasks read."""
    for version, predictions in zip(versions, answers, strict=True):
        count = sum(prediction.truncated for prediction in predictions)
        if count:
            echo(
                f"truncated: {count:,} of {len(predictions):,} inputs of {version.ref} have more "
                f"than its {version.max_length:,} tokens, and the rest was not read",
                err=True,
            )


def _shorten(prediction: dict[str, Any]) -> str:
    inputs = [prediction[key] for key in ("text", "text_pair") if key in prediction]
    texts = (text if isinstance(text, str) else " ".join(text) for text in inputs)
    joined = " | ".join(" ".join(text.split()) for text in texts)
    return joined if len(joined) <= 80 else joined[:79] + "…"
