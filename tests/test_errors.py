"""Errors and their exit codes."""

from __future__ import annotations

from taskbank.errors import TaskbankError
from tests.helpers.rows import pairs


def test_every_error_of_the_library_is_a_taskbank_error() -> None:
    """One base class catches them all, and each has the exit code that the tree draws."""
    from taskbank import errors

    tree = (errors.__doc__ or "").splitlines()
    classes = [c for c in vars(errors).values() if isinstance(c, type)]
    for one in classes:
        assert issubclass(one, TaskbankError)
        if one not in (TaskbankError,):
            (line,) = [text for text in tree if f" {one.__name__} " in text]
            assert str(one.exit_code) in line.split()
    assert pairs(2)
