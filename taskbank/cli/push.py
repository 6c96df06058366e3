"""`taskbank push`: push an adapter to the Hugging Face Hub."""

from __future__ import annotations

from typing import Any

import click

from taskbank.cli.format_option import format_option
from taskbank.cli.output import print_json
from taskbank.cli.settings import Settings, complete_task, data_options


@click.command()
@click.argument("ref", metavar="NAME", shell_complete=complete_task)
@click.argument("repository", metavar="hf:OWNER/REPO")
@format_option
@click.option(
    "--public",
    is_flag=True,
    help="Let everybody read it; the format taskbank has the examples of every stored split.",
)
@data_options
@click.pass_obj
def push(settings: Settings, /, ref: str, repository: str, **options: Any) -> None:
    """Push an adapter to the Hugging Face Hub, to a private repository."""
    from taskbank.bank.open import open_bank
    from taskbank.interchange.hub import push_adapter

    with open_bank(settings.bank) as bank:
        pushed = push_adapter(bank, ref, repository, **options)
    if settings.json:
        where = {"source": pushed.source, "url": pushed.url, "public": pushed.public}
        print_json(pushed.record.summary() | where)
    else:
        whose = "a public repository" if pushed.public else "a private repository"
        settings.say(f"pushed {pushed.record.ref} to {whose}: {pushed.url}")
        if options["format"] == "taskbank":
            settings.say(f"taskbank import {pushed.source} imports it")
