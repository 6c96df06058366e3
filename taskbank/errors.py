"""Every error that taskbank raises on purpose, with its exit code on the command line.

    TaskbankError
    ├── InputError             2  an option, a file, a name or a URL is invalid
    │   ├── DataError          2  a dataset cannot be read or does not fit its task
    │   ├── NotFoundError      2  the bank has no such task, version, alias or backbone
    │   ├── ConflictError      2  a name already exists in the bank, or is still in use
    │   ├── NotWritableError   2  the bank is read-only, or another process has locked it
    │   └── MissingExtraError  2  an optional dependency is not installed
    ├── TrainingError          2  training produced no usable adapter (the loss was not finite)
    ├── UnstableError          2  outputs depend on the batch by more than rounding explains
    ├── BankError              3  the bank cannot be used safely
    │   ├── DamagedError       3  stored bytes or rows differ from what was recorded
    │   │   └── GoneError      3  stored bytes are missing
    │   └── SchemaError        3  the bank's schema version is not the one that taskbank reads
    ├── BackboneMismatchError  4  the loaded backbone differs from the recorded one
    └── ResourceError          5  memory, disk space or file handles ran out, or a disk failed
        ├── UnreachableError   5  the connection to a database server or a blob store was lost
        └── OverloadedError    5  more inputs are waiting to be predicted than may wait

A verification with findings raises no error: it returns a report, and the command line
exits with 1. An interrupt (Ctrl-C, SIGINT) exits with 130, SIGTERM with 143.
"""

from __future__ import annotations

from typing import ClassVar


class TaskbankError(Exception):
    """Base of all errors that taskbank raises on purpose; the message is for the user."""

    exit_code: ClassVar[int] = 2


class InputError(TaskbankError):
    """An option, a file, a name or a URL is invalid."""


class DataError(InputError):
    """A dataset cannot be read or does not fit its task."""


class NotFoundError(InputError):
    """The bank has no such task, version, alias or backbone."""


class ConflictError(InputError):
    """A name already exists in the bank, or is still in use."""


class NotWritableError(InputError):
    """The bank is read-only, or another process has locked it."""


class MissingExtraError(InputError):
    """An optional dependency is not installed; the message names the extra."""


class TrainingError(TaskbankError):
    """Training produced no usable adapter, because the loss was not finite."""


class UnstableError(TaskbankError):
    """Outputs depend on the batch that they are computed in by more than rounding explains."""


class BankError(TaskbankError):
    """The bank cannot be used safely."""

    exit_code = 3


class DamagedError(BankError):
    """Stored bytes or rows differ from what was recorded."""


class GoneError(DamagedError):
    """Stored bytes are missing."""


class SchemaError(BankError):
    """The bank's schema version is not the one that this taskbank reads."""


class BackboneMismatchError(TaskbankError):
    """The loaded backbone differs from the recorded one."""

    exit_code = 4


class ResourceError(TaskbankError):
    """Memory, disk space or file handles ran out, or a disk failed; the bank is as it was."""

    exit_code = 5


class UnreachableError(ResourceError):
    """The connection to a database server or a blob store was lost, or cannot be made."""


class OverloadedError(ResourceError):
    """More inputs are waiting to be predicted than may wait.

    Args:
        message: the message for the user.
        retry_after: number of seconds after which to try again.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after
