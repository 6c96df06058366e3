"""Every error taskbank raises on purpose, with the exit code the command line gives it.

    TaskbankError
    ├── InputError             2  something given is wrong: an option, a file, a name, a URL
    │   ├── DataError          2  a data set cannot be read or does not fit its task
    │   ├── NotFoundError      2  the bank holds no such task, version, alias or backbone
    │   ├── ConflictError      2  the bank already holds that name, or it is still in use
    │   └── MissingExtraError  2  an optional dependency is not installed
    ├── TrainingError          2  training gave no usable adapter (the loss was not a number)
    ├── BankError              3  the bank cannot be trusted as it is
    │   ├── DamagedError       3  stored bytes or rows are not what was recorded
    │   │   └── GoneError      3  stored bytes are not there any more
    │   └── SchemaError        3  the bank has another schema version than this taskbank
    └── BackboneMismatchError  4  the loaded backbone is not the one that was recorded

A verification that finds something raises nothing: it returns a report, and the
command line exits with 1. An interrupt exits with 130.
"""

from __future__ import annotations

from typing import ClassVar


class TaskbankError(Exception):
    """Base of all errors that taskbank raises on purpose; the message is for the user."""

    exit_code: ClassVar[int] = 2


class InputError(TaskbankError):
    """Something given is wrong: an option, a file, a name, a URL."""


class DataError(InputError):
    """A data set cannot be read or does not fit its task."""


class NotFoundError(InputError):
    """The bank holds no such task, version, alias or backbone."""


class ConflictError(InputError):
    """The bank already holds that name, or it is still in use."""


class MissingExtraError(InputError):
    """An optional dependency is not installed; the message names the extra."""


class TrainingError(TaskbankError):
    """Training gave no usable adapter."""


class BankError(TaskbankError):
    """The bank cannot be trusted as it is."""

    exit_code = 3


class DamagedError(BankError):
    """Stored bytes or rows are not what was recorded."""


class GoneError(DamagedError):
    """Stored bytes are not there any more."""


class SchemaError(BankError):
    """The bank has another schema version than this taskbank."""


class BackboneMismatchError(TaskbankError):
    """The loaded backbone is not the one that was recorded."""

    exit_code = 4
