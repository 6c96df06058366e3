"""Predicts the stored splits of all adapters of one backbone.

Predictions are recorded immediately, so an interrupted verification can be resumed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, Observation, SplitRecord
from taskbank.data.encoded import Encoded
from taskbank.data.examples import Examples
from taskbank.errors import DamagedError, ResourceError, TaskbankError
from taskbank.kinds.canaries import choose_canaries
from taskbank.model.load import encode_for, load_model
from taskbank.model.mixed_batch import PredictionRequest, predict_mixed
from taskbank.model.predict import predict_examples
from taskbank.model.trunk import add_trunk_states
from taskbank.runtime.lru import LruCache
from taskbank.runtime.prefetch import prefetch
from taskbank.verify.compare import Comparison, compare
from taskbank.verify.conditions import digest_circumstances
from taskbank.verify.journal import Journal, Observed
from taskbank.verify.noise import measure_noise
from taskbank.verify.rounding import is_unstable, minimum_noise
from taskbank.verify.subject import Subject
from taskbank.verify.terms import Terms
from taskbank.verify.verdict import Evidence

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.model.stored_model import StoredModel

CACHED_EXAMPLES = 16384  # in each cache: of examples, of encoded splits and of references
# The tasks and examples that are predicted together. Larger splits fill batches of their own, as
# they did when the adapter was added, which reproduces the same bits.
WINDOW_TASKS, WINDOW_EXAMPLES = 32, 256
# The adapters that a job of a verification predicts, unless one has more examples: a few windows,
# so that what a job costs besides is little, and many jobs, so that no worker waits for long.
GROUP_TASKS, GROUP_EXAMPLES = 128, 4096
# Examples, besides the canaries, that are predicted again to measure the noise: those that moved
# most. What moved them may concern few examples, and only in the company of certain others.
MOST_MOVED = 16


@dataclass
class _Case:
    """An adapter under verification.

    Attributes:
        subject: the adapter.
        record: all that is recorded of it.
        key: digest of everything that the result depends on.
        recorded: what the same run has observed of it before it was interrupted.
        evidence: the evidence, if it is known without predicting.
        observed: the predictions of its splits, of this process or of the same run before.
        is_new: whether they are of this process, so that they have to be recorded.
        model: the adapter's model, if it has to predict.
        encoded: its encoded splits, by name.
        outputs: outputs of its splits that were computed together with other tasks, by name.
    """

    subject: Subject
    record: AdapterRecord
    key: str
    recorded: Sequence[Observation] = ()
    evidence: Evidence | None = None
    observed: Observed | None = None
    is_new: bool = False
    model: StoredModel | None = None
    encoded: dict[str, Encoded] = field(default_factory=dict)
    outputs: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class _Window:
    """Adapters that are predicted together.

    Attributes:
        cases: the adapters.
        begins_group: whether they are the first of their group.
        lost: the evidence of adapters before them whose records cannot be read.
    """

    cases: list[_Case]
    begins_group: bool
    lost: Sequence[Evidence] = ()


def into_groups(subjects: Sequence[Subject]) -> Iterator[Sequence[Subject]]:
    """Split adapters of one backbone into groups that can be predicted apart from each other.

    Where the groups begin depends on the adapters alone, and no batch has adapters of two groups.
    So the last bits of a prediction are the same whether one worker has all groups, or each group
    has a worker of its own.

    Args:
        subjects: the adapters.
    """
    start, examples = 0, 0
    for number, subject in enumerate(subjects):
        full = number - start == GROUP_TASKS or examples + subject.rows > GROUP_EXAMPLES
        if number > start and full:
            yield subjects[start:number]
            start, examples = number, 0
        examples += subject.rows
    if start < len(subjects):
        yield subjects[start:]


class Observer:
    """Predicts with the adapters of one backbone, and collects the evidence."""

    def __init__(self, bank: Bank, backbone: Backbone, terms: Terms, journal: Journal) -> None:
        self.bank, self.backbone, self.journal = bank, backbone, journal
        self.level, self.conditions, self.standard = terms.level, terms.conditions, terms.standard
        # The versions of a task share these.
        self.examples: LruCache[Examples] = LruCache(CACHED_EXAMPLES, len)
        self.encoded: LruCache[Encoded] = LruCache(CACHED_EXAMPLES, len)
        self.references: LruCache[np.ndarray] = LruCache(CACHED_EXAMPLES, len)
        self.has_measured = False

    def observe(self, groups: Iterable[Sequence[Subject]]) -> Iterator[Evidence]:
        """Yield the evidence of each adapter of some groups; see `into_groups`."""
        for window in prefetch(self._prepare, self._windows(groups)):
            yield from window.lost
            self._predict_together(window.cases)
            # A machine that is broken the same way as when the adapters were added moves no
            # output. So the noise of the first adapter of a group is always measured.
            self.has_measured = self.has_measured and not window.begins_group
            interrupted = None
            done: list[_Case] = []
            for case in window.cases:
                try:
                    self._observe(case)
                except ResourceError as error:
                    interrupted = error
                    break
                done.append(case)
            # One commit for all of them: it takes as long as predicting a few examples.
            self.journal.write(
                [
                    (case.record, case.key, case.observed)
                    for case in done
                    if case.is_new and case.observed is not None
                ]
            )
            for case in done:
                yield case.evidence or self._judge(case)
            if interrupted is not None:
                raise interrupted

    def _windows(self, groups: Iterable[Sequence[Subject]]) -> Iterator[_Window]:
        """Split the adapters into windows that are read, loaded and predicted together."""
        for subjects in groups:
            records, lost = self._read(subjects)
            if not records:
                yield _Window([], begins_group=True, lost=lost)
            for number, cases in enumerate(self._split(records)):
                yield _Window(cases, begins_group=number == 0, lost=() if number else lost)

    def _read(
        self, subjects: Sequence[Subject]
    ) -> tuple[list[tuple[Subject, AdapterRecord]], list[Evidence]]:
        """Return the records of a group, and the evidence of adapters that cannot be read."""
        try:
            ids = [subject.id for subject in subjects]
            known = {record.id: record for record in self.bank.adapters(ids=ids, retired=True)}
        except ResourceError:
            raise
        except TaskbankError:  # one unreadable adapter is enough to raise
            known = {}
        records, lost = [], []
        for subject in subjects:
            try:
                records.append((subject, known.get(subject.id) or self.bank[subject.ref]))
            except ResourceError:
                raise
            except TaskbankError as error:  # it was changed or removed in the meantime
                lost.append(_failure(subject, error))
        return records, lost

    def _split(self, records: Sequence[tuple[Subject, AdapterRecord]]) -> Iterator[list[_Case]]:
        """Split a group into windows."""
        fingerprint, numerics = self.backbone.identity.fingerprint, self.conditions.numerics
        keys = [digest_circumstances(record, fingerprint, numerics) for _, record in records]
        reusable = self.level == "changed" and not self.conditions.overrides
        earlier = self.bank.verification_log.confirmations(keys) if reusable else {}
        # Of this run: a job runs again if its worker died or its server was away for a while.
        observations = self.journal.observations(subject.id for subject, _ in records)
        window: list[_Case] = []
        examples = 0
        for (subject, record), key in zip(records, keys, strict=True):
            recorded = observations.get((record.id, key), ())
            case, rows = _Case(subject, record, key, recorded), subject.rows
            if key in earlier and self.standard.met_by(earlier[key], record):
                case.evidence = Evidence(subject, circumstances=key, confirmation=earlier[key])
                rows = 0
            if window and (len(window) == WINDOW_TASKS or examples + rows > WINDOW_EXAMPLES):
                yield window
                window, examples = [], 0
            window.append(case)
            examples += rows
        if window:
            yield window

    def _prepare(self, window: _Window) -> _Window:
        """Load and encode one window while the previous window is predicted."""
        for case in window.cases:
            if case.evidence is not None:
                continue
            try:
                case.observed = self.journal.read(case.record, case.recorded)
                if case.observed is None:
                    case.model = load_model(self.bank, case.record, self.backbone)
                    if self.level != "canary":
                        case.encoded = self._encode(case.record)
            except ResourceError:
                raise
            except TaskbankError as error:
                case.evidence = _failure(case.subject, error)
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
        if len(window) < 2 or self.conditions.reduced_precision:
            return
        try:
            found = predict_mixed(self.backbone, [one for _, _, one in asked])
        except ResourceError:
            raise
        except TaskbankError:  # predicting each adapter alone will report its own error
            return
        for (case, name, _), outputs in zip(asked, found, strict=True):
            case.outputs[name] = outputs

    def _observe(self, case: _Case) -> None:
        """Predict an adapter's splits, unless its evidence or its predictions are there already."""
        if case.evidence is not None or case.observed is not None:
            return
        record = case.record
        assert case.model is not None  # noqa: S101 - `_prepare` set it, or set evidence
        try:
            if self.level == "canary":
                canaries = self._count_unmoved_canaries(record, case.model)
                if canaries:
                    case.evidence = Evidence(
                        case.subject, circumstances=case.key, canaries=canaries
                    )
                    return
                case.encoded = self._encode(record)
            case.observed, case.is_new = self._predict(case, case.model), True
        except ResourceError:
            raise
        except TaskbankError as error:
            case.evidence = _failure(case.subject, error)

    def _judge(self, case: _Case) -> Evidence:
        """Return the evidence of an adapter whose splits were predicted."""
        assert case.observed is not None  # noqa: S101 - `_observe` set it, or set evidence
        try:
            comparisons = tuple(self._compare(case.record, case.observed))
        except ResourceError:
            raise
        except TaskbankError as error:
            return _failure(case.subject, error)
        return Evidence(case.subject, comparisons, circumstances=case.key)

    def _predict(self, case: _Case, model: StoredModel) -> Observed:
        record = case.record
        kind: Kind = plugins.load("kinds", record.kind)
        predicted: dict[str, np.ndarray] = {}
        noises: list[float] = []  # relative to the scale of their split
        scales: dict[str, float] = {}
        for split in record.splits:
            predictions = self._predict_split(case, model, kind, split)
            reference, columns = (
                self._reference(record, split),
                self._examples(record, split).columns,
            )
            changes = kind.changes(reference, predictions, columns, record.definition)
            noise = minimum_noise(changes.scale)
            moved = changes.moved > noise  # smaller moves need no explanation
            if moved.any() or not self.has_measured:
                farthest = np.argsort(-changes.moved, kind="stable")[:MOST_MOVED]
                rows = {*self._canary_rows(record, split), *farthest[moved[farthest]].tolist()}
                noise = self._measure_noise(record, model, split, rows, predictions, changes.scale)
                self.has_measured = True
            elif split.name in case.outputs and not changes.changed.any():
                # Only the batches differ from those of the reference, so the stored blob is reused.
                predictions = reference
            predicted[split.name], scales[split.name] = predictions, changes.scale
            noises.append(noise / changes.scale)
        # One model predicts all splits, so noise in one split may occur in the others.
        return {name: (predicted[name], max(noises) * scales[name]) for name in predicted}

    def _predict_split(
        self, case: _Case, model: StoredModel, kind: Kind, split: SplitRecord
    ) -> np.ndarray:
        encoded = case.encoded[split.name]
        if split.name in case.outputs:
            return kind.predictions(case.outputs[split.name], encoded)
        if self.conditions.reduced_precision:
            return predict_examples(model, kind, encoded)
        return predict_examples(model, kind, add_trunk_states(model, encoded, stored=False))

    def _measure_noise(
        self,
        record: AdapterRecord,
        model: StoredModel,
        split: SplitRecord,
        rows: Collection[int],
        predictions: np.ndarray,
        scale: float,
    ) -> float:
        """Return the noise of a split's predictions, measured on some of its examples."""
        kind: Kind = plugins.load("kinds", record.kind)
        selected, encoded, mask = self._select(record, split, rows)
        noise = measure_noise(
            model, kind, record.definition, selected.columns, encoded, predictions[mask], scale
        )
        # The reference has the precision of float32: a move by a reduced precision is no noise.
        if self.conditions.reduced_precision and not is_unstable(noise, scale):
            return minimum_noise(scale)
        return noise

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

    def _count_unmoved_canaries(self, record: AdapterRecord, model: StoredModel) -> int:
        """Return the number of canaries of the scored split if no canary moved, else 0."""
        kind: Kind = plugins.load("kinds", record.kind)
        count = 0
        for split in record.splits:
            rows = self._canary_rows(record, split)
            selected, encoded, mask = self._select(record, split, rows)
            reference = self._reference(record, split)
            predictions = np.zeros_like(reference)
            predictions[mask] = predict_examples(model, kind, encoded)
            changes = kind.changes(
                reference[mask], predictions[mask], selected.columns, record.definition
            )
            noise = self._measure_noise(record, model, split, rows, predictions, changes.scale)
            if is_unstable(noise, changes.scale) or (changes.moved > noise).any():
                return 0
            if split.name == record.verified_split:
                count = len(selected)
        return count

    def _canary_rows(self, record: AdapterRecord, split: SplitRecord) -> Sequence[int]:
        """Return the positions of a split's canaries."""
        if split.canary:
            return split.canary
        kind: Kind = plugins.load("kinds", record.kind)
        reference, columns = self._reference(record, split), self._examples(record, split).columns
        return choose_canaries(kind, reference, columns, record.definition)

    def _select(
        self, record: AdapterRecord, split: SplitRecord, rows: Collection[int]
    ) -> tuple[Examples, Encoded, np.ndarray]:
        """Return some examples of a split, their encoded form, and a mask of their predictions."""
        kind: Kind = plugins.load("kinds", record.kind)
        examples = self._examples(record, split)
        selected = examples.select(sorted(rows), examples.origin)
        mask = np.isin(kind.examples_of(examples.columns), list(rows))
        return selected, encode_for(record, self.backbone, selected.columns), mask

    def _reference(self, record: AdapterRecord, split: SplitRecord) -> np.ndarray:
        make = partial(self.bank.reference, record, split.name)
        return self.references.get(split.reference, make)

    def _examples(self, record: AdapterRecord, split: SplitRecord) -> Examples:
        make = partial(self.bank.examples, record, split.name)
        return self.examples.get(split.digest, make)


def _failure(subject: Subject, error: TaskbankError) -> Evidence:
    if isinstance(error, DamagedError):
        return Evidence(subject, damage=str(error))
    # Reading or predicting failed, which may be temporary.
    return Evidence(subject, failure=str(error))
