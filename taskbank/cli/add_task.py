"""`taskbank add-task`: train a task and record it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taskbank.cli.output import print_fields, print_findings, print_json, size
from taskbank.cli.settings import Settings, data_options, literal, pairs, verify_option
from taskbank.errors import InputError
from taskbank.runtime.startup import collection_paused

if TYPE_CHECKING:
    from taskbank.pipeline.add_task import Added

TEXT = "text; text_a, question or words, by kind"
PAIR = "text_b, or context"
LABEL = "label; labels, answers or tags, by kind"
METHODS = "houlsby, pfeiffer, parallel, lora, ia3, bitfit, layernorm; to measure: top-k, full."
TRAINING = (
    "epochs",
    "learning_rate",
    "batch_size",
    "batch_tokens",
    "max_length",
    "weight_decay",
    "class_weight",
    "seed",
    "patience",
    "precision",
)
DATA = "A .csv, .tsv, .jsonl, .parquet or .arrow file, a saved folder, or hf:NAME[/CONFIG][:SPLIT]."


@click.command("add-task")
@click.argument("name")
@click.option("--train", "train_data", required=True, metavar="DATA", help=DATA)
@click.option("--validation", metavar="DATA", help="Chooses the epoch; default: a tenth of train.")
@click.option("--test", metavar="DATA", help="Scored once, at the end.")
@click.option(
    "--kind",
    default="single",
    show_default=True,
    help="single, pair, regression, multilabel, span or tagging.",
)
@click.option("--text", metavar="COL", help=f"Column of texts.  [default: {TEXT}]")
@click.option("--text-pair", metavar="COL", help=f"Column of second texts.  [default: {PAIR}]")
@click.option("--label", metavar="COL", help=f"Column of labels.  [default: {LABEL}]")
@click.option("--rows", type=int, help="Use so many rows of train, a stratified sample.")
@click.option("--metric", help="What the task is chosen and checked by.  [default: the kind's]")
@click.option("--positive", metavar="LABEL", help="Of two classes, the one that F1 is about.")
@click.option("--method", default="houlsby", show_default=True, help=METHODS)
@click.option("--size", type=int, help="Width of the adapter's bottleneck.  [default: 64]")
@click.option("--layers", metavar="WHICH", help="all, top:3, 0-5 or 8,10,11.  [default: all]")
@click.option("--option", "options", multiple=True, metavar="K=V", help="Another of the method's.")
@click.option("--epochs", type=int, help="Passes over train, at most.")
@click.option("--learning-rate", type=float, help="Peak of the schedule.")
@click.option("--batch-size", type=int, help="Examples a step.  [default: 32]")
@click.option("--batch-tokens", type=int, help="Tokens a step, at most.  [default: any number]")
@click.option("--max-length", type=int, help="Tokens an input, or a window of it, is cut to.")
@click.option("--weight-decay", type=float, help="On matrices.  [default: 0, as in the paper]")
@click.option("--class-weight", metavar="balanced", help="Let every class count alike.")
@click.option("--seed", type=int, help="Of initialisation, order and dropout.  [default: 0]")
@click.option("--patience", type=int, help="Stop after so many epochs without a better one.")
@click.option("--precision", help="float32, or bfloat16 where the processor has it (default).")
@click.option(
    "--search",
    multiple=True,
    metavar="K=V,V,…",
    help="Values to try of a hyperparameter or a method's option, or a JSON list; repeatable.",
)
@click.option(
    "--seeds", type=int, default=1, show_default=True, help="Train each setting from so many seeds."
)
@click.option("--trials", type=int, help="Let a sampler pick so many settings of the search.")
@click.option("--keep-trials", is_flag=True, help="Store the weights of every trial.")
@click.option("--keep-weights", is_flag=True, help="Store what a baseline trains: whole layers.")
@verify_option
@click.option("--resume", is_flag=True, help="Go on from what an interrupted run left.")
@click.option("--backbone", metavar="SPEC", help="Which backbone; makes the bank if need be.")
@click.option("--new-version", is_flag=True, help="Add a version to a task that is there.")
@click.option("--alias", metavar="NAME", help="Let this alias name what is added.")
@click.option(
    "--must-not-regress",
    is_flag=True,
    help="With --new-version: exit with 1, and leave the alias where it is, if the version is "
    "worse than the one that the alias names, or else the newest.",
)
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
    layers: str | None,
    options: tuple[str, ...],
    search: tuple[str, ...],
    tags: tuple[str, ...],
    **given: Any,
) -> int:
    """Train task NAME on labelled text and record it in the bank.

    Only an adapter, the LayerNorms and a head are trained; the backbone stays as it is. The
    best epoch on validation is kept, and everything that was in the bank is checked after.

    With --search, every setting is tried, or as many as --trials says, and the best by
    validation is recorded; taskbank trials shows them all.
    """
    with collection_paused():
        from taskbank.pipeline.add_task import add_task as add

    method_options = {key: literal(text) for key, text in pairs(options, "--option").items()}
    for key, value in (("size", size), ("layers", layers)):
        if value is not None and key in method_options:
            raise InputError(f"{key} is given twice, with --{key} and with --option: leave one out")
        if value is not None:
            method_options[key] = value
    training = {key: given.pop(key) for key in TRAINING}
    added = add(
        settings.bank,
        name,
        train_data,
        options=method_options,
        training={key: value for key, value in training.items() if value is not None},
        search={
            key.replace("-", "_"): _values(text) for key, text in pairs(search, "--search").items()
        },
        tags=pairs(tags, "--tag"),
        progress=settings.progress,
        **given,
    )
    if settings.json:
        print_json(as_json(added))
    elif not settings.quiet:
        _print(added)
    if added.trial.status == "collapsed":
        click.echo(
            f"warning: no trial of {name} learned anything: {added.trial.metric} is "
            f"{added.trial.score:.4f} on validation, no better than predictions that look at no "
            "input; try another --learning-rate, more epochs or more data",
            err=True,
        )
    if added.verification is not None:
        print_findings(added.verification)
    if added.worse is not None:
        click.echo(
            f"{added.worse.second} is worse than {added.worse.first}: {added.worse.metric} is "
            f"{added.worse.drop:.4f} lower on {added.worse.examples:,} examples of split "
            f"{added.worse.split!r} (p = {added.worse.p_value:.2g}); it is recorded"
            + (", and the alias is where it was" if given["alias"] else ""),
            err=True,
        )
        return 1
    return 0 if added.verification is None or added.verification.ok else 1


def _values(text: str) -> list[Any]:
    """Return the values of a search: a JSON list, or what stands between commas."""
    whole = literal(text)
    return whole if isinstance(whole, list) else [literal(value) for value in text.split(",")]


def as_json(added: Added) -> dict[str, Any]:
    """Return what `--json` prints: the adapter, or the trial where none is stored, and the rest."""
    found = added.trial if added.record is None else added.record
    return found.to_json() | {
        "stored": added.record is not None,
        "trials": [trial.to_json() for trial in added.trials],
        "worse": None if added.worse is None else added.worse.to_json(),
        "verification": None if added.verification is None else added.verification.to_json(),
    }


def _print(added: Added) -> None:
    from taskbank.cli.trials import print_spread, print_trials

    trial, best = added.trial, added.training.best
    if len(added.trials) > 1:
        print_trials(added.trials)
        print_spread(added.trials)
    fields: dict[str, object] = {
        "task": trial.task if added.record is None else added.record.ref,
        "kind": f"{trial.kind}, {len(trial.labels)} labels" if trial.labels else trial.kind,
        "method": trial.method,
    }
    for name in filter(trial.data.get, ("train", "validation", "test")):
        split = trial.data[name]
        fields[name] = f"{split['rows']:,} examples of {split['origin']}"
    for measured in trial.metrics:
        fields[f"{measured.split} {measured.name}"] = (
            f"{measured.value:.4f} ± {measured.standard_error:.4f}"
        )
    cut = trial.environment["train"]["at_max_length"]
    if cut:
        fields["cut"] = (
            f"{cut:,} training inputs reach {trial.training['max_length']} tokens: what is beyond "
            "is not read, or read in another window (--max-length)"
        )
    fields |= {
        "best epoch": f"{best.number} of {len(added.training.epochs)} run",
        "trained": f"{added.training.seconds:.1f} s",
        "parameters": f"{trial.parameters:,}",
        "stored": "nothing but this trial: --keep-weights stores what was trained"
        if added.record is None
        else f"{size(added.record.bytes)}, {added.record.digest}",
    }
    print_fields(fields)
    if added.verification is None or not added.verification.ok:
        return
    others = added.verification.checked - (added.record is not None)
    plural = "adapters of the bank are as they were"
    are = "adapter of the bank is as it was" if others == 1 else plural
    click.echo(f"the {others} other {are} (verified at level {added.verification.level})")
