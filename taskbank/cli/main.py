"""Runs the command `taskbank`, and turns whatever ended it into one message and an exit code.

The commands are imported once signals and streams are prepared, so that Ctrl-C ends even a command
that has hardly started with a message and an exit code. Nothing slow is imported before.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from taskbank.cli import signals

BUG = 70  # EX_SOFTWARE in sysexits.h


def main() -> None:
    """Run the command line of this process and exit with its exit code."""
    signals.stop_on_signals()
    try:
        from taskbank.cli import streams
        from taskbank.runtime import startup, threads

        streams.prepare_streams()
        startup.claim_process()
        threads.let_threads_sleep()
        code = run()
    except KeyboardInterrupt:  # before the command, or while its end was reported
        print(signals.message(), file=sys.stderr)
        code = signals.exit_code()
    signals.exit_at_once(code)
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are printed to stderr.

    Args:
        arguments: the command-line arguments; None means the arguments of this process.
    """
    try:
        import warnings

        from taskbank.cli import streams
        from taskbank.cli.commands import cli

        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            _check_arguments(sys.argv[1:] if arguments is None else arguments)
            result = cli.main(arguments, prog_name="taskbank", standalone_mode=False)
        streams.check_output()
    except SystemExit:
        raise
    except BaseException as error:
        return _report(error)
    return result if isinstance(result, int) else 0


def _check_arguments(arguments: Sequence[str]) -> None:
    """Raise if an argument was decoded from bytes that are not UTF-8, which no record can hold."""
    from taskbank.checks import check_text

    for argument in arguments:
        check_text(argument, "the argument")


def _report(error: BaseException) -> int:
    """Print what ended a command, and return the exit code for it."""
    import io
    import traceback

    import click

    from taskbank.cli.output import echo
    from taskbank.errors import TaskbankError
    from taskbank.redaction import redacted
    from taskbank.runtime.resources import resource_error

    if signals.received() or _is_interrupt(error):
        echo(signals.message(), err=True)
        return signals.exit_code()
    if isinstance(error, click.ClickException):
        shown = io.StringIO()
        error.show(shown)
        echo(redacted(shown.getvalue().rstrip("\n")), err=True)
        return TaskbankError.exit_code
    known = error if isinstance(error, TaskbankError) else resource_error(error)
    if known is not None:
        echo(f"error: {redacted(str(known))}", err=True)
        return known.exit_code
    echo(redacted("".join(traceback.format_exception(error))), err=True)
    echo("error: this is a defect in taskbank; please report the lines above", err=True)
    return BUG


def _is_interrupt(error: BaseException) -> bool:
    """Return whether an error is a KeyboardInterrupt, or what click makes of one."""
    import click

    if isinstance(error, click.Abort):  # click raises it for the end of its input, too
        return not isinstance(error.__cause__ or error.__context__, EOFError)
    return isinstance(error, KeyboardInterrupt)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """Print a warning like an error, without its location in the code, which users do not need."""
    from taskbank.cli.output import echo
    from taskbank.redaction import redacted

    echo(f"warning: {redacted(str(message))}", err=True)
