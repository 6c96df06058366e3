"""`taskbank alias`: movable names of versions, and their history."""

from __future__ import annotations

import click

from taskbank.cli.head import current_head, say_head
from taskbank.cli.output import echo, print_json
from taskbank.cli.settings import Settings, complete_task, data_options
from taskbank.cli.text_table import print_table
from taskbank.errors import InputError


@click.command()
@click.argument("ref", metavar="NAME[@VERSION]", shell_complete=complete_task)
@click.argument("alias", required=False)
@click.option("--drop", is_flag=True, help="Remove the alias; its history is kept.")
@click.option(
    "--require",
    "requirements",
    multiple=True,
    metavar="CONDITION",
    help="Move the alias only if the version meets this condition, such as "
    "'metric.accuracy >= 0.9' or, compared with the alias's current version, 'negative_flips <= 3' "
    "(also positive_flips, flips, drop and p_value); repeatable.",
)
@click.option("--backbone", metavar="SPEC", help="New source of the backbone, if it moved.")
@click.option("--device", help="Device for predictions, if any are needed: cpu or cuda.")
@data_options
@click.pass_obj
def alias(
    settings: Settings,
    /,
    ref: str,
    alias: str | None,
    drop: bool,
    requirements: tuple[str, ...],
    **options: str | None,
) -> int:
    """Point ALIAS at a version: taskbank alias sst2@3 production.

    Without ALIAS, show the history of the task's aliases. A moved alias keeps its history. Exits
    with 1, and does not move the alias, if a requirement is not met.
    """
    from taskbank.bank.open import open_bank

    name, at, _ = ref.partition("@")
    if requirements and (alias is None or drop or not at):
        raise InputError("--require needs an alias to move: taskbank alias NAME@VERSION ALIAS")
    with open_bank(settings.bank) as bank:
        if alias is not None and requirements:
            from taskbank.promotion.requirements import unmet_requirements

            failed = unmet_requirements(bank, ref, alias, requirements, **options)
            for message in failed:
                echo(f"{message}: alias {alias!r} was not moved", err=True)
            if failed:
                return 1
        if alias is not None and drop:
            bank.drop_alias(name, alias)
        elif alias is not None and at:
            bank.alias(ref, alias)
        elif alias is not None:
            raise InputError(
                f"{ref} has no version: write {ref}@VERSION, or --drop to remove the alias"
            )
        elif drop:
            raise InputError("name the alias to remove: taskbank alias NAME ALIAS --drop")
        history = [step for step in bank.aliases(name) if alias in (None, step.alias)]
    if settings.json:
        steps = [vars(step) for step in history]
        print_json({"history": steps, "head": current_head(settings)})
    elif not history:
        settings.say(f"task {name!r} has no aliases")
    else:
        print_table(
            ("alias", "names", "since"),
            [
                (
                    step.alias,
                    "nothing" if step.version is None else f"{name}@{step.version}",
                    step.set_at,
                )
                for step in history
            ],
        )
    if alias is not None:
        say_head(settings)
    return 0
