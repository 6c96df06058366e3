"""`taskbank copy`: copy versions with all their evidence and history into another bank."""

from __future__ import annotations

import click

from taskbank.cli.copied import print_copied
from taskbank.cli.settings import Settings, data_options, pairs
from taskbank.errors import NotFoundError


@click.command()
@click.option("--to", required=True, metavar="URL", help="The bank to copy into.")
@click.option(
    "--task",
    metavar="GLOB",
    help="Copy only tasks with this name, such as 'ticket-*'.  [default: everything]",
)
@click.option(
    "--since",
    metavar="TIME",
    help="Leave out versions and trials that were recorded before this date or time (UTC).",
)
@click.option(
    "--rename",
    multiple=True,
    metavar="OLD=NEW",
    help="Give a task another name there; repeat it for more.",
)
@data_options
@click.pass_obj
def copy(
    settings: Settings, to: str, task: str | None, since: str | None, rename: tuple[str, ...]
) -> int:
    """Copy versions with their evidence, history, aliases, trials and verifications.

    Nothing changes in the bank that is copied, and nothing that the other bank has. What it has
    already is not copied again: an interrupted copy is completed by the same command. A task that
    is another one there is named before anything is written.
    """
    from taskbank.bank.bank import Bank
    from taskbank.bank.open import bank_exists
    from taskbank.bank.url import redacted_url

    renamed = pairs(rename, "--rename")
    if not bank_exists(to):
        raise NotFoundError(
            f"there is no bank at {redacted_url(to)}: create one with taskbank init --backbone "
            "SPEC, or bring everything into a new one with taskbank restore"
        )
    with Bank(settings.bank, only_read=True) as bank, Bank(to) as other:
        copied = bank.copy_to(
            other, task=task, since=since, rename=renamed, progress=settings.progress
        )
    return print_copied(settings, copied, to)
