"""Prints text, JSON, fields and findings.

Names, texts and messages come from files and banks of anyone. Whatever a terminal would obey, or
would show in another order, is printed as an escape.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from taskbank.runtime.visible_text import visible, visible_json

if TYPE_CHECKING:
    from taskbank.verify.report import Report


def echo(text: str = "", *, err: bool = False) -> None:
    """Print lines of text.

    Args:
        text: the lines.
        err: whether to print to the error stream.
    """
    click.echo(visible(text), err=err)


def print_findings(report: Report) -> None:
    """Print the findings of a verification that followed another command, to stderr."""
    for finding in report.findings:
        echo(f"found: {finding.ref or 'the bank'}: {finding.message}", err=True)
    if report.interrupted:
        echo(
            f"the verification was interrupted after {report.checked} of {len(report.tasks)} "
            f"adapters: {report.interrupted}; run taskbank verify-all",
            err=True,
        )
    changed = [task.ref for task in report.tasks if task.status == "changed"]
    if changed:
        echo(f"predictions changed since they were recorded: {', '.join(changed)}", err=True)


def print_json(value: Any) -> None:
    """Print a value as JSON, with non-ASCII characters escaped unless stdout is UTF-8."""
    text = json.dumps(value, indent=2, ensure_ascii=not _prints_unicode(), default=_plain)
    click.echo(visible_json(text))


def print_fields(fields: dict[str, object]) -> None:
    """Print one name and value per line, with the values aligned."""
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        echo(f"{name.ljust(width)}  {visible(str(value), lines=False)}")


def _prints_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else str(value)
