"""Prints what a copy from one bank into another did, for `taskbank copy` and `taskbank restore`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from taskbank.cli.head import current_head, say_head
from taskbank.cli.output import echo, print_json
from taskbank.cli.settings import Settings
from taskbank.cli.text_table import print_table
from taskbank.counts import counted, size
from taskbank.errors import DamagedError

if TYPE_CHECKING:
    from taskbank.bank.records import Copied


def print_copied(settings: Settings, copied: Copied, to: str) -> int:
    """Print what was copied, what stays as it is, and what is damaged; return the exit code.

    Args:
        settings: the global options.
        copied: what the copy did.
        to: the URL of the bank that was copied into.
    """
    target = replace(settings, bank=to)
    if settings.json:
        source = {"bank": copied.bank, "head": copied.head.digest, "entries": copied.head.entries}
        shown = vars(copied) | {"source": source, "head": current_head(target)}
        print_json({name: value for name, value in shown.items() if name != "bank"})
    elif not settings.quiet:
        _print_table(copied)
        for remark in copied.kept:
            settings.say(f"as it was: {remark}")
        say_head(target)
    for name, reason in copied.damaged.items():
        echo(f"not copied: {name}: {reason}", err=True)
    return DamagedError.exit_code if copied.damaged else 0


def _print_table(copied: Copied) -> None:
    rows = [(what, f"{count:,}") for what, count in copied.copied.items() if count]
    present = f"already there: {counted(copied.present, 'version')}"
    if not rows:
        echo(f"nothing to copy; {present}")
        return
    print_table(("what", ">copied"), rows)
    echo(
        f"{counted(copied.blobs, 'blob')} of {size(copied.bytes)}"
        + (f"; {present}" if copied.present else "")
    )
