"""What is known of a command when it is handed to a cluster, and how far it has come since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from taskbank.bank.bank import Bank
from taskbank.bank.url import parse_url
from taskbank.errors import InputError

KEY = "taskbank"  # of a job's metadata
MAX_METADATA = 100_000  # characters: Linux gives a process settings of up to 128 KiB each


@dataclass(frozen=True)
class Submission:
    """A command that was handed to a cluster; Ray keeps this as the metadata of its job.

    Attributes:
        command: the command's name, such as `add-tasks`.
        bank: the bank's URL, which has no secret.
        tasks: the names of a suite's tasks, or the references that a verification was given.
        total: number of tasks to add, or of adapters to predict; None if it is not known.
        before: number of them that were done when it was submitted.
        new_version: whether tasks that the bank has are added again, as new versions.
        level: a verification's level.
        resume: whether a verification continues an earlier run.
    """

    command: str
    bank: str
    tasks: tuple[str, ...]
    total: int | None = None
    before: int = 0
    new_version: bool = False
    level: str | None = None
    resume: bool = False

    def to_metadata(self) -> dict[str, str]:
        """Return the metadata of a job.

        Raises:
            InputError: if there are too many tasks.
        """
        text = json.dumps(asdict(self) | {"tasks": " ".join(self.tasks)})
        if len(text) > MAX_METADATA:
            raise InputError(
                f"the names of {len(self.tasks):,} tasks have more than {MAX_METADATA:,} "
                "characters, which is what Ray keeps of a job: submit the suite in parts"
            )
        return {KEY: text}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Submission | None:
        """Return what is known of a job; None if it is not a command of taskbank.

        Args:
            metadata: the metadata of a job, which anyone on the cluster may have written.
        """
        try:
            values: dict[str, Any] = json.loads(metadata[KEY])
            found = cls(**values | {"tasks": tuple(values["tasks"].split())})
        except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
            return None
        numbers = (found.before, 0 if found.total is None else found.total)
        valid = (
            isinstance(found.command, str)
            and isinstance(found.bank, str)
            and isinstance(found.level, str | None)
            and all(isinstance(flag, bool) for flag in (found.new_version, found.resume))
            and all(type(number) is int and number >= 0 for number in numbers)
        )
        return found if valid else None

    def is_on(self, bank: str) -> bool:
        """Return whether the command works on the bank with a URL, which may have a password."""
        try:
            own, other = parse_url(self.bank).database, parse_url(bank).database
        except InputError:
            return False
        return own._replace(password=None) == other._replace(password=None)

    def count_done(self, bank: Bank, since: datetime) -> int | None:
        """Return how many tasks are in the bank, or adapters were predicted; None if unknown.

        Args:
            bank: the bank that the command works on.
            since: when it was submitted.
        """
        begin = since.astimezone(UTC).isoformat(timespec="microseconds")
        if self.new_version:
            added = bank.query(f'created_at >= "{begin}"', retired=True)
            return len({record.task for record in added} & set(self.tasks))
        if self.level is None:
            return len(set(bank.tasks()) & set(self.tasks))
        runs = [
            run
            for run in bank.verification_log.unfinished_runs()
            if (run.level, run.tasks) == (self.level, self.tasks)
            and (self.resume or run.started_at >= begin)
        ]
        return runs[-1].adapters if runs else None


def seconds_left(done: int, before: int, total: int, elapsed: float) -> float | None:
    """Return the estimated seconds until all is done, at the mean rate so far; None if unknown.

    Args:
        done: number of tasks that are done.
        before: number of them that were done when the command was submitted.
        total: number of tasks.
        elapsed: seconds since it was submitted.
    """
    if done <= before:
        return None
    return (total - done) * elapsed / (done - before)
