"""`taskbank alias`: movable names for versions, and their history."""

from __future__ import annotations

import click

from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, complete_task, data_options
from taskbank.cli.tables import print_table
from taskbank.errors import InputError


@click.command()
@click.argument("ref", metavar="NAME[@VERSION]", shell_complete=complete_task)
@click.argument("alias", required=False)
@click.option("--drop", is_flag=True, help="Let the alias name nothing from now on.")
@click.option(
    "--require",
    "requirements",
    multiple=True,
    metavar="CONDITION",
    help="Leave the alias where it is unless the version fulfils this, such as "
    "'metric.accuracy >= 0.9' or, against what the alias names now, 'negative_flips <= 3' (also "
    "positive_flips, flips, drop and p_value); repeatable.",
)
@click.option("--backbone", metavar="SPEC", help="Where the backbone is now, if it moved.")
@click.option("--device", help="To predict on, where that is needed: cpu or cuda.")
@data_options
@click.pass_obj
def alias(
    settings: Settings,
    /,
    ref: str,
    alias: str | None,
    drop: bool,
    requirements: tuple[str, ...],
    **where: str | None,
) -> int:
    """Let ALIAS name a version: taskbank alias sst2@3 production.

    Without ALIAS, show the history of a task's aliases. A moved alias keeps its history. Exits
    with 1, and moves nothing, if a requirement is not fulfilled.
    """
    from taskbank.bank.open import open_bank

    name, at, _ = ref.partition("@")
    if requirements and (alias is None or drop or not at):
        raise InputError("--require is for moving an alias: taskbank alias NAME@VERSION ALIAS")
    with open_bank(settings.bank) as bank:
        if alias is not None and requirements:
            from taskbank.promotion.requirements import unmet_requirements

            failed = unmet_requirements(bank, ref, alias, requirements, **where)
            for message in failed:
                click.echo(f"{message}: alias {alias!r} stays where it is", err=True)
            if failed:
                return 1
        if alias is not None and drop:
            bank.drop_alias(name, alias)
        elif alias is not None and at:
            bank.alias(ref, alias)
        elif alias is not None:
            raise InputError(
                f"{ref} names no version: write {ref}@VERSION, or --drop to drop the alias"
            )
        elif drop:
            raise InputError("name the alias to drop: taskbank alias NAME ALIAS --drop")
        history = [step for step in bank.aliases(name) if alias in (None, step.alias)]
    if settings.json:
        print_json([vars(step) for step in history])
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
    return 0
