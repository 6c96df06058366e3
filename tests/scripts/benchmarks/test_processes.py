"""Tests of scripts/benchmarks/processes.py."""

from __future__ import annotations

import resource
import sys

import pytest

from scripts.benchmarks.processes import run_measured


@pytest.mark.process
def test_a_command_is_charged_with_its_own_memory() -> None:
    """The memory of this process does not count, and 200 MiB of the command's own do."""
    large = bytearray(300 << 20)
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    small = run_measured([sys.executable, "-c", ""])
    assert small["memory"] < 100 < len(large) >> 20 < mine
    cost = run_measured([sys.executable, "-c", "bytearray(200 << 20)"])
    assert 200 < cost["memory"] < 300
    assert cost["seconds"] > 0 < cost["processor"]


@pytest.mark.process
def test_a_failing_command_is_not_measured() -> None:
    """A command that fails ends the script with the command's error."""
    with pytest.raises(SystemExit, match="because of this"):
        run_measured([sys.executable, "-c", "raise ValueError('because of this')"])
