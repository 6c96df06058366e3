"""`taskbank diff`: two versions on the same examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taskbank.cli.output import print_fields, print_json
from taskbank.cli.settings import Settings, complete_task, data_options
from taskbank.cli.tables import print_table

if TYPE_CHECKING:
    from taskbank.promotion.diff import Diff

SHOWN = 20  # flips and pairs of answers that are shown; --json has all


@click.command()
@click.argument("first", metavar="NAME@A", shell_complete=complete_task)
@click.argument("second", metavar="NAME@B", shell_complete=complete_task)
@click.option("--backbone", metavar="SPEC", help="Where the backbone is now, if it moved.")
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@data_options
@click.pass_obj
def diff(
    settings: Settings, first: str, second: str, backbone: str | None, device: str | None
) -> None:
    """Compare two versions on the examples that NAME@B has its score on.

    Shows every metric, the answers that differ with their texts, and whether NAME@B being worse
    may be chance. Nothing is predicted where both were scored on these examples.
    """
    from taskbank.bank.open import open_bank
    from taskbank.promotion.diff import diff as compare

    with open_bank(settings.bank) as bank:
        found = compare(bank, first, second, backbone=backbone, device=device)
    if settings.json:
        print_json(found.to_json())
    else:
        _print(settings, found)


def _print(settings: Settings, found: Diff) -> None:
    print_table(
        ("metric", f">{found.first}", f">{found.second}", ">difference"),
        [
            (name, f"{one:.4f}", f"{other:.4f}", f"{other - one:+.4f}")
            for name, (one, other) in found.metrics.items()
        ],
    )
    if found.flips and not settings.quiet:
        click.echo()
        print_table(
            (">row", "answer", "was", "is", "effect", "text"),
            [
                (flip.row, flip.label, flip.recorded, flip.observed, flip.effect, flip.text)
                for flip in found.flips[:SHOWN]
            ],
        )
        click.echo()
        print_table(
            (f"{found.first} says", f"{found.second} says", ">examples"),
            [(*pair, count) for pair, count in list(found.answers.items())[:SHOWN]],
        )
        click.echo()
    examples = f"{found.examples:,} of split {found.split}"
    if found.left_out:
        examples += f", {found.left_out:,} left out: {found.first} lacks their label"
    fields: dict[str, object] = {
        "examples": examples,
        "answers differ": f"{len(found.flips):,}: {found.negative_flips:,} for the worse, "
        f"{found.positive_flips:,} for the better",
        "p": f"{found.p_value:.3g} that {found.second} is so much worse by chance",
    }
    print_fields(fields)
