"""Predicts the stored splits of all adapters of one backbone.

Predictions are recorded immediately, so an interrupted verification can be resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, Confirmation, SplitRecord
from taskbank.data.encoded import Encoded
from taskbank.data.examples import Examples
from taskbank.errors import DamagedError, TaskbankError
from taskbank.kinds.canaries import choose_canaries
from taskbank.model.load import encode_for, load_model
from taskbank.model.mixed_batch import PredictionRequest, predict_mixed
from taskbank.model.predict import predict_examples
from taskbank.model.trunk import add_trunk_states
from taskbank.runtime.lru import LruCache
from taskbank.runtime.prefetch import prefetch
from taskbank.verify.compare import Comparison, compare
from taskbank.verify.conditions import Conditions, digest_circumstances
from taskbank.verify.journal import Journal, Observed
from taskbank.verify.noise import measure_noise, minimum_noise
from taskbank.verify.report import Level
from taskbank.verify.verdict import Evidence

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.model.task_model import TaskModel

CACHED_EXAMPLES = 16384  # in each cache: of examples, of encoded splits and of references
# The tasks and examples that are predicted together. Larger splits fill batches of their own, as
# they did when the adapter was added, which reproduces the same bits.
WINDOW_TASKS, WINDOW_EXAMPLES = 32, 256
StillHolds = Callable[[AdapterRecord, Confirmation], bool]


@dataclass
class _Case:
    """An adapter under verification.

    Attributes:
        record: the adapter.
        key: digest of everything that the result depends on.
        evidence: the evidence, if it is known without predicting.
        observed: the adapter's earlier observations in the same run.
        model: the adapter's model, if it has to predict.
        encoded: its encoded splits, by name.
        outputs: outputs of its splits that were computed together with other tasks, by name.
    """

    record: AdapterRecord
    key: str
    evidence: Evidence | None = None
    observed: Observed | None = None
    model: TaskModel | None = None
    encoded: dict[str, Encoded] = field(default_factory=dict)
    outputs: dict[str, np.ndarray] = field(default_factory=dict)


class Observer:
    """Predicts with the adapters of one backbone, and collects the evidence."""

    def __init__(
        self,
        bank: Bank,
        backbone: Backbone,
        level: Level,
        conditions: Conditions,
        journal: Journal,
        still_holds: StillHolds,
    ) -> None:
        self.bank, self.backbone, self.level = bank, backbone, level
        self.conditions, self.journal, self.still_holds = conditions, journal, still_holds
        # The versions of a task share these.
        self.examples: LruCache[Examples] = LruCache(CACHED_EXAMPLES, len)
        self.encoded: LruCache[Encoded] = LruCache(CACHED_EXAMPLES, len)
        self.references: LruCache[np.ndarray] = LruCache(CACHED_EXAMPLES, len)

    def observe(self, records: Sequence[AdapterRecord]) -> Iterator[Evidence]:
        """Yield the evidence of each adapter."""
        for window in prefetch(self._prepare, self._windows(records)):
            self._predict_together(window)
            for case in window:
                yield case.evidence or self._collect_evidence(case)

    def _windows(self, records: Sequence[AdapterRecord]) -> Iterator[list[_Case]]:
        """Split the adapters into windows that are read, loaded and predicted together."""
        fingerprint, numerics = self.backbone.identity.fingerprint, self.conditions.numerics
        keys = [digest_circumstances(record, fingerprint, numerics) for record in records]
        reusable = self.level == "changed" and not self.conditions.overrides
        earlier = self.bank.verification_log.confirmations(keys) if reusable else {}
        window: list[_Case] = []
        examples = 0
        for record, key in zip(records, keys, strict=True):
            case, rows = _Case(record, key), sum(split.rows for split in record.splits)
            if key in earlier and self.still_holds(record, earlier[key]):
                case.evidence = Evidence(record, circumstances=key, confirmation=earlier[key])
                rows = 0
            if window and (len(window) == WINDOW_TASKS or examples + rows > WINDOW_EXAMPLES):
                yield window
                window, examples = [], 0
            window.append(case)
            examples += rows
        if window:
            yield window

    def _prepare(self, window: list[_Case]) -> list[_Case]:
        """Load and encode one window while the previous window is predicted."""
        for case in window:
            if case.evidence is not None:
                continue
            try:
                case.observed = self.journal.read(case.record, case.key)
                if case.observed is None:
                    case.model = load_model(self.bank, case.record, self.backbone)
                    if self.level != "canary":
                        case.encoded = self._encode(case.record)
            except TaskbankError as error:
                case.evidence = _failure(case.record, error)
        return window

    def _predict_together(self, window: Sequence[_Case]) -> None:
        """Compute the splits of several tasks in the same batches."""
        asked = [
            (case, name, PredictionRequest(case.model, encoded))
            for case in window
            if case.model is not None
            for name, encoded in case.encoded.items()
        ]
        # A reduced precision must apply to the whole model, not only to the layers above its trunk.
        if len(window) == 1 or self.conditions.reduced_precision:
            return
        try:
            found = predict_mixed(self.backbone, [one for _, _, one in asked])
        except TaskbankError:  # predicting each adapter alone will report its own error
            return
        for (case, name, _), outputs in zip(asked, found, strict=True):
            case.outputs[name] = outputs

    def _collect_evidence(self, case: _Case) -> Evidence:
        record = case.record
        try:
            observed = case.observed
            if observed is None:
                assert case.model is not None  # noqa: S101 - `_prepare` set it, or set evidence
                if self.level == "canary":
                    canaries = self._count_unmoved_canaries(record, case.model)
                    if canaries:
                        return Evidence(record, circumstances=case.key, canaries=canaries)
                    case.encoded = self._encode(record)
                observed = self._predict(case, case.model)
                self.journal.write(record, case.key, observed)
            comparisons = tuple(self._compare(record, observed))
        except TaskbankError as error:
            return _failure(record, error)
        return Evidence(record, comparisons, circumstances=case.key)

    def _predict(self, case: _Case, model: TaskModel) -> Observed:
        record, definition = case.record, case.record.definition
        kind: Kind = plugins.load("kinds", record.kind)
        observed = {}
        for split in record.splits:
            examples, encoded = self._examples(record, split), case.encoded[split.name]
            if split.name in case.outputs:
                predictions = kind.predictions(case.outputs[split.name], encoded)
            elif self.conditions.reduced_precision:
                predictions = predict_examples(model, kind, encoded)
            else:
                predictions = predict_examples(
                    model, kind, add_trunk_states(model, encoded, stored=False)
                )
            reference = self._reference(record, split)
            changes = kind.changes(reference, predictions, examples.columns, definition)
            noise = minimum_noise(changes.scale)
            # Smaller moves need no explanation, and with a reduced precision no move is noise.
            if not self.conditions.reduced_precision and (changes.moved > noise).any():
                selected, canaries, mask = self._canaries(record, split)
                noise = measure_noise(
                    model, kind, definition, selected.columns, canaries, predictions[mask]
                )
            elif split.name in case.outputs and (changes.moved <= noise).all():
                # Only the batches differ from those of the reference, so the stored blob is reused.
                predictions = reference
            observed[split.name] = (predictions, noise)
        # One model predicts all splits, so noise in one split may occur in the others.
        noise = max(split_noise for _, split_noise in observed.values())
        return {name: (predictions, noise) for name, (predictions, _) in observed.items()}

    def _encode(self, record: AdapterRecord) -> dict[str, Encoded]:
        """Return every split encoded for the model; the versions of a task share them."""
        encoded = {}
        for split in record.splits:
            columns = self._examples(record, split).columns
            key = (split.digest, record.kind, record.training["max_length"])
            make = partial(encode_for, record, self.backbone, columns)
            encoded[split.name] = self.encoded.get(key, make)
        return encoded

    def _compare(self, record: AdapterRecord, observed: Observed) -> Iterator[Comparison]:
        for split in record.splits:
            predictions, noise = observed[split.name]
            examples, reference = self._examples(record, split), self._reference(record, split)
            yield compare(record, split, examples, reference, predictions, noise)

    def _count_unmoved_canaries(self, record: AdapterRecord, model: TaskModel) -> int:
        """Return the number of canaries of the scored split if no canary moved, else 0."""
        kind: Kind = plugins.load("kinds", record.kind)
        definition, count = record.definition, 0
        for split in record.splits:
            selected, encoded, mask = self._canaries(record, split)
            reference = self._reference(record, split)[mask]
            predictions = predict_examples(model, kind, encoded)
            changes = kind.changes(reference, predictions, selected.columns, definition)
            noise = minimum_noise(changes.scale)
            if not self.conditions.reduced_precision:
                noise = measure_noise(
                    model, kind, definition, selected.columns, encoded, predictions
                )
            if (changes.moved > noise).any():
                return 0
            if split.name == record.split:
                count = len(selected)
        return count

    def _canaries(
        self, record: AdapterRecord, split: SplitRecord
    ) -> tuple[Examples, Encoded, np.ndarray]:
        """Return a split's canaries, their encoded form, and a mask of their predictions."""
        kind: Kind = plugins.load("kinds", record.kind)
        examples = self._examples(record, split)
        rows: Sequence[int] = split.canary
        if not rows:
            reference = self._reference(record, split)
            rows = choose_canaries(kind, reference, examples.columns, record.definition)
        selected = examples.select(rows, examples.origin)
        mask = np.isin(kind.examples_of(examples.columns), rows)
        return selected, encode_for(record, self.backbone, selected.columns), mask

    def _reference(self, record: AdapterRecord, split: SplitRecord) -> np.ndarray:
        make = partial(self.bank.reference, record, split.name)
        return self.references.get(split.reference, make)

    def _examples(self, record: AdapterRecord, split: SplitRecord) -> Examples:
        make = partial(self.bank.examples, record, split.name)
        return self.examples.get(split.digest, make)


def _failure(record: AdapterRecord, error: TaskbankError) -> Evidence:
    if isinstance(error, DamagedError):
        return Evidence(record, damage=str(error))
    # Reading or predicting failed, which may be temporary.
    return Evidence(record, failure=str(error))
