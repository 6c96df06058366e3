"""`taskbank update`: train a new version on the rows of the newest one and on new rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taskbank.cli.head import current_head, say_head
from taskbank.cli.output import echo, print_findings, print_json
from taskbank.cli.settings import Settings, complete_task, data_options, verify_option
from taskbank.cli.spec_options import reading_options
from taskbank.cli.text_table import print_table
from taskbank.digests import canonical_json
from taskbank.runtime.startup import collection_paused

if TYPE_CHECKING:
    from taskbank.pipeline.update import Updated
    from taskbank.pipeline.update_modes import Mode

LISTED = 10  # rows of each sort that are listed; --json has all
WAYS = {"retrain": "training anew", "continue": "continuing it"}
SORTS = {
    "added": "new inputs",
    "relabelled": "trained on with another label",
    "known": "trained on already",
    "held_out": "in its validation or test split; never trained on",
    "contradicting": "same inputs with another label in the new data",
    "absent": "trained on, and not in the new data; they stay",
}


@click.command()
@click.argument("ref", metavar="NAME[@VERSION|@ALIAS]", shell_complete=complete_task)
@click.option(
    "--train", required=True, metavar="DATA", help="New rows, in any form that add-task takes."
)
@click.option(
    "--old",
    metavar="DATA",
    help="The data that the version was trained on, if its rows were not kept.",
)
@click.option(
    "--dry-run", is_flag=True, help="List what is new, relabelled and contradicting; train nothing."
)
@click.option(
    "--mode",
    type=click.Choice(("retrain", "continue", "auto")),
    default="retrain",
    show_default=True,
    help="Train anew; start from the version, in less than half the time; or start from it, and "
    "train anew only if its score on old or on new rows drops.",
)
@click.option(
    "--anchor",
    type=float,
    metavar="WEIGHT",
    help="Hold what the version answers right, with a term of the loss of this weight, such as 1.",
)
@click.option("--keep-rows", is_flag=True, help="Store the training rows for the next update.")
@reading_options
@click.option("--alias", metavar="NAME", help="Move this alias to the version unless it is worse.")
@verify_option
@click.option("--resume", is_flag=True, help="Continue from the checkpoints of an interrupted run.")
@click.option("--backbone", metavar="SPEC", help="New source of the backbone, if it moved.")
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@data_options
@click.pass_obj
def update(
    settings: Settings,
    /,
    ref: str,
    train: str,
    old: str | None,
    dry_run: bool,
    mode: Mode,
    anchor: float | None,
    keep_rows: bool,
    text: str | None,
    text_pair: str | None,
    label: str | None,
    label_names: str | None,
    merge_labels: bool,
    alias: str | None,
    verify: Any,
    resume: bool,
    backbone: str | None,
    device: str | None,
    **style: str | None,
) -> int:
    """Train a new version of a task on the rows of an earlier one and on new rows.

    New rows are compared with those trained on before anything is trained; if nothing is new,
    nothing is added. The new version is compared with the earlier one on the old split, on new rows
    that are held out, and on both. If it is worse on the old split or on the new rows, it is
    recorded, the alias is not moved, and the exit code is 1.
    """
    with collection_paused():
        from taskbank.bank.open import open_bank
        from taskbank.checks import check_alias
        from taskbank.data.style import Style
        from taskbank.pipeline import update as updating

    if alias is not None:
        check_alias(alias)
    data = updating.NewData(
        train, text, text_pair, label, Style(**style), label_names, merge_labels
    )
    with open_bank(settings.bank) as bank:
        if dry_run:
            updated = updating.compare_data(bank, ref, data, mode=mode, anchor=anchor)
        else:
            updated = updating.update(
                bank,
                ref,
                data,
                mode=mode,
                anchor=anchor,
                old=old,
                keep_rows=keep_rows,
                alias=alias,
                backbone=backbone,
                device=device,
                verify=verify,
                resume=resume,
                progress=settings.progress,
            )
    if settings.json:
        head = {} if updated.record is None else {"head": current_head(settings)}
        print_json(updated.to_json() | head)
    else:
        _print(settings, updated)
    if updated.verification is not None:
        print_findings(updated.verification)
    if updated.worse and updated.record is not None:
        echo(
            f"{updated.record.ref} is worse than {updated.parent.ref} on "
            f"{' and '.join(f'split {name!r}' for name in updated.worse)}; it is recorded"
            + (", and the alias was not moved" if alias else ""),
            err=True,
        )
        return 1
    return 0 if updated.verification is None else updated.verification.exit_code


def _print(settings: Settings, updated: Updated) -> None:
    from taskbank.pipeline.update import count

    counts = count(updated.difference)
    print_table(
        ("rows", ">number", "meaning"),
        [(name.replace("_", " "), f"{counts[name]:,}", text) for name, text in SORTS.items()],
    )
    for name in ("relabelled", "contradicting"):
        positions = getattr(updated.difference, name)
        rows = list(updated.new.select(positions[:LISTED], "").rows())
        for position, row in zip(positions, rows, strict=False):
            settings.say(f"{name} row {position + 1:,}: {canonical_json(row)}")
        if len(positions) > LISTED:
            settings.say(f"… and {len(positions) - LISTED:,} more {name} rows")
    if updated.difference.is_empty:
        echo(f"nothing new for {updated.parent.ref}: no version was added")
    if updated.record is None:
        return
    how = updated.record.course["update"]["mode"]
    echo(f"added {updated.record.ref}, updated from {updated.parent.ref} by {WAYS[how]}")
    print_table(
        ("split", ">examples", "metric", ">before", ">after", ">worse", ">better", ">p"),
        [
            (
                split,
                f"{one.examples:,}",
                one.metric,
                *(f"{value:.4f}" for value in one.metrics[one.metric]),
                f"{one.negative_flips:,}",
                f"{one.positive_flips:,}",
                f"{one.p_value:.2g}",
            )
            for split, one in (updated.comparisons or {}).items()
        ],
    )
    say_head(settings)
