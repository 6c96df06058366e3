"""The events of a bank, or of one of its tasks, in chronological order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, describe_parents, origin_of, parents_of
from taskbank.digests import Json


@dataclass(frozen=True)
class Event:
    """One event in the history of a bank.

    Attributes:
        at: the time, ISO 8601 in UTC.
        what: `added`, `scored`, `verified`, `interrupted`, `accepted`, `alias`, `tolerance` or
            `retired`.
        about: the adapter, task or alias, or the level of a verification.
        verification: the verification's number, if there is one.
        result: a description of the outcome.
        score: the value of the task's metric, if it was measured.
        flips: number of answers that changed, if they were counted.
    """

    at: str
    what: str
    about: str
    verification: int | None = None
    result: str = ""
    score: float | None = None
    flips: int | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form that `taskbank history --json` prints."""
        return asdict(self)


def bank_events(bank: Bank) -> list[Event]:
    """Return the additions and verifications of the whole bank, oldest first."""
    events = [
        Event(
            record.created_at,
            "added",
            record.ref,
            None,
            record.metric + _origin(record),
            record.score,
        )
        for record in bank.adapters(retired=True)
    ]
    for verification in bank.verification_log.verifications():
        parts = [f"{verification.checked} checked"]
        if verification.confirmed:
            parts.append(f"{verification.confirmed} confirmed by earlier verifications")
        statuses = sorted(verification.statuses.items())
        parts += [f"{count} {status}" for status, count in statuses if status != "ok"]
        parts.append("all is well" if verification.ok else "problems found")
        events.append(
            Event(
                verification.finished_at,
                "verified",
                verification.level,
                verification.id,
                ", ".join(parts),
            )
        )
    for run in bank.verification_log.unfinished_runs():
        result = f"incomplete, {run.adapters} adapters observed; continue with verify-all --resume"
        events.append(Event(run.started_at, "interrupted", run.level, None, result))
    return sorted(events, key=lambda event: event.at)


def task_events(bank: Bank, task: str) -> list[Event]:
    """Return the events of one task, oldest first.

    Raises:
        NotFoundError: if the task does not exist.
    """
    return sorted(_task_events(bank, task), key=lambda event: event.at)


def _task_events(bank: Bank, task: str) -> Iterator[Event]:
    for change in bank.aliases(task):
        result = "dropped" if change.version is None else f"points at {task}@{change.version}"
        yield Event(change.set_at, "alias", change.alias, None, result)
    for record in bank.adapters(task=task, retired=True):
        retired = ", now retired" if record.retired else ""
        result = f"{record.metric} on {record.split}{_origin(record)}{retired}"
        yield Event(record.created_at, "added", record.ref, None, result, record.score)
        for split in record.splits:
            if split.scored_at is not None:
                score = record.value(split.name)
                result = f"{record.metric} on {split.name}"
                yield Event(split.scored_at, "scored", record.ref, None, result, score)
    for verified in bank.verification_log.results(task=task):
        yield Event(
            verified.finished_at,
            "verified",
            f"{task}@{verified.version}",
            verified.verification,
            f"{verified.status} ({verified.level})",
            verified.observed,
            verified.flips,
        )
    for accepted in bank.verification_log.acceptances(task):
        about = f"{task}@{accepted.version}"
        yield Event(accepted.accepted_at, "accepted", about, accepted.verification, accepted.reason)
    for tolerance in bank.verification_log.tolerances(task):
        if tolerance.tolerance is None:
            result = "reset to each verification's own"
        else:
            result = f"tolerates drops of up to {tolerance.tolerance:g}"
        yield Event(tolerance.set_at, "tolerance", task, None, result)


def _origin(record: AdapterRecord) -> str:
    """Return what to say of the versions that an adapter was made from; nothing if of none."""
    parents = parents_of(record.course)
    return f", {origin_of(record.course)} {describe_parents(parents)}" if parents else ""
