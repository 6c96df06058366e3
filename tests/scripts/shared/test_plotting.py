"""Tests of scripts/shared/plotting.py."""

from __future__ import annotations

import sys

import pytest

from scripts.shared.plotting import check_matplotlib
from taskbank.errors import MissingExtraError


def test_the_error_without_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without matplotlib, the error says which extra to install."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"taskbank\[plots\]"):
        check_matplotlib()
