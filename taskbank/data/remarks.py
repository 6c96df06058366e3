"""Remarks on how data was read, which are no errors but must not be silent."""

from __future__ import annotations

import warnings


class Remark(UserWarning):
    """Says how something was read, where there was a choice."""


def remark(message: str) -> None:
    """Say how something was read: a warning in Python, a line on the error stream in a command."""
    warnings.warn(message, Remark, stacklevel=3)
