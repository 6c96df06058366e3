"""Definitions of tasks name a missing setting."""

from __future__ import annotations

import pytest

from taskbank.errors import DataError
from taskbank.kinds.definition import Definition, check_settings


def test_a_missing_setting_is_named() -> None:
    """A setting that is not there is as wrong as one of another type."""
    with pytest.raises(
        DataError, match="the setting 'mean' is None, which is invalid for a task of kind 'x'"
    ):
        check_settings("x", Definition(), {"mean": lambda value: value is not None})
