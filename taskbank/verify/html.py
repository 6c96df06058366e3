"""Writes a verification as one self-contained HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import get_args

from taskbank.counts import counted
from taskbank.runtime.files import write_file
from taskbank.runtime.visible_text import visible
from taskbank.verify.junit import FAILING_STATUSES
from taskbank.verify.report import Report, Status

# Headings of the table of adapters, and whether the column holds numbers.
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
    """Write a verification as one HTML page that loads no other files.

    Args:
        report: the verification.
        path: the page's path.
        history: the scores of each adapter, by its full name such as `sst2@3`, oldest first.

    Raises:
        ResourceError: if the page cannot be written.
    """
    from jinja2 import Environment

    counter = Counter(task.status for task in report.tasks)
    counts = {status: counter[status] for status in get_args(Status) if counter[status]}
    template = resources.files("taskbank.verify").joinpath("page.html").read_text("utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, finalize=_visible)
    page = environment.from_string(template)
    text = page.render(
        report=report,
        headline=_headline(report),
        advice=_advice(report, counts),
        counts=counts,
        columns=COLUMNS,
        lines={
            ref: _history_line(scores) for ref, scores in (history or {}).items() if len(scores) > 1
        },
    )
    write_file(path, text.encode())


def _visible(value: object) -> object:
    return visible(value) if isinstance(value, str) else value


def _headline(report: Report) -> str:
    if report.interrupted is not None:
        return (
            f"interrupted: {report.checked} of {len(report.tasks)} adapters were checked, with "
            f"{len(report.findings) or 'no'} findings"
        )
    checked = f"{counted(report.checked, 'adapter')} checked"
    if report.ok:
        return f"{checked}: all is well"
    failing = {task.ref for task in report.tasks if task.status in FAILING_STATUSES}
    failing |= {finding.ref for finding in report.findings if finding.ref is not None}
    if not failing:
        return f"{checked}: the bank needs attention"
    return f"{checked}: {len(failing)} {'needs' if len(failing) == 1 else 'need'} attention"


def _advice(report: Report, counts: Mapping[str, int]) -> str:
    advice = {
        "regressed": "Adapters that predict worse than recorded: {}. Do not switch to the "
        "environment of this verification, or train new versions.",
        "unstable": "Adapters whose outputs depend on the other examples in a batch: {}. Do not "
        "predict with this machine: check its memory and its versions of torch and transformers.",
        "damaged": "Adapters whose stored data differs from what was recorded: {}. Restore the "
        "bank from a copy.",
        "unverifiable": "Adapters that could not be checked because something is missing: {}.",
        "changed": "Adapters whose predictions changed but are not significantly worse: {}. "
        "Review the flips, and accept them if they are correct.",
    }
    if report.interrupted is not None:
        return (
            f"The verification was interrupted: {report.interrupted}. Adapters that are unchecked "
            "are neither sound nor damaged: run it again with --resume."
        )
    sentences = [text.format(counts[status]) for status, text in advice.items() if status in counts]
    if not report.tasks:
        return "The bank has no adapters."
    if not sentences and not report.findings:
        return "Every adapter is stored as recorded and predicts as recorded. No action is needed."
    if any(finding.check == "strict" for finding in report.findings):
        sentences.append("--strict treats every changed prediction as a failure.")
    if not sentences:
        return "The bank itself has a problem: see the findings below."
    return " ".join(sentences)


def _history_line(scores: Sequence[float]) -> dict[str, str]:
    """Return the points of a line in a box of 100 by 20, and a description of the line."""
    low, high = min(scores), max(scores)
    x_step, y_scale = 100 / (len(scores) - 1), 16 / (high - low) if high > low else 0.0
    points = [
        f"{number * x_step:.1f},{18 - (score - low) * y_scale if y_scale else 10:.1f}"
        for number, score in enumerate(scores)
    ]
    description = f"{len(scores)} scores from {low:.4f} to {high:.4f}, now {scores[-1]:.4f}"
    return {"points": " ".join(points), "description": description}
