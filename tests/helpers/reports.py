"""A report with an adapter of every status."""

from __future__ import annotations

from typing import Any

from taskbank.verify.report import Finding, Flip, Report, TaskResult

NASTY = "<script>alert('x')</script> & \x00 ünï"


def flip(row: int, text: str = "my card was charged twice") -> Flip:
    """Return an example that flipped."""
    return Flip("test", row, text, "billing", "billing", "returns", "worse", within_noise=False)


def report(*, what_if: dict[str, str] | None = None) -> Report:
    """Return a verification with an adapter of every status."""
    known: dict[str, Any] = {"within_noise": 0, "noise": 1e-5}
    tasks = (
        TaskResult("tickets", 1, "ok", "accuracy", 0.91, 0.91, 0, 500, 0.0, **known),
        TaskResult(
            "spam",
            2,
            "changed",
            "f1",
            0.97,
            0.968,
            4,
            800,
            0.02,
            negative_flips=2,
            positive_flips=1,
            p_value=0.5,
            metrics={"test": {"f1": (0.97, 0.968)}},
            flipped=(flip(3), flip(17, NASTY)),
            **known,
        ),
        TaskResult(
            "sentiment",
            10,
            "regressed",
            "accuracy",
            0.88,
            0.71,
            90,
            800,
            2.2,
            negative_flips=80,
            positive_flips=9,
            p_value=1e-12,
            **known,
        ),
        TaskResult("intents", 1, "unverifiable", "accuracy", 0.9),
        TaskResult("urgency", 1, "ok", "accuracy", 0.85, 0.85, confirmed_by=12),
    )
    findings = (
        Finding("sentiment", 10, "regression", f"accuracy dropped {NASTY}"),
        Finding(None, None, "backbone", "cannot be loaded"),
    )
    moment = "2026-11-25T04:00:00.000000+00:00"
    environment = {"torch": "2.13", "device": "cpu", "odd": NASTY}
    return Report(
        "full", findings, tasks, 1.0, environment, moment, moment, 13, what_if=what_if or {}
    )
