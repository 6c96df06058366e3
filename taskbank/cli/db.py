"""`taskbank db`: show and upgrade the schema of a bank."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from taskbank.cli.head import current_head, say_head
from taskbank.cli.output import echo, print_json
from taskbank.cli.settings import Settings, bank_options, data_options
from taskbank.counts import counted

if TYPE_CHECKING:
    from taskbank.bank.records import CopyRecord

FIRST_WITH_CHAIN = "0006"  # the first schema in which a bank has a chain


@click.group()
def db() -> None:
    """Show the bank's schema and head, upgrade it, and grant the rights to use it."""


@db.command()
@data_options
@click.pass_obj
def current(settings: Settings) -> None:
    """Print the bank's schema, the schema that this taskbank reads, and the bank's head.

    The head is a digest that stands for everything recorded so far, and for its order. Keep it
    elsewhere: taskbank verify-all --expect HEAD later proves that all of it is still there. What
    was copied from other banks is listed with their heads.
    """
    from taskbank.bank.open import SCHEMA_REVISION, open_bank, schema_of

    revision, head = schema_of(settings.bank), None
    copies: tuple[CopyRecord, ...] = ()
    if revision == SCHEMA_REVISION:
        with open_bank(settings.bank) as bank:
            head, copies = bank.head(), bank.copies()
    if settings.json:
        shown = {"bank": revision, "taskbank": SCHEMA_REVISION}
        print_json(
            shown
            | {"head": head.digest if head else None, "entries": head.entries if head else None}
            | {"copies": [vars(copy) for copy in copies]}
        )
        return
    echo(f"the bank has schema {revision}, this taskbank reads {SCHEMA_REVISION}")
    if head is not None:
        echo(f"head {head.digest}, entry {head.entries:,} of {head.at[:19]}")
    for copy in copies:
        echo(
            f"{counted(copy.versions, 'version')} copied until {copy.finished_at[:19]} from bank "
            f"{copy.bank} with head {copy.head}, entry {copy.entries:,}"
        )


@db.command()
@click.option("--key", required=True, type=click.Path(path_type=Path), help="SSH key to sign with.")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="File to write.")
@bank_options
@click.pass_obj
def sign(settings: Settings, key: Path, output: Path) -> None:
    """Write the bank's head to a file and sign it.

    taskbank verify-all --expect FILE --signer PUBLIC_KEY later proves that everything that was
    recorded until now is still there.
    """
    from taskbank.bank.open import open_bank
    from taskbank.checks import check_writable
    from taskbank.verify.signed_head import sign_head

    check_writable(output)
    with open_bank(settings.bank) as bank:
        head = bank.head()
    output.write_bytes(sign_head(head, key))
    settings.say(f"wrote the signed head of entry {head.entries:,} to {output}")


@db.command()
@click.argument("role")
@bank_options
@click.pass_obj
def grant(settings: Settings, role: str) -> None:
    """Let the PostgreSQL role ROLE read and record, and nothing else.

    Run it as the owner of the bank's tables, after the bank was created and after each upgrade.
    ROLE can then do all normal work, but neither change nor delete what is recorded, nor destroy
    adapters (gc --confirm), nor upgrade the bank.
    """
    from taskbank.bank.open import grant_role

    grant_role(settings.bank, role)
    settings.say(f"{role} may read and record, and neither change nor delete")


@db.command()
@data_options
@click.pass_obj
def upgrade(settings: Settings) -> None:
    """Upgrade the bank to the schema that this taskbank reads.

    Copy the bank first, with taskbank backup or pg_dump.
    """
    from taskbank.bank.open import SCHEMA_REVISION, upgrade_bank

    before = upgrade_bank(settings.bank)
    if settings.json:
        head = current_head(settings)
        print_json({"before": before, "after": SCHEMA_REVISION, "head": head})
    elif before == SCHEMA_REVISION:
        settings.say(f"the bank already has schema {before}: nothing to do")
    else:
        settings.say(f"upgraded the bank from schema {before} to {SCHEMA_REVISION}")
        if before < FIRST_WITH_CHAIN:
            settings.say("the bank now has a chain, which begins with all that the bank holds")
        say_head(settings)
