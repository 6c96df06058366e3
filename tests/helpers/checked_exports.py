"""Exports to other libraries, run as their cards say and compared with taskbank."""

from __future__ import annotations

import os
from pathlib import Path

from scripts.verification.standalone_models import Figures, compare, export
from scripts.verification.workers.run_exports import run
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord


def check_export(
    bank: Bank, record: AdapterRecord, backbone: Backbone, format: str, folder: Path
) -> Path:
    """Export a task, run the export as its card says, compare it with taskbank, and return it."""
    figures = Figures()
    job = export(bank, record, backbone, format, folder, figures)
    assert job is not None
    place = Path.cwd()
    answers = run(job)
    os.chdir(place)
    compare(bank, backbone, job, answers, figures)
    assert figures.outputs < 1e-5
    assert figures.answers < 1e-5
    assert figures.flips == 0
    return Path(job["folder"])
