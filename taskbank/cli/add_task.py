"""`taskbank add-task`: train a task and record it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from taskbank.cli.common import Settings, data_options, pairs, print_fields, print_json, size

if TYPE_CHECKING:
    from taskbank.pipeline import Added

DATA = "A .csv, .tsv, .jsonl, .parquet or .arrow file, a saved folder, or hf:NAME[/CONFIG][:SPLIT]."


@click.command("add-task")
@click.argument("name")
@click.option("--train", "train_data", required=True, metavar="DATA", help=DATA)
@click.option("--validation", metavar="DATA", help="Chooses the epoch; default: a tenth of train.")
@click.option("--test", metavar="DATA", help="Scored once, at the end.")
@click.option("--kind", default="single", show_default=True, help="single or pair.")
@click.option("--text", metavar="COL", help="Column of texts.  [default: text, or text_a]")
@click.option("--text-pair", metavar="COL", help="Column of second texts.  [default: text_b]")
@click.option("--label", metavar="COL", help="Column of labels.  [default: label]")
@click.option("--method", default="houlsby", show_default=True, help="How the task is adapted.")
@click.option("--size", type=int, help="Width of the adapter's bottleneck.  [default: 64]")
@click.option("--option", "options", multiple=True, metavar="K=V", help="Another of the method's.")
@click.option("--epochs", type=int, help="Passes over train, at most.")
@click.option("--learning-rate", type=float, help="Peak of the schedule.")
@click.option("--batch-size", type=int, help="Examples a step.  [default: 32]")
@click.option("--max-length", type=int, help="Tokens an input is cut to.  [default: 128]")
@click.option("--weight-decay", type=float, help="On matrices.  [default: 0, as in the paper]")
@click.option("--seed", type=int, help="Of initialisation, order and dropout.  [default: 0]")
@click.option("--patience", type=int, help="Stop after so many epochs without a better one.")
@click.option("--backbone", metavar="SPEC", help="Which backbone; makes the bank if need be.")
@click.option("--new-version", is_flag=True, help="Add a version to a task that is there.")
@click.option("--description", default="", metavar="T", help="Free text.")
@click.option("--tag", "tags", multiple=True, metavar="K=V", help="To find it by; repeatable.")
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@data_options
@click.pass_obj
def add_task(
    settings: Settings,
    /,
    name: str,
    train_data: str,
    size: int | None,
    options: tuple[str, ...],
    tags: tuple[str, ...],
    **given: Any,
) -> int:
    """Train task NAME on labelled text and record it in the bank.

    Only an adapter, the LayerNorms and a head are trained; the backbone stays as it is. The
    best epoch on validation is kept, and everything that was in the bank is checked after.
    """
    from taskbank.pipeline import add_task as add

    method_options = {key: _literal(text) for key, text in pairs(options, "--option").items()}
    if size is not None:
        method_options["size"] = size
    names = ("epochs", "learning_rate", "batch_size", "max_length", "weight_decay", "seed")
    training = {key: given.pop(key) for key in (*names, "patience")}
    added = add(
        settings.bank,
        name,
        train_data,
        options=method_options,
        training={key: value for key, value in training.items() if value is not None},
        tags=pairs(tags, "--tag"),
        progress=settings.progress,
        **given,
    )
    if settings.json:
        print_json(added.record.to_json() | {"unchanged": added.unchanged.to_json()})
    elif not settings.quiet:
        _print(added)
    return 0 if added.unchanged.ok else 1


def _print(added: Added) -> None:
    record, best = added.record, added.training.best
    fields: dict[str, object] = {
        "task": record.ref,
        "kind": f"{record.kind}, {len(record.labels)} labels",
        "method": record.method,
    }
    for split in record.splits:
        fields[split.name] = f"{split.rows:,} examples of {split.origin}"
    for measured in record.metrics:
        fields[f"{measured.split} {measured.name}"] = (
            f"{measured.value:.4f} ± {measured.standard_error:.4f}"
        )
    cut = record.environment["train"]["at_max_length"]
    if cut:
        fields["cut"] = (
            f"{cut:,} of {record.environment['train']['rows']:,} training inputs reach "
            f"{record.training['max_length']} tokens: what is beyond is not read (--max-length)"
        )
    fields |= {
        "best epoch": f"{best.number} of {len(added.training.epochs)} run",
        "trained": f"{added.training.seconds:.1f} s",
        "parameters": f"{record.parameters:,}",
        "stored": f"{size(record.bytes)}, {record.digest}",
    }
    print_fields(fields)
    others = added.unchanged.checked - 1
    if added.unchanged.ok:
        click.echo(f"the {others} other adapters of the bank are unchanged (rows and bytes)")
    else:
        for finding in added.unchanged.findings:
            click.echo(f"found: {finding.task}@{finding.version} {finding.message}", err=True)


def _literal(text: str) -> Any:
    # A number or true/false where it reads as one, text otherwise.
    try:
        return json.loads(text)
    except ValueError:
        return text
