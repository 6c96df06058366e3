"""An adapter under verification, in a few words: of a large bank, no more is kept of each."""

from __future__ import annotations

from dataclasses import dataclass

from taskbank.bank.records import AdapterRecord


@dataclass(frozen=True, slots=True)
class Subject:
    """An adapter under verification.

    Attributes:
        id: the id of its row.
        task: the task's name.
        version: the adapter's version.
        backbone: fingerprint of the backbone it was trained on.
        metric: the task's own metric.
        score: the metric's recorded value.
        verified_split: the stored split whose metric is compared.
        rows: number of examples of its splits.
    """

    id: int
    task: str
    version: int
    backbone: str
    metric: str
    score: float
    verified_split: str
    rows: int

    @classmethod
    def of(cls, record: AdapterRecord) -> Subject:
        """Return the subject that an adapter is."""
        return cls(
            record.id,
            record.task,
            record.version,
            record.backbone,
            record.metric,
            record.score,
            record.verified_split,
            sum(split.rows for split in record.splits),
        )

    @property
    def ref(self) -> str:
        """The adapter's full name: `sst2@3`."""
        return f"{self.task}@{self.version}"
