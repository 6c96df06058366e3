"""`taskbank score`: score an adapter on newly labelled data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taskbank.cli.head import current_head, say_head
from taskbank.cli.metric_fields import (
    evidence_fields,
    metric_fields,
    metric_text,
    print_classes,
)
from taskbank.cli.output import echo, print_fields, print_json
from taskbank.cli.settings import Settings, complete_task, data_options
from taskbank.cli.spec_options import reading_options
from taskbank.runtime.startup import collection_paused

if TYPE_CHECKING:
    from taskbank.pipeline.score import Scored


@click.command()
@click.argument("ref", metavar="NAME[@VERSION|@ALIAS]", shell_complete=complete_task)
@click.option(
    "--data", required=True, metavar="DATA", help="Labelled data, in any form that --train takes."
)
@reading_options
@click.option(
    "--record",
    metavar="SPLIT",
    help="Record data, predictions and metrics as a split of this name, such as june-2026, which "
    "is verified with the adapter from then on.",
)
@click.option("--backbone", metavar="SPEC", help="New source of the backbone, if it moved.")
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@data_options
@click.pass_obj
def score(
    settings: Settings,
    /,
    ref: str,
    data: str,
    text: str | None,
    text_pair: str | None,
    label: str | None,
    label_names: str | None,
    merge_labels: bool,
    record: str | None,
    backbone: str | None,
    device: str | None,
    **style: str | None,
) -> None:
    """Score an adapter on newly labelled data, and compare it with its recorded score.

    Every label must be one of the task's. Nothing is trained and the adapter does not change.
    """
    with collection_paused():
        from taskbank.bank.open import open_bank
        from taskbank.data.style import Style
        from taskbank.pipeline.score import score as score_adapter

    with open_bank(settings.bank) as bank:
        scored = score_adapter(
            bank,
            ref,
            data,
            text=text,
            text_pair=text_pair,
            label=label,
            style=Style(**style),
            label_names=label_names,
            merge_labels=merge_labels,
            record=record,
            backbone=backbone,
            device=device,
        )
    if settings.json:
        head = {} if record is None else {"head": current_head(settings)}
        print_json(scored.to_json() | head)
    else:
        _print(scored)
    if record is not None:
        say_head(settings)
    if scored.trained_on:
        echo(
            f"warning: {scored.ref} was trained on {scored.origin}, so this score says nothing "
            "about new data",
            err=True,
        )


def _print(scored: Scored) -> None:
    from taskbank import plugins

    kind = plugins.load("kinds", scored.kind)
    fields: dict[str, object] = {
        "adapter": scored.ref,
        "data": f"{scored.rows:,} examples of {scored.origin}",
    }
    for split, count in scored.known.items():
        if count:
            fields[f"also in {split}"] = f"{count:,} of the inputs"
    fields |= metric_fields(kind, scored.metrics)
    recorded = scored.recorded
    value = metric_text(kind, recorded)
    examples = "" if "examples" in value else f", {recorded.count:,} examples"
    fields["recorded"] = f"{recorded.split} {recorded.name} {value}{examples}"
    fields["difference"] = f"{scored.difference:+.4f}" + (
        " (the recorded score is of the same examples)"
        if scored.difference_interval is None
        else " (95% interval {:+.4f} to {:+.4f})".format(*scored.difference_interval)
    )
    fields |= evidence_fields(scored.metric, (), {"chance": scored.chance}, {})
    if scored.split is not None:
        fields["recorded as"] = f"split {scored.split!r}, which is verified from now on"
    print_fields(fields)
    if scored.classes is not None:
        print_classes(scored.classes)
