"""Begins the chain of a bank that is older than chains, over every row that it holds."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select

from taskbank.bank.catalog.chain import Changes, append_entries, read_head
from taskbank.bank.catalog.rows import child_rows, chunks, family_of, table_of
from taskbank.bank.catalog.seals import family_seal
from taskbank.bank.catalog.stored_rows import READ_ERRORS
from taskbank.bank.catalog.tables import FAMILIES, SEALED_TABLES, Base
from taskbank.errors import DamagedError


def begin_chain(connection: Connection) -> None:
    """Append entries for all rows of a bank whose chain is empty.

    Raises:
        DamagedError: if a seal or a child row cannot be read.
    """
    if read_head(connection) is not None:
        return
    try:
        append_entries(
            connection, [entry for model in SEALED_TABLES for entry in _entries(connection, model)]
        )
    except READ_ERRORS as error:
        raise DamagedError(
            f"the bank has a value that cannot be read ({error}): restore the bank from a copy, or "
            "run verify-all --level integrity with the taskbank that recorded it to locate the row"
        ) from None


def _entries(connection: Connection, model: type[Base]) -> Iterator[Changes]:
    table = table_of(model)
    seals = connection.execute(select(table.c.id, table.c.seal).order_by(table.c.id)).all()
    child_tables = FAMILIES.get(table.name)
    for chunk in chunks(seals):
        changes = Changes()
        ids = [row_id for row_id, _ in chunk]
        children = child_rows(connection, ids, child_tables) if child_tables else {}
        for row_id, own in chunk:
            family = family_of(children, row_id)
            changes.insert(table.name, row_id, family_seal(own, family) if child_tables else own)
        yield changes
