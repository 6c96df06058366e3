"""`taskbank predict`: labels and probabilities for texts, by one task or by many."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, complete_task, data_options
from taskbank.cli.tables import print_table
from taskbank.errors import InputError, NotFoundError
from taskbank.runtime.startup import collection_paused

if TYPE_CHECKING:
    from taskbank.bank.bank import Bank
    from taskbank.bank.records import AdapterRecord
    from taskbank.data.fields import Field

PATTERN = frozenset("*?[")


@click.command()
@click.argument("words", metavar="[NAME] [TEXT …]", nargs=-1, shell_complete=complete_task)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="NAME",
    help="Instead of NAME: several tasks, such as '*' or 'ticket-*'; repeatable.",
)
@click.option("--file", "file", type=click.Path(path_type=Path), help="Texts: .txt, .csv, …")
@click.option("--text", metavar="COL", help="Column of texts.  [default: text, or text_a]")
@click.option("--text-pair", metavar="COL", help="Column of second texts.  [default: text_b]")
@click.option("--backbone", metavar="SPEC", help="Where the backbone is now, if it moved.")
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@data_options
@click.pass_obj
def predict(
    settings: Settings,
    words: tuple[str, ...],
    tasks: tuple[str, ...],
    file: Path | None,
    text: str | None,
    text_pair: str | None,
    backbone: str | None,
    device: str | None,
) -> None:
    """Predict each TEXT, or each row of --file, with task NAME or with every --task.

    NAME may carry a version or an alias: NAME@3, NAME@production. Where a task takes two texts
    (a pair; a question and its context), two in turn are one input. What several tasks have in
    common is computed once.
    """
    if not tasks and not words:
        raise InputError("say which task predicts: its NAME first, or --task NAME")
    texts = words if tasks else words[1:]
    if bool(texts) == bool(file):
        raise InputError("give texts, or a file of them with --file: one of the two")
    with collection_paused():
        from taskbank.bank.open import open_bank
        from taskbank.serve.predictor import Predictor

    with open_bank(settings.bank) as bank:
        chosen = _chosen(bank, tasks) if tasks else {words[0]: bank[words[0]]}
        refs, fields = _alike(settings, chosen, columns=file is not None)
        if file is not None:
            from taskbank.data.sources import read_inputs

            rows = read_inputs(str(file), fields, text=text, text_pair=text_pair)
        elif len(texts) % len(fields):
            raise InputError(
                f"{len(texts)} texts were given: {refs[0]} takes {len(fields)} an input"
            )
        else:
            rows = [texts[i : i + len(fields)] for i in range(0, len(texts), len(fields))]
        # There is no next time that adapters could be kept for.
        predictor = Predictor(bank, backbone=backbone, device=device, memory=0)
        answers = predictor.predict_many([(ref, rows) for ref in refs])
    if not tasks:
        predictions = answers[0]
    else:  # by text, as it is the texts that someone asks about
        names = [chosen[ref].ref for ref in refs]
        predictions = [
            {"task": name} | one
            for of_text in zip(*answers, strict=True)
            for name, one in zip(names, of_text, strict=True)
        ]
    if settings.json:
        print_json(predictions)
        return
    print_table(
        (*(["task"] if tasks else []), "label", ">score", "text"),
        [
            (
                *([one["task"]] if tasks else []),
                one["label"] or "(none)",
                f"{one['score']:.4f}",
                _short(one),
            )
            for one in predictions
        ],
    )


def _chosen(bank: Bank, tasks: Sequence[str]) -> dict[str, AdapterRecord]:
    """Return the adapters that are meant, by what names them; of a pattern the newest of each."""
    found: dict[str, AdapterRecord] = {}
    names = sorted({record.task for record in bank}) if PATTERN & set("".join(tasks)) else []
    for task in tasks:
        matching = [name for name in names if fnmatchcase(name, task)]
        if PATTERN & set(task) and not matching:
            raise NotFoundError(f"no task is named like {task!r}: taskbank list shows all")
        found |= {ref: bank[ref] for ref in matching or [task]}
    return found


def _alike(
    settings: Settings, chosen: dict[str, AdapterRecord], *, columns: bool
) -> tuple[list[str], tuple[Field, ...]]:
    """Return the tasks that can be asked together, and the fields of an input.

    Args:
        settings: of the command line.
        chosen: the tasks' adapters by what names them.
        columns: whether the inputs have names, and not only a number of texts.
    """
    from taskbank import plugins
    from taskbank.kinds.kind import input_fields

    groups: dict[tuple[int, tuple[str, ...]], dict[str, tuple[Field, ...]]] = {}
    for ref, record in chosen.items():
        fields = input_fields(plugins.load("kinds", record.kind), record.definition)
        names = tuple(field.name for field in fields) if columns else ()
        groups.setdefault((len(fields), names), {})[ref] = fields
    # What takes a single text, and of those the most, is meant if not all can be.
    alike = groups.pop(min(groups, key=lambda key: (key[0], -len(groups[key]))))
    others = [ref for group in groups.values() for ref in group]
    if others and not settings.quiet:
        named = ", ".join(others)
        click.echo(f"left out, as an input of theirs is another: {named}", err=True)
    return list(alike), next(iter(alike.values()))


def _short(prediction: dict[str, Any]) -> str:
    inputs = [prediction[key] for key in ("text", "text_pair") if key in prediction]
    texts = (one if isinstance(one, str) else " ".join(one) for one in inputs)
    joined = " | ".join(" ".join(text.split()) for text in texts)
    return joined if len(joined) <= 80 else joined[:79] + "…"
