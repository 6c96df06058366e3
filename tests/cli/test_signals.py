"""Interrupts: one line and the exit code of the signal, wherever a command is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.process, pytest.mark.slow]

# Runs the command line with a command that does what the text says, as its own process.
PROCESS = """
import sys, time
from types import SimpleNamespace
from taskbank.cli import main


class Commands:
    def main(self, *given, **more):
        print("ready", flush=True)
        exec(sys.argv[1])


sys.modules["taskbank.cli.commands"] = SimpleNamespace(cli=Commands())
main.main()
"""
IMPORTED = """
import io, traceback
import click
from taskbank import errors, redaction
from taskbank.cli import output
from taskbank.runtime import resources
"""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
WAIT = "time.sleep(30)"
IN_DESTRUCTOR = """
class Slow:
    def __del__(self):
        time.sleep(30)
slow = Slow()
del slow
time.sleep(30)
"""
AT_THE_END = """
import atexit, signal
from taskbank.cli import signals

def end(signal=signal):  # as Python does before it ends
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    time.sleep(1)

atexit.register(end)
signals.AGAIN = 0.5
class Slow:
    def __del__(self):
        time.sleep(30)
slow = Slow()
del slow
"""
IN_IMPORT = """
try:
    time.sleep(30)
except KeyboardInterrupt as error:
    raise ImportError("the library could not be loaded") from error
"""
IN_LOGGED_WORK = """
import logging
try:
    time.sleep(30)
except BaseException:
    logging.getLogger("library").exception("a connection could not be closed")
    raise
"""
SWALLOWING = """
while True:
    try:
        time.sleep(30)
    except KeyboardInterrupt:
        pass
"""


@pytest.fixture(autouse=True)
def _default_signals() -> Iterator[None]:
    """Ignore no signal, even if the suite itself runs under `nohup` or in the background."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in CODES}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def start(code: str, *source: str) -> subprocess.Popen[str]:
    """Start a process, and return when its command has begun.

    Args:
        code: what the command does.
        source: Python's arguments that name its program.
    """
    process = subprocess.Popen(
        [sys.executable, *(source or ("-c", PROCESS)), code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    return process


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_signal_ends_a_command_with_one_line_and_its_code(number: signal.Signals) -> None:
    """Ctrl-C exits with 130, SIGTERM with 143 and SIGHUP with 129; there is no traceback."""
    process = start(WAIT)
    process.send_signal(number)
    _, said = process.communicate(timeout=10)
    assert process.returncode == CODES[number]
    how = "interrupted" if number == signal.SIGINT else "terminated"
    assert said.strip() == f"{how}: unfinished work was not recorded"


@pytest.mark.parametrize(
    "code", [IN_DESTRUCTOR, IN_IMPORT, IN_LOGGED_WORK], ids=["destructor", "import", "logged"]
)
def test_an_interrupt_counts_where_libraries_swallow_replace_or_log_it(code: str) -> None:
    """An interrupt in `__del__`, or one that became another error or was logged, is one line."""
    process = start(code)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 130
    assert said.strip() == "interrupted: unfinished work was not recorded"


def test_an_interrupt_in_code_from_a_string_ends_a_module_with_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python ends `python -m` by SIGINT after such an interrupt, unless more code comes from
    strings, as in modules that are imported later."""
    (tmp_path / "program.py").write_text(IMPORTED + PROCESS)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{tmp_path}")
    process = start(WAIT, "-m", "program")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 143
    assert said.strip() == "terminated: unfinished work was not recorded"


def test_an_interrupt_that_was_swallowed_does_not_kill_a_command_that_has_ended() -> None:
    """An interrupt in the last `__del__` of a command comes too late to be raised again."""
    process = start(AT_THE_END)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_a_second_signal_ends_the_process_at_once() -> None:
    """A command that does not react to Ctrl-C is ended by the second."""
    process = start(SWALLOWING)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 130
    assert said.strip() == "interrupted: unfinished work was not recorded"


def test_an_ignored_signal_stays_ignored() -> None:
    """What `nohup` lets a command ignore does not end it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    process = start("time.sleep(0.5)")
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_a_real_command_can_be_interrupted_while_it_starts(tmp_path: Path) -> None:
    """From the first of our own code on, an interrupt has one line and its code."""
    command = [sys.executable, "-X", "importtime", "-m", "taskbank", "--bank", "sqlite:///no.db"]
    process = subprocess.Popen(
        [*command, "verify-all"], stderr=subprocess.PIPE, text=True, env=os.environ
    )
    lines = []
    assert process.stderr is not None
    for line in process.stderr:  # the time that an import took is printed after it
        lines.append(line)
        if "taskbank.cli.streams" in line:
            process.send_signal(signal.SIGINT)
    process.wait(timeout=10)
    said = [line for line in lines if "import time:" not in line and line.strip()]
    assert said == ["interrupted: unfinished work was not recorded\n"]
    assert process.returncode == 130
