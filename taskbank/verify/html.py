"""Writes a verification as one self-contained HTML page, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import get_args

from taskbank.verify.junit import WRONG, write_file
from taskbank.verify.report import Report, Status

# Headings of the table of adapters, and whether what is below them is a number.
COLUMNS = (
    ("adapter", False),
    ("status", False),
    ("metric", False),
    ("recorded", True),
    ("observed", True),
    ("flips", True),
    ("worse", True),
    ("better", True),
    ("p", True),
    ("examples", True),
)


def write_html(
    report: Report, path: Path, history: Mapping[str, Sequence[float]] | None = None
) -> None:
    """Write a verification as one HTML page that loads nothing from elsewhere.

    Args:
        report: the verification.
        path: of the page.
        history: scores of each adapter, such as `sst2@3`, oldest first.

    Raises:
        InputError: if it cannot be written.
    """
    from jinja2 import Environment

    counted = Counter(task.status for task in report.tasks)
    counts = {status: counted[status] for status in get_args(Status) if counted[status]}
    template = resources.files("taskbank.verify").joinpath("page.html").read_text("utf-8")
    page = Environment(autoescape=True, trim_blocks=True).from_string(template)
    text = page.render(
        report=report,
        headline=_headline(report),
        advice=_advice(report, counts),
        counts=counts,
        columns=COLUMNS,
        lines={ref: _line(scores) for ref, scores in (history or {}).items() if len(scores) > 1},
    )
    write_file(path, text.encode())


def _headline(report: Report) -> str:
    if report.ok:
        return f"{report.checked} adapters checked: all is well"
    wrong = {task.ref for task in report.tasks if task.status in WRONG}
    wrong |= {finding.ref for finding in report.findings if finding.ref is not None}
    if not wrong:
        return f"{report.checked} adapters checked: the bank needs attention"
    return f"{report.checked} adapters checked: {len(wrong)} need attention"


def _advice(report: Report, counts: Mapping[str, int]) -> str:
    told = {
        "regressed": "Worse than when recorded: {}. Do not switch to what this was run with, or "
        "train again.",
        "damaged": "Not stored as it was recorded: {}. Restore the bank from a copy.",
        "unverifiable": "Not to be checked, as something is not there: {}.",
        "changed": "Otherwise than when recorded, and no worse than chance explains: {}. Look at "
        "the flips, and accept them if they are right.",
    }
    found = [text.format(counts[status]) for status, text in told.items() if status in counts]
    if not report.tasks:
        return "The bank has no adapters."
    if not found and not report.findings:
        return "Every adapter is, and predicts, what was recorded. There is nothing to do."
    if any(finding.check == "strict" for finding in report.findings):
        found.append("With --strict no flip is let pass.")
    if not found:
        return "Something about the bank itself is not as it should be: see below."
    return " ".join(found)


def _line(scores: Sequence[float]) -> dict[str, str]:
    """Return the points of a line in a box of 100 by 20, and what it shows in words."""
    low, high = min(scores), max(scores)
    wide, tall = 100 / (len(scores) - 1), 16 / (high - low) if high > low else 0.0
    points = [
        f"{number * wide:.1f},{18 - (score - low) * tall if tall else 10:.1f}"
        for number, score in enumerate(scores)
    ]
    told = f"{len(scores)} scores from {low:.4f} to {high:.4f}, now {scores[-1]:.4f}"
    return {"points": " ".join(points), "told": told}
