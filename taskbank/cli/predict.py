"""`taskbank predict`: labels and probabilities for texts."""

from __future__ import annotations

from pathlib import Path

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
    """Predict the label of each TEXT, or of each row of --file, with task NAME.

    NAME may carry a version or an alias: NAME@3, NAME@production. For a task of kind pair,
    two texts in turn are one input.
    """
    if bool(texts) == bool(file):
        raise InputError("give texts, or a file of them with --file: one of the two")
    from taskbank import plugins
    from taskbank.bank import open_bank
    from taskbank.inference import predict as predict_texts

    with open_bank(settings.bank) as bank:
        columns = plugins.load("kinds", bank[ref].kind).columns
        width = len(columns)
        if file is not None:
            from taskbank.data.sources import read_texts

            rows = read_texts(str(file), text=text, text_pair=text_pair, kind_columns=columns)
        elif len(texts) % width:
            raise InputError(f"{len(texts)} texts were given: {ref} takes {width} an input")
        else:
            rows = [texts[i : i + width] for i in range(0, len(texts), width)]
        predictions = predict_texts(bank, ref, rows, backbone=backbone, device=device)
    if settings.json:
        print_json(predictions)
        return
    print_table(
        ("label", ">score", "text"),
        [(one["label"], f"{one['score']:.4f}", _short(one)) for one in predictions],
    )


def _short(prediction: dict[str, str]) -> str:
    texts = [prediction[key] for key in ("text", "text_pair") if key in prediction]
    joined = " | ".join(" ".join(text.split()) for text in texts)
    return joined if len(joined) <= 80 else joined[:79] + "…"
