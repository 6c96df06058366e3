"""The command `taskbank`: its subcommands, its global options and its exit codes.

Heavy modules are imported neither here nor at the top of a command's file, so that `--help` and
read-only commands start quickly.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings

import click

from taskbank.cli.accept import accept
from taskbank.cli.add_task import add_task
from taskbank.cli.add_tasks import add_tasks
from taskbank.cli.alias import alias
from taskbank.cli.cache import cache
from taskbank.cli.completion import completion
from taskbank.cli.db import db
from taskbank.cli.diff import diff
from taskbank.cli.export import export
from taskbank.cli.gc import gc
from taskbank.cli.history import history
from taskbank.cli.import_ import import_
from taskbank.cli.init import init
from taskbank.cli.list import list_
from taskbank.cli.predict import predict
from taskbank.cli.query import query
from taskbank.cli.remove import remove
from taskbank.cli.settings import Settings, data_options
from taskbank.cli.show import show
from taskbank.cli.tolerance import tolerance
from taskbank.cli.trials import trials
from taskbank.cli.verify_all import verify_all
from taskbank.errors import TaskbankError
from taskbank.redaction import redacted
from taskbank.runtime import startup, threads
from taskbank.version import __version__

INTERRUPTED = 130
BUG = 70  # EX_SOFTWARE in sysexits.h


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@data_options
@click.version_option(__version__, prog_name="taskbank")
@click.pass_context
def cli(context: click.Context) -> None:
    """One frozen language-model encoder, and a bank of small task adapters for it.

    Every command accepts --bank and --quiet; commands that print data also accept --json.

    Exit codes: 0 success; 1 a verification has findings, a task of a suite failed, or a version
    did not meet a requirement; 2 invalid input or failed training; 3 the bank is damaged or has
    another schema; 4 the backbone does not match; 70 a defect of taskbank; 130 interrupted.
    """
    context.ensure_object(Settings)


for command in (
    init,
    add_task,
    add_tasks,
    verify_all,
    history,
    diff,
    accept,
    tolerance,
    list_,
    show,
    query,
    trials,
    predict,
    alias,
    remove,
    gc,
    cache,
    export,
    import_,
    db,
    completion,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line and exit with its exit code."""
    startup.claim_process()
    threads.let_threads_sleep()
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are printed to stderr.

    Args:
        arguments: the command-line arguments; None means the arguments of this process.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            result = cli.main(arguments, prog_name="taskbank", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return TaskbankError.exit_code
    except TaskbankError as error:
        click.echo(f"error: {redacted(str(error))}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted: unfinished work was not recorded", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the output has closed the pipe, so the remaining output is discarded.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        click.echo(redacted(traceback.format_exc()), err=True)
        click.echo("error: this is a defect in taskbank; please report the lines above", err=True)
        return BUG
    return result if isinstance(result, int) else 0


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """Print a warning like an error, without its location in the code, which users do not need."""
    click.echo(f"warning: {redacted(str(message))}", err=True)
