"""What every command shares: the global options, and how something is printed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

from taskbank.errors import InputError

DEFAULT_BANK = "sqlite:///taskbank.db"
Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass
class Settings:
    """The global options, given before the command or after it."""

    bank: str = field(default_factory=lambda: os.environ.get("TASKBANK_BANK") or DEFAULT_BANK)
    json: bool = False
    quiet: bool = False

    @property
    def progress(self) -> bool:
        """Whether bars may be shown, where there is a terminal."""
        return not self.quiet

    def say(self, text: str) -> None:
        """Print a remark for people, unless they asked for quiet or for JSON."""
        if not self.quiet and not self.json:
            click.echo(text)


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    settings = context.ensure_object(Settings)
    if value is not None and parameter.name is not None:
        setattr(settings, parameter.name, value)


def bank_options(command: Command) -> Command:
    """Let a command take `--bank` and `--quiet`, so that they may come after its name too."""
    for option in (
        click.option(
            "--quiet",
            is_flag=True,
            default=None,
            callback=_keep,
            expose_value=False,
            help="Print results and errors only: no remarks, no progress.",
        ),
        click.option(
            "--bank",
            metavar="URL",
            callback=_keep,
            expose_value=False,
            help="sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE.  "
            f"[default: TASKBANK_BANK in the environment, else {DEFAULT_BANK}]",
        ),
    ):
        command = option(command)
    return command


def data_options(command: Command) -> Command:
    """Let a command take `--json` beside `--bank` and `--quiet`."""
    json_option = click.option(
        "--json",
        is_flag=True,
        default=None,
        callback=_keep,
        expose_value=False,
        help="Print JSON.",
    )
    return bank_options(json_option(command))


def print_json(value: Any) -> None:
    """Print a value as JSON, in UTF-8 whatever the terminal's encoding is."""
    text = json.dumps(value, indent=2, ensure_ascii=not _prints_unicode(), default=_plain)
    click.echo(text)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under their headings, as wide as the terminal is and whole elsewhere.

    Args:
        columns: the headings; one that starts with `>` is for numbers, aligned to the right.
        rows: a cell a heading.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        right = column.startswith(">")
        table.add_column(
            column.lstrip(">"), justify="right" if right else "left", no_wrap=right, overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    terminal = sys.stdout.isatty()
    Console(width=None if terminal else 10_000, highlight=False).print(table)


def print_fields(fields: dict[str, object]) -> None:
    """Print names and values, one a line, the values under each other."""
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        click.echo(f"{name.ljust(width)}  {value}")


def size(count: int) -> str:
    """Return a number of bytes as people read it."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"


def pairs(values: Sequence[str], option: str) -> dict[str, str]:
    """Return `KEY=VALUE` arguments as a dictionary.

    Raises:
        InputError: if one has no `=`, or a key comes twice.
    """
    found: dict[str, str] = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key:
            raise InputError(f"{option} {value!r} is not KEY=VALUE")
        if key in found:
            raise InputError(f"{option} {key} is given twice: {found[key]!r} and {text!r}")
        found[key] = text
    return found


def literal(text: str) -> Any:
    """Return a number or truth value where a text reads as one, the text otherwise."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def complete_task(context: click.Context, _parameter: object, start: str) -> list[str]:
    """Return the names of tasks that begin with what was typed, for shell completion."""
    from taskbank.bank import open_bank
    from taskbank.errors import TaskbankError

    settings = context.find_object(Settings) or Settings()
    try:
        with open_bank(settings.bank) as bank:
            return sorted({record.task for record in bank if record.task.startswith(start)})
    except TaskbankError:
        return []


def _prints_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else str(value)
