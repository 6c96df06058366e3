"""What happened in a bank, or to one task of it, in order of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from taskbank.bank.bank import Bank
from taskbank.digests import Json


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        at: when, ISO 8601 in UTC.
        what: `added`, `verified`, `interrupted`, `accepted`, `alias`, `tolerance` or `retired`.
        about: the adapter, task or alias, or the level of a verification.
        verification: its number, where there is one.
        result: what came of it, in words.
        score: of the task's metric, where one was seen.
        flips: answers that changed, where they were counted.
    """

    at: str
    what: str
    about: str
    verification: int | None = None
    result: str = ""
    score: float | None = None
    flips: int | None = None

    def to_json(self) -> dict[str, Json]:
        """Return what `taskbank history --json` prints."""
        return asdict(self)


def bank_events(bank: Bank) -> list[Event]:
    """Return what happened to the bank as a whole: adapters and verifications, oldest first."""
    found = [
        Event(record.created_at, "added", record.ref, None, record.metric, record.score)
        for record in bank.adapters(retired=True)
    ]
    for one in bank.verification_log.verifications():
        told = [f"{one.checked} checked"]
        if one.confirmed:
            told.append(f"{one.confirmed} confirmed by earlier verifications")
        statuses = sorted(one.statuses.items())
        told += [f"{count} {status}" for status, count in statuses if status != "ok"]
        told.append("all is well" if one.ok else "not well")
        found.append(Event(one.finished_at, "verified", one.level, one.id, ", ".join(told)))
    for run in bank.verification_log.unfinished_runs():
        seen = f"incomplete, {run.adapters} adapters observed; verify-all --resume continues it"
        found.append(Event(run.started_at, "interrupted", run.level, None, seen))
    return sorted(found, key=lambda event: event.at)


def task_events(bank: Bank, task: str) -> list[Event]:
    """Return what happened to one task, oldest first.

    Raises:
        NotFoundError: if there is no such task.
    """
    return sorted(_of_task(bank, task), key=lambda event: event.at)


def _of_task(bank: Bank, task: str) -> Iterator[Event]:
    for step in bank.aliases(task):
        named = "names nothing" if step.version is None else f"names {task}@{step.version}"
        yield Event(step.set_at, "alias", step.alias, None, named)
    for one in bank.adapters(task=task, retired=True):
        told = f"{one.metric} on {one.split}" + (", out of use now" if one.retired else "")
        yield Event(one.created_at, "added", one.ref, None, told, one.score)
    for result in bank.verification_log.results(task=task):
        yield Event(
            result.finished_at,
            "verified",
            f"{task}@{result.version}",
            result.verification,
            f"{result.status} ({result.level})",
            result.observed,
            result.flips,
        )
    for accepted in bank.verification_log.acceptances(task):
        about = f"{task}@{accepted.version}"
        yield Event(accepted.accepted_at, "accepted", about, accepted.verification, accepted.reason)
    for tolerance in bank.verification_log.tolerances(task):
        if tolerance.tolerance is None:
            told = "left to each verification"
        else:
            told = f"drops up to {tolerance.tolerance:g} are tolerated"
        yield Event(tolerance.set_at, "tolerance", task, None, told)
