"""Terminals on a bank with a task, and of a given width."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from tests.helpers.terminal import Screen, Terminal


@pytest.fixture
def terminal(mood: Bank, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A terminal on a bank with the task `mood`."""
    return Terminal(mood.url, capsys)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Screen:
    """A terminal."""
    return Screen(monkeypatch, capsys)
