"""The global options, and options that several commands share."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

from taskbank.cli.output import echo
from taskbank.data.remarks import Remark
from taskbank.errors import InputError

DEFAULT_BANK = "sqlite:///taskbank.db"
Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass
class Settings:
    """The global options, which may come before or after the name of the command."""

    bank: str = field(default_factory=lambda: os.environ.get("TASKBANK_BANK") or DEFAULT_BANK)
    json: bool = False
    quiet: bool = False

    @property
    def progress(self) -> bool:
        """Whether progress bars may be shown if stderr is a terminal."""
        return not self.quiet

    def say(self, text: str) -> None:
        """Print a remark unless `--quiet` or `--json` is given."""
        if not self.quiet and not self.json:
            echo(text)


def _set_option(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    settings = context.ensure_object(Settings)
    if value is not None and parameter.name is not None:
        setattr(settings, parameter.name, value)
    if settings.quiet:
        warnings.simplefilter("ignore", Remark)


def bank_options(command: Command) -> Command:
    """Add `--bank` and `--quiet` to a command, so that they may come after its name, too."""
    for option in (
        click.option(
            "--quiet",
            is_flag=True,
            default=None,
            callback=_set_option,
            expose_value=False,
            help="Print only results and errors: no remarks, no progress.",
        ),
        click.option(
            "--bank",
            metavar="URL",
            callback=_set_option,
            expose_value=False,
            help="FILE, sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE.  "
            f"[default: TASKBANK_BANK in the environment, else {DEFAULT_BANK}]",
        ),
    ):
        command = option(command)
    return command


def data_options(command: Command) -> Command:
    """Add `--json`, `--bank` and `--quiet` to a command."""
    json_option = click.option(
        "--json",
        is_flag=True,
        default=None,
        callback=_set_option,
        expose_value=False,
        help="Print JSON.",
    )
    return bank_options(json_option(command))


def executor_option(command: Command) -> Command:
    """Add `--on`, where the work is done, to a command."""
    option = click.option(
        "--on",
        "executor",
        metavar="PLACE",
        envvar="TASKBANK_ON",
        help="Where to compute: ray, or ray://HOST:PORT.  "
        "[default: TASKBANK_ON in the environment, else this process]",
    )
    return option(command)


def job_server_option(command: Command) -> Command:
    """Add `--address`, where the job server of a Ray cluster is, to a command."""
    option = click.option(
        "--address",
        metavar="URL",
        envvar=["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"],
        default="http://127.0.0.1:8265",
        help="Address of the dashboard of the Ray cluster.  [default: RAY_API_SERVER_ADDRESS or "
        "RAY_ADDRESS in the environment, else http://127.0.0.1:8265]",
    )
    return option(command)


def verify_option(command: Command) -> Command:
    """Add `--verify`, the level of the verification that follows, to a command."""
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

    Args:
        values: the arguments.
        option: the option's name, for the error message.

    Raises:
        InputError: if an argument has no key or no `=`, or if a key is given twice.
    """
    parsed: dict[str, str] = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key:
            raise InputError(f"{option} {value!r} is not KEY=VALUE")
        if key in parsed:
            raise InputError(f"{option} {key} is given twice: {parsed[key]!r} and {text!r}")
        parsed[key] = text
    return parsed


def literal(text: str) -> Any:
    """Return the value of a text that is valid JSON, such as a number, or else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def complete_task(context: click.Context, _parameter: object, start: str) -> list[str]:
    """Return the names of tasks that start with the typed text, for shell completion."""
    from taskbank.bank.open import open_bank
    from taskbank.errors import TaskbankError

    settings = context.find_object(Settings) or Settings()
    try:
        with open_bank(settings.bank) as bank:
            return [name for name in bank.tasks() if name.startswith(start)]
    except TaskbankError:
        return []
