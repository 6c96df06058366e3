"""The head of the bank's chain, which every command prints that has written to the bank."""

from __future__ import annotations

from taskbank.cli.settings import Settings
from taskbank.errors import TaskbankError


def current_head(settings: Settings) -> str | None:
    """Return the head of the bank as it is now; None if it cannot be read.

    What the command has done is printed even if the server is gone meanwhile.
    """
    from taskbank.bank.open import open_bank

    try:
        with open_bank(settings.bank) as bank:
            return bank.head().digest
    except TaskbankError:
        return None


def say_head(settings: Settings) -> None:
    """Print the head as a remark."""
    if not (settings.quiet or settings.json) and (head := current_head(settings)):
        settings.say(f"head {head}")
