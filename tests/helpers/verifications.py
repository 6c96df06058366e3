"""Verifications recorded without one."""

from __future__ import annotations

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.database import writing
from taskbank.bank.catalog.rows import now


def observe(bank: Bank, **scores: float) -> int:
    """Record a verification that saw tasks score so much."""
    values = {"level": "full", "ok": True, "checked": len(scores), "tolerance": 1.0}
    more = {"environment": {}, "started_at": now(), "finished_at": now(), "vouched": 0}
    results = [
        {
            "task": task,
            "version": bank[task].version,
            "status": "ok" if score == bank[task].score else "changed",
            "metric": "accuracy",
            "recorded": bank[task].score,
            "observed": score,
            "flips": 0,
            "examples": 10,
            "shift": 0.0,
            "circumstances": None,
            "evidence": None,
        }
        for task, score in scores.items()
    ]
    with writing(bank.engine) as connection:
        return bank.verifications.add(connection, values | more, results, [])
