"""The command `taskbank`: its subcommands, global options, and errors to exit codes.

Nothing heavy is imported here or at the top of a command's file, so that `--help` and
the commands that only look are quick.
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
from taskbank.runtime import startup, threads
from taskbank.version import __version__

INTERRUPTED = 130
BUG = 70  # what sysexits.h calls EX_SOFTWARE


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@data_options
@click.version_option(__version__, prog_name="taskbank")
@click.pass_context
def cli(context: click.Context) -> None:
    """One frozen language-model encoder, and a bank of small task adapters for it.

    Every command takes --bank and --quiet, and those that print data --json.
    Exit codes: 0 fine, 1 a verification found something (or a task of a suite failed), 2 bad
    input, 3 the bank is damaged
    or of another schema, 4 the backbone does not match, 130 interrupted.
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
    """Run the command line in a process of its own and exit with the code of what happened."""
    startup.claim_process()
    threads.let_threads_sleep()
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; errors go to the error stream.

    Args:
        arguments: what follows the program's name; none means those of this process.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            result = cli.main(arguments, prog_name="taskbank", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return TaskbankError.exit_code
    except TaskbankError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted: nothing was recorded of what was not finished", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough; what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        traceback.print_exc()
        click.echo("error: this is a defect of taskbank, please report the lines above", err=True)
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
    """Say a warning as an error is said, without the place in the code that is of no use here."""
    click.echo(f"warning: {message}", err=True)
