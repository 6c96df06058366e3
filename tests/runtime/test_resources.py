"""What ran out is recognised in the errors of any library."""

from __future__ import annotations

import errno
import os

import pytest

from taskbank.errors import InputError, ResourceError
from taskbank.runtime.resources import resource_error


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "memory is too small"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "memory"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (OSError(errno.EMFILE, "Too many open files", "a.csv"), "a.csv: too many files are open"),
        (RuntimeError("can't start new thread"), "no more threads"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EFBIG, "File too large"), "larger than allowed"),
        (OSError(errno.EIO, "Input/output error"), "the disk reported an error"),
        (_caused(ImportError("PLEASE READ THIS"), OSError(errno.EMFILE, "")), "too many files"),
    ],
)
def test_what_ran_out_is_said_in_one_line(error: Exception, words: str) -> None:
    """Memory, files, threads and space have a message each, whichever library noticed."""
    found = resource_error(error)
    assert isinstance(found, ResourceError)
    assert words in str(found)
    assert "\n" not in str(found)


def test_any_other_file_that_fails_is_named() -> None:
    """A file that cannot be read is bad input, with its name and the reason."""
    found = resource_error(PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/root/x"))
    assert type(found) is InputError
    assert str(found) == "/root/x: Permission denied"


def test_a_defect_is_nothing_that_ran_out() -> None:
    """Errors of the code itself are not explained away."""
    assert resource_error(ZeroDivisionError("division by zero")) is None
    assert resource_error(KeyError("out of memory")) is None
