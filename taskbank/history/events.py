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
        Event(one.created_at, "added", one.ref, None, one.metric, one.score)
        for one in bank.adapters(retired=True)
    ]
    for row in bank.verifications.summaries():
        counts = row["statuses"]
        told: list[str] = [f"{row['checked']} checked"]
        if row["vouched"]:
            told.append(f"{row['vouched']} vouched for")
        told += [f"{count} {status}" for status, count in sorted(counts.items()) if status != "ok"]
        told.append("all is well" if row["ok"] else "not well")
        found.append(
            Event(row["finished_at"], "verified", row["level"], row["id"], ", ".join(told))
        )
    for run in bank.verifications.unfinished_runs():
        seen = f"incomplete, {run['adapters']} adapters observed; verify-all --resume goes on"
        found.append(Event(run["started_at"], "interrupted", run["level"], None, seen))
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
    for row in bank.verifications.results_of(task):
        about = f"{task}@{row['version']}"
        yield Event(
            row["finished_at"],
            "verified",
            about,
            row["verification_id"],
            f"{row['status']} ({row['level']})",
            row["observed"],
            row["flips"],
        )
    for row in bank.verifications.acceptances_of(task):
        about = f"{task}@{row['version']}"
        yield Event(row["accepted_at"], "accepted", about, row["verification_id"], row["reason"])
    for at, tolerance in bank.verifications.tolerances_of(task):
        told = "left to each verification" if tolerance is None else f"{tolerance:g} is let pass"
        yield Event(at, "tolerance", task, None, told)
