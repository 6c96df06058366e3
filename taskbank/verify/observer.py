"""Predicts the stored splits of the adapters of one backbone.

Predictions are recorded as soon as they are made, so an interrupted verification can be resumed.
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
from taskbank.verify.conditions import Conditions, circumstances
from taskbank.verify.journal import Journal, Observed
from taskbank.verify.noise import least_noise, measured_noise
from taskbank.verify.report import Level
from taskbank.verify.verdict import Evidence

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.model.task_model import TaskModel

RECENT = 16384  # examples that are kept, as they are, tokenised and predicted
# What is predicted together: so many tasks, of so many examples. Larger ones fill batches alone,
# the same as when they were added, so that the same bits come of them.
TASKS, EXAMPLES = 32, 256
StillHolds = Callable[[AdapterRecord, Confirmation], bool]


@dataclass
class _Case:
    """An adapter that is looked at.

    Attributes:
        record: the adapter.
        key: digest of what the result depends on.
        evidence: what is known of it without predicting.
        observed: what it predicted earlier in the same run.
        model: of the adapter, if it is to predict.
        encoded: its splits for the model.
        outputs: what was computed of them together with other tasks.
    """

    record: AdapterRecord
    key: str
    evidence: Evidence | None = None
    observed: Observed | None = None
    model: TaskModel | None = None
    encoded: dict[str, Encoded] = field(default_factory=dict)
    outputs: dict[str, np.ndarray] = field(default_factory=dict)


class Observer:
    """Sees what adapters of one backbone predict."""

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
        # Versions of a task share them.
        self.examples: LruCache[Examples] = LruCache(RECENT, len)
        self.encoded: LruCache[Encoded] = LruCache(RECENT, len)
        self.references: LruCache[np.ndarray] = LruCache(RECENT, len)

    def observe(self, records: Sequence[AdapterRecord]) -> Iterator[Evidence]:
        """Give the evidence of each adapter."""
        for window in prefetch(self._prepared, self._windows(records)):
            self._share(window)
            for case in window:
                yield case.evidence or self._evidence(case)

    def _windows(self, records: Sequence[AdapterRecord]) -> Iterator[list[_Case]]:
        """Cut adapters into what is read, loaded and predicted together."""
        fingerprint, numerics = self.backbone.identity.fingerprint, self.conditions.numerics
        keys = [circumstances(record, fingerprint, numerics) for record in records]
        wanted = self.level == "changed" and not self.conditions.asked
        earlier = self.bank.verification_log.confirmations(keys) if wanted else {}
        window: list[_Case] = []
        examples = 0
        for record, key in zip(records, keys, strict=True):
            case, own = _Case(record, key), sum(split.rows for split in record.splits)
            if key in earlier and self.still_holds(record, earlier[key]):
                case.evidence = Evidence(record, circumstances=key, confirmation=earlier[key])
                own = 0
            if window and (len(window) == TASKS or examples + own > EXAMPLES):
                yield window
                window, examples = [], 0
            window.append(case)
            examples += own
        if window:
            yield window

    def _prepared(self, window: list[_Case]) -> list[_Case]:
        """Read, tokenise and load what is to be predicted, while what comes before it is."""
        for case in window:
            if case.evidence is not None:
                continue
            try:
                case.observed = self.journal.read(case.record, case.key)
                if case.observed is None:
                    case.model = load_model(self.bank, case.record, self.backbone)
                    if self.level != "canary":
                        case.encoded = self._encoded(case.record)
            except TaskbankError as error:
                case.evidence = _failed(case.record, error)
        return window

    def _share(self, window: Sequence[_Case]) -> None:
        """Compute small splits of several tasks in the same batches."""
        asked = [
            (case, name, PredictionRequest(case.model, encoded))
            for case in window
            if case.model is not None
            for name, encoded in case.encoded.items()
        ]
        # Fewer digits are asked about for the whole of a model, and not only above its trunk.
        if len(window) == 1 or self.conditions.reduced:
            return
        try:
            found = predict_mixed(self.backbone, [one for _, _, one in asked])
        except TaskbankError:  # each alone will say what is the matter with it
            return
        for (case, name, _), outputs in zip(asked, found, strict=True):
            case.outputs[name] = outputs

    def _evidence(self, case: _Case) -> Evidence:
        record = case.record
        try:
            observed = case.observed
            if observed is None:
                assert case.model is not None  # noqa: S101 - prepared, or there is evidence
                if self.level == "canary":
                    canaries = self._unmoved_canaries(record, case.model)
                    if canaries:
                        return Evidence(record, circumstances=case.key, canaries=canaries)
                    case.encoded = self._encoded(record)
                observed = self._predicted(case, case.model)
                self.journal.write(record, case.key, observed)
            comparisons = tuple(self._compared(record, observed))
        except TaskbankError as error:
            return _failed(record, error)
        return Evidence(record, comparisons, circumstances=case.key)

    def _predicted(self, case: _Case, model: TaskModel) -> Observed:
        record, definition = case.record, case.record.definition
        kind: Kind = plugins.load("kinds", record.kind)
        observed = {}
        for split in record.splits:
            examples, encoded = self._examples(record, split), case.encoded[split.name]
            if split.name in case.outputs:
                predictions = kind.predictions(case.outputs[split.name], encoded)
            elif self.conditions.reduced:
                predictions = predict_examples(model, kind, encoded)
            else:
                predictions = predict_examples(
                    model, kind, add_trunk_states(model, encoded, stored=False)
                )
            reference = self._reference(record, split)
            changes = kind.changes(reference, predictions, examples.columns, definition)
            noise = least_noise(changes.scale)
            # There is nothing to explain in what moved by less, and nothing to excuse in what was
            # computed with fewer digits.
            if not self.conditions.reduced and (changes.moved > noise).any():
                some, canaries, own = self._canaries(record, split)
                noise = measured_noise(
                    model, kind, definition, some.columns, canaries, predictions[own]
                )
            elif split.name in case.outputs and (changes.moved <= noise).all():
                # The batches were not those of the reference: that is not worth a blob of its own.
                predictions = reference
            observed[split.name] = (predictions, noise)
        # The splits are predicted by the same model: what moves one may move the other.
        noise = max(own for _, own in observed.values())
        return {name: (predictions, noise) for name, (predictions, _) in observed.items()}

    def _encoded(self, record: AdapterRecord) -> dict[str, Encoded]:
        """Return every split for the model; versions of a task share them."""
        found = {}
        for split in record.splits:
            columns = self._examples(record, split).columns
            key = (split.digest, record.kind, record.training["max_length"])
            make = partial(encode_for, record, self.backbone, columns)
            found[split.name] = self.encoded.get(key, make)
        return found

    def _compared(self, record: AdapterRecord, observed: Observed) -> Iterator[Comparison]:
        for split in record.splits:
            predictions, noise = observed[split.name]
            examples, reference = self._examples(record, split), self._reference(record, split)
            yield compare(record, split, examples, reference, predictions, noise)

    def _unmoved_canaries(self, record: AdapterRecord, model: TaskModel) -> int:
        """Return how many canaries there are of the split that counts, if none moved; else 0."""
        kind: Kind = plugins.load("kinds", record.kind)
        definition, count = record.definition, 0
        for split in record.splits:
            some, encoded, own = self._canaries(record, split)
            reference = self._reference(record, split)[own]
            predictions = predict_examples(model, kind, encoded)
            changes = kind.changes(reference, predictions, some.columns, definition)
            noise = least_noise(changes.scale)
            if not self.conditions.reduced:
                noise = measured_noise(model, kind, definition, some.columns, encoded, predictions)
            if (changes.moved > noise).any():
                return 0
            if split.name == record.split:
                count = len(some)
        return count

    def _canaries(
        self, record: AdapterRecord, split: SplitRecord
    ) -> tuple[Examples, Encoded, np.ndarray]:
        """Return a split's canaries, the same for the model, and which predictions are theirs."""
        kind: Kind = plugins.load("kinds", record.kind)
        examples = self._examples(record, split)
        rows: Sequence[int] = split.canary
        if not rows:
            reference = self._reference(record, split)
            rows = choose_canaries(kind, reference, examples.columns, record.definition)
        some = examples.select(rows, examples.origin)
        own = np.isin(kind.examples_of(examples.columns), rows)
        return some, encode_for(record, self.backbone, some.columns), own

    def _reference(self, record: AdapterRecord, split: SplitRecord) -> np.ndarray:
        make = partial(self.bank.reference, record, split.name)
        return self.references.get(split.reference, make)

    def _examples(self, record: AdapterRecord, split: SplitRecord) -> Examples:
        make = partial(self.bank.examples, record, split.name)
        return self.examples.get(split.digest, make)


def _failed(record: AdapterRecord, error: TaskbankError) -> Evidence:
    if isinstance(error, DamagedError):
        return Evidence(record, unusable=str(error))
    # It could not be read or predicted at the moment.
    return Evidence(record, unreadable=str(error))
