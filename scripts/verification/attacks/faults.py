"""Verifies stored tasks on a machine with a fault, and checks that every fault is found.

    python scripts/verification/attacks/faults.py SUITE --backbone SPEC --output FOLDER
        [--data FOLDER] [--examples 60] [--repeat 1]

Adds the tasks of a suite to a bank. Verifies them with each fault of
`scripts/verification/faults.py` in turn, and without one in between. A fault that makes outputs
depend on the batch must be called `unstable`; one that moves outputs `changed` or `regressed`; a
harmless one, and the machine without a fault, `ok`. A drop of the metric, `--strict` and
`--tolerance 0.02` must find what the raw answers show. Nothing that a faulty machine predicted may
vouch for a task afterwards.
"""

from __future__ import annotations

import sys
from functools import partial

from scripts.shared.arguments import suite_parser
from scripts.shared.tables import markdown_header, markdown_row
from scripts.verification.attacks.outcomes import Outcomes
from scripts.verification.faults import FAULTS, FaultCase
from scripts.verification.suite_bank import copy_bank, shorten, train_suite
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.runtime.device import pick_device
from taskbank.verify.report import Report, TaskResult
from taskbank.verify.verify import verify_all

TOLERANCE = 0.02


def main() -> int:
    """Inject the faults, print a row for each, and return the exit code."""
    parser = suite_parser(__doc__)
    parser.add_argument("--examples", type=int, default=60, help="most examples per split")
    parser.add_argument("--repeat", type=int, default=1, help="number of times for each fault")
    arguments = parser.parse_args()
    original = train_suite(arguments)
    tasks = [record.task for record in original.adapters()]
    change = partial(shorten, examples=arguments.examples)
    backbone = load_backbone(arguments.backbone, pick_device("cpu"))
    outcomes = Outcomes()
    print(markdown_header(["fault", "status of the tasks", "accuracy or correlation", "flips"]))
    with copy_bank(original, arguments.output / "short.db", dict.fromkeys(tasks, change)) as bank:
        for _ in range(arguments.repeat):
            for name, fault in FAULTS.items():
                inject(bank, backbone, name, fault, outcomes)
    return outcomes.finish()


def inject(bank: Bank, backbone: Backbone, name: str, fault: FaultCase, outcomes: Outcomes) -> None:
    """Verify with one fault, without it, and at level `changed` with it again."""
    with fault.inject(backbone):
        report = verify_all(bank, backbone=backbone, strict=True, tolerance=TOLERANCE)
    print(markdown_row([name, *_cells(report)]), flush=True)
    for task in report.tasks:
        checks = {finding.check for finding in report.findings if finding.task == task.task}
        problem = _problem(task, fault, checks)
        outcomes.add(task.status, f"{name}, {task.ref}: {problem}", broken=problem is not None)
    with fault.inject(backbone):
        again = verify_all(bank, backbone=backbone, level="changed")
    for task, first in zip(again.tasks, report.tasks, strict=True):
        trusted = first.status == "unstable" and task.confirmed_by is not None
        outcomes.add("again", f"{name}: {task.ref} was vouched for", broken=trusted)
    sound = verify_all(bank, backbone=backbone)
    for task in sound.tasks:
        alarm = task.status != "ok"
        outcomes.add("without a fault", f"after {name}: {task.ref} is {task.status}", broken=alarm)


def _problem(task: TaskResult, fault: FaultCase, checks: set[str]) -> str | None:
    """Return what is wrong with the result of a task, or None."""
    if fault.harmless:
        return None if task.status == "ok" else f"a false alarm: {task.status}"
    drop = _drop(task)
    if drop > TOLERANCE and not checks & {"regression", "unstable"}:
        return f"the metric dropped by {drop:.3f} without a finding"
    if task.flips and not checks:
        return f"--strict found none of {task.flips} flips"
    if fault.batch and task.status != "unstable":
        return f"{task.status} instead of unstable"
    return "not found" if task.status == "ok" else None


def _drop(task: TaskResult) -> float:
    known = task.recorded is not None and task.observed is not None
    return task.recorded - task.observed if known else 0.0  # type: ignore[operator]


def _cells(report: Report) -> list[str]:
    statuses = sorted({task.status for task in report.tasks})
    counts = [(status, sum(t.status == status for t in report.tasks)) for status in statuses]
    scored = [task for task in report.tasks if task.recorded is not None]
    worst = max(scored, key=_drop)
    flips, examples = (
        sum(getattr(task, name) or 0 for task in report.tasks) for name in ("flips", "examples")
    )
    return [
        ", ".join(f"{count} {status}" for status, count in counts),
        f"{worst.task}: {worst.recorded:.3f} → {worst.observed or 0.0:.3f}",
        f"{flips} of {examples}",
    ]


if __name__ == "__main__":
    sys.exit(main())
