"""Counts for Prometheus, with few labels."""

from __future__ import annotations

import pytest

from taskbank.serve.engine import BatchReport
from taskbank.serve.http import metrics as module
from taskbank.serve.http.metrics import Metrics


def test_counts_are_shown() -> None:
    """Rows, batches and what is resident now appear in the text."""
    metrics = Metrics(lambda: 7, lambda: (2, 4096))
    metrics.count_batch(BatchReport(3, 30, 2, 0.01))
    metrics.count_rows("mood", 2, 5, 0.001)
    metrics.count_compared("mood", 3, 5)
    text = metrics.text().decode()
    for line in (
        'taskbank_rows_total{task="mood",version="2"} 5.0',
        "taskbank_queue_rows 7.0",
        "taskbank_adapters_resident 2.0",
        "taskbank_adapters_resident_bytes 4096.0",
        "taskbank_batch_rows_sum 3.0",
        'taskbank_compared_rows_total{agrees="no",task="mood"} 2.0',
    ):
        assert line in text


def test_the_labels_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of versions, all count together, those that a shadow answered too."""
    monkeypatch.setattr(module, "NAMED_TASKS", 3)
    metrics = Metrics(lambda: 0, lambda: (0, 0))
    for number in range(50):
        metrics.count_rows(f"task-{number}", 1, 1, 0.0)
        metrics.count_compared(f"task-{number}", 1, 1)
    lines = metrics.text().decode().splitlines()
    assert sum(line.startswith("taskbank_rows_total") for line in lines) <= 4
    assert sum(line.startswith("taskbank_compared_rows_total") for line in lines) <= 8
    assert 'taskbank_rows_total{task="(other)",version=""} 48.0' in lines
