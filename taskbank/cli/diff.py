"""`taskbank diff`: compare two versions on the same examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taskbank.cli.output import echo, print_fields, print_json
from taskbank.cli.settings import Settings, complete_task, data_options
from taskbank.cli.text_table import print_table

if TYPE_CHECKING:
    from taskbank.promotion.diff import Diff

MAX_ROWS = 20  # rows in the tables of flips and of answer pairs; --json prints all


@click.command()
@click.argument("first", metavar="NAME@A", shell_complete=complete_task)
@click.argument("second", metavar="NAME@B", shell_complete=complete_task)
@click.option("--backbone", metavar="SPEC", help="New source of the backbone, if it moved.")
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@data_options
@click.pass_obj
def diff(
    settings: Settings, first: str, second: str, backbone: str | None, device: str | None
) -> None:
    """Compare two versions on the examples that NAME@B was scored on.

    Shows every metric, the answers that differ with their texts, and the probability that NAME@B
    is worse by chance alone. If both versions were scored on these examples, the stored
    predictions are used.
    """
    from taskbank.bank.open import open_bank
    from taskbank.promotion.diff import diff as compare

    with open_bank(settings.bank) as bank:
        comparison = compare(bank, first, second, backbone=backbone, device=device)
    if settings.json:
        print_json(comparison.to_json())
    else:
        _print(settings, comparison)


def _print(settings: Settings, comparison: Diff) -> None:
    print_table(
        ("metric", f">{comparison.first}", f">{comparison.second}", ">difference"),
        [
            (name, f"{first:.4f}", f"{second:.4f}", f"{second - first:+.4f}")
            for name, (first, second) in comparison.metrics.items()
        ],
    )
    if comparison.flips and not settings.quiet:
        echo()
        print_table(
            (">row", "answer", "was", "is", "effect", "text"),
            [
                (flip.row, flip.label, flip.recorded, flip.observed, flip.effect, flip.text)
                for flip in comparison.flips[:MAX_ROWS]
            ],
        )
        echo()
        print_table(
            (f"{comparison.first} says", f"{comparison.second} says", ">examples"),
            [(*pair, count) for pair, count in list(comparison.answers.items())[:MAX_ROWS]],
        )
        echo()
    examples = f"{comparison.examples:,} of split {comparison.split}"
    if comparison.left_out:
        examples += f", {comparison.left_out:,} left out: their label is new to {comparison.first}"
    fields: dict[str, object] = {
        "examples": examples,
        "answers differ": (
            f"{len(comparison.flips):,}: {comparison.negative_flips:,} for the worse, "
            f"{comparison.positive_flips:,} for the better"
        ),
        "p": (
            f"{comparison.p_value:.3g}, the probability that {comparison.second} is this much "
            "worse by chance"
        ),
    }
    print_fields(fields)
