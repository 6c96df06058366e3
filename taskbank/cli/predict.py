"""`taskbank predict`: labels and probabilities for texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from taskbank.cli.common import Settings, complete_task, data_options, print_json, print_table
from taskbank.errors import InputError


@click.command()
@click.argument("ref", metavar="NAME", shell_complete=complete_task)
@click.argument("texts", metavar="[TEXT …]", nargs=-1)
@click.option("--file", "file", type=click.Path(path_type=Path), help="Texts: .txt, .csv, …")
@click.option("--text", metavar="COL", help="Column of texts.  [default: text, or text_a]")
@click.option("--text-pair", metavar="COL", help="Column of second texts.  [default: text_b]")
@click.option("--backbone", metavar="SPEC", help="Where the backbone is now, if it moved.")
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@data_options
@click.pass_obj
def predict(
    settings: Settings,
    ref: str,
    texts: tuple[str, ...],
    file: Path | None,
    text: str | None,
    text_pair: str | None,
    backbone: str | None,
    device: str | None,
) -> None:
    """Predict each TEXT, or each row of --file, with task NAME.

    NAME may carry a version or an alias: NAME@3, NAME@production. Where a task takes two texts
    (a pair; a question and its context), two in turn are one input.
    """
    if bool(texts) == bool(file):
        raise InputError("give texts, or a file of them with --file: one of the two")
    from taskbank import plugins
    from taskbank.bank import open_bank
    from taskbank.inference import predict as predict_inputs
    from taskbank.kinds.kind import input_fields

    with open_bank(settings.bank) as bank:
        record = bank[ref]
        fields = input_fields(plugins.load("kinds", record.kind), record.definition)
        width = len(fields)
        if file is not None:
            from taskbank.data.sources import read_inputs

            rows = read_inputs(str(file), fields, text=text, text_pair=text_pair)
        elif len(texts) % width:
            raise InputError(f"{len(texts)} texts were given: {ref} takes {width} an input")
        else:
            rows = [texts[i : i + width] for i in range(0, len(texts), width)]
        predictions = predict_inputs(bank, ref, rows, backbone=backbone, device=device)
    if settings.json:
        print_json(predictions)
        return
    print_table(
        ("label", ">score", "text"),
        [(one["label"] or "(none)", f"{one['score']:.4f}", _short(one)) for one in predictions],
    )


def _short(prediction: dict[str, Any]) -> str:
    inputs = [prediction[key] for key in ("text", "text_pair") if key in prediction]
    texts = (one if isinstance(one, str) else " ".join(one) for one in inputs)
    joined = " | ".join(" ".join(text.split()) for text in texts)
    return joined if len(joined) <= 80 else joined[:79] + "…"
