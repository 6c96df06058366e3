"""`taskbank suggest`: rank the stored versions that a new task could start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taskbank import plugins
from taskbank.cli.output import echo, print_json
from taskbank.cli.settings import Settings, data_options
from taskbank.cli.spec_options import style_options
from taskbank.cli.text_table import print_table
from taskbank.counts import counted
from taskbank.runtime.startup import collection_paused

if TYPE_CHECKING:
    from taskbank.pipeline.suggest import Suggestions


@click.command()
@click.option(
    "--train", required=True, metavar="DATA", help="Training data of the new task, as for add-task."
)
@click.option(
    "--kind",
    default="single",
    show_default=True,
    help="Kind of the new task: single, pair or regression.",
)
@click.option(
    "--top", type=int, default=3, show_default=True, help="Largest number of versions to suggest."
)
@click.option(
    "--task",
    default="*",
    metavar="GLOB",
    help="Consider only tasks whose names match this pattern, such as 'ticket-*'.",
)
@click.option("--text", metavar="COL", help="Column of the texts.  [default: by kind]")
@click.option("--text-pair", metavar="COL", help="Column of the second texts.  [default: by kind]")
@click.option("--label", metavar="COL", help="Column of the labels.  [default: by kind]")
@style_options
@click.option("--backbone", metavar="SPEC", help="Source of the backbone, if the bank has several.")
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@data_options
@click.pass_obj
def suggest(
    settings: Settings,
    /,
    train: str,
    kind: str,
    top: int,
    task: str,
    backbone: str | None,
    device: str | None,
    **fields: str | None,
) -> None:
    """Rank the stored versions whose adapters would help a new task, without training it.

    At most 200 rows of the data are used. A version helps if their labels can be read off the
    backbone's vectors better with its adapter than without, by more than chance explains.
    """
    with collection_paused():
        from taskbank.bank.open import open_bank
        from taskbank.pipeline.suggest import suggest as suggest_versions

    with open_bank(settings.bank) as bank:
        found = suggest_versions(
            bank, train, kind=kind, top=top, task=task, backbone=backbone, device=device, **fields
        )
    if settings.json:
        print_json(found.to_json())
    else:
        _print(found, task)


def _print(found: Suggestions, task: str) -> None:
    if not found.candidates:
        named = "" if task == "*" else f" of a task that matches {task!r}"
        echo(
            f"none: the bank has no version{named} on this backbone that a training can start from"
        )
        return
    compared = counted(found.compared, "version")
    if found.compared < found.candidates:
        compared += f" whose texts are most alike, of {found.candidates:,}"
    if not found.versions:
        echo(
            f"none: under none of {compared} does a linear probe get better than under the bare "
            f"backbone ({found.metric} {found.score:.4f} on {found.rows:,} rows)"
        )
        return
    rows = [
        (one.ref, one.method, f"{one.logme:.4f}", f"{one.score:.4f}", f"{one.p_value:.2g}")
        for one in found.versions
    ]
    bare = ("(bare backbone)", "", f"{found.logme:.4f}", f"{found.score:.4f}", "")
    print_table(("version", "method", ">logme", f">probe {found.metric}", ">p"), [*rows, bare])
    first = found.versions[0]
    defaults = plugins.load("methods", first.method).complete({})
    differing = {k: value for k, value in first.options.items() if value != defaults.get(k)}
    options = "".join(f" --option {name}={value}" for name, value in differing.items())
    echo(f"start from the first with: --from {first.ref} --method {first.method}{options}")
