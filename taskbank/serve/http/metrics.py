"""What a server counts, for Prometheus. The number of different labels is bounded."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from taskbank.serve.engine import BatchReport

NAMED_TASKS = 200  # versions with counts of their own; the others are counted together
OTHER = "(other)"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


class Metrics:
    """The counters of one server.

    Args:
        waiting_rows: returns the number of rows that are waiting now.
        resident: returns the number of loaded adapters and their size in bytes.
    """

    def __init__(
        self, waiting_rows: Callable[[], int], resident: Callable[[], tuple[int, int]]
    ) -> None:
        self.registry = CollectorRegistry()
        to = self.registry
        self.requests = Counter(
            "taskbank_requests",
            "Requests, by route and status.",
            ("route", "code"),
            registry=to,
        )
        self.seconds = Histogram(
            "taskbank_request_seconds",
            "Time from request to answer.",
            buckets=SECONDS,
            registry=to,
        )
        self.rows = Counter(
            "taskbank_rows",
            f"Answered inputs; versions beyond the first {NAMED_TASKS} count as {OTHER}.",
            ("task", "version"),
            registry=to,
        )
        self.waited = Histogram(
            "taskbank_queue_seconds", "Time that inputs waited.", buckets=SECONDS, registry=to
        )
        self.computed = Histogram(
            "taskbank_compute_seconds", "Time of a batch.", buckets=SECONDS, registry=to
        )
        self.batch_rows = Histogram(
            "taskbank_batch_rows", "Inputs of a batch.", buckets=COUNTS, registry=to
        )
        self.batch_tokens = Histogram(
            "taskbank_batch_tokens", "Tokens of a batch.", buckets=TOKENS, registry=to
        )
        self.batch_tasks = Histogram(
            "taskbank_batch_tasks",
            "Different versions in a batch.",
            buckets=COUNTS,
            registry=to,
        )
        self.dropped = Counter(
            "taskbank_dropped",
            "Requests that got no predictions, by reason.",
            ("reason",),
            registry=to,
        )
        self.compared = Counter(
            "taskbank_compared_rows",
            "Inputs that a shadow answered too, by whether the answers agree.",
            ("task", "agrees"),
            registry=to,
        )
        self.bank_reachable = Gauge(
            "taskbank_bank_reachable",
            "1 if the bank could be read when last tried.",
            registry=to,
        )
        self.bank_reachable.set(1)
        Gauge("taskbank_queue_rows", "Inputs that wait.", registry=to).set_function(waiting_rows)
        Gauge("taskbank_adapters_resident", "Loaded adapters.", registry=to).set_function(
            lambda: resident()[0]
        )
        Gauge("taskbank_adapters_resident_bytes", "Size of them.", registry=to).set_function(
            lambda: resident()[1]
        )
        self._named: set[tuple[str, str]] = set()
        self._lock = Lock()

    def count_batch(self, report: BatchReport) -> None:
        """Count a batch."""
        self.computed.observe(report.seconds)
        self.batch_rows.observe(report.rows)
        self.batch_tokens.observe(report.tokens)
        self.batch_tasks.observe(report.tasks)

    def count_rows(self, task: str, version: int, rows: int, waited: float) -> None:
        """Count the answered inputs of a request."""
        self.rows.labels(*self._name(task, str(version))).inc(rows)
        self.waited.observe(waited)

    def answered(self, task: str) -> dict[int, int]:
        """Return the number of answered inputs of a task by version, of those that are named."""
        return {
            int(sample.labels["version"]): int(sample.value)
            for metric in self.rows.collect()
            for sample in metric.samples
            if sample.name.endswith("_total") and sample.labels["task"] == task
        }

    def count_compared(self, task: str, agreeing: int, rows: int) -> None:
        """Count inputs that a shadow answered too."""
        name, _ = self._name(task, "shadow")
        self.compared.labels(name, "yes").inc(agreeing)
        self.compared.labels(name, "no").inc(rows - agreeing)

    def _name(self, task: str, what: str) -> tuple[str, str]:
        """Return the labels of a version, or of its shadow, as long as there are few."""
        name = task, what
        with self._lock:
            if name in self._named or len(self._named) < NAMED_TASKS:
                self._named.add(name)
                return name
        return OTHER, ""

    def text(self) -> bytes:
        """Return all counts in Prometheus's text format."""
        return generate_latest(self.registry)
