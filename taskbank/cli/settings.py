"""The global options of the command line, and options that several commands share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from taskbank.errors import InputError

if TYPE_CHECKING:
    pass

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


def verify_option(command: Command) -> Command:
    """Let a command that adds to the bank take the level at which it is verified afterwards."""
    option = click.option(
        "--verify",
        type=click.Choice(["none", "integrity", "changed", "canary", "full"]),
        default="changed",
        show_default=True,
        help="Level at which the whole bank is verified afterwards.",
    )
    return option(command)


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
    from taskbank.bank.open import open_bank
    from taskbank.errors import TaskbankError

    settings = context.find_object(Settings) or Settings()
    try:
        with open_bank(settings.bank) as bank:
            return sorted({record.task for record in bank if record.task.startswith(start)})
    except TaskbankError:
        return []
