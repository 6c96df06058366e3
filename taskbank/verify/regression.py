"""Regression: does every stored task still predict what it predicted when it was added?

Stored splits are predicted again and compared, example by example, with the reference
predictions; the original files are not needed. What was predicted is recorded as soon as it
is, so that a verification that did not end can go on where it was.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from tqdm import tqdm

from taskbank import plugins
from taskbank.backbone import Backbone, load_backbone
from taskbank.bank import Bank
from taskbank.catalog.records import AdapterRecord, SplitRecord, Voucher
from taskbank.data.batches import Encoded
from taskbank.data.examples import Examples
from taskbank.errors import DamagedError, TaskbankError
from taskbank.evaluate import predict_examples
from taskbank.inference import check_backbone, encoded_for, load_recorded, model_of
from taskbank.verify.canary import choose_canaries
from taskbank.verify.compare import Comparison, compare
from taskbank.verify.conditions import Conditions, circumstances
from taskbank.verify.noise import least_noise, measured_noise
from taskbank.verify.report import Finding, Level
from taskbank.verify.run import Observed, Run
from taskbank.verify.verdict import Evidence

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.model import TaskModel

RECENT = 8  # splits that are kept, as they are, tokenised and predicted: versions share them

Made = TypeVar("Made")
Speaks = Callable[[AdapterRecord, Voucher], bool]


def given_backbone(bank: Bank, conditions: Conditions) -> Backbone | None:
    """Return the backbone that was given, loaded; none if none was.

    Args:
        bank: an open bank.
        conditions: under which to predict.

    Raises:
        InputError: if it cannot be loaded.
        BackboneMismatchError: if the bank does not know it, and it is not only asked about.
    """
    given = conditions.backbone
    if isinstance(given, str):
        given = load_backbone(given, conditions.device)
    if given is not None and "backbone" not in conditions.asked:
        known = {one.fingerprint: one for one in bank.backbones()}
        if given.identity.fingerprint not in known and known:
            check_backbone(given, next(iter(known.values())))
    return given


def gather(
    bank: Bank,
    records: Sequence[AdapterRecord],
    level: Level,
    conditions: Conditions,
    given: Backbone | None,
    run: Run,
    speaks: Speaks,
    *,
    progress: bool = False,
) -> tuple[list[Finding], list[Evidence]]:
    """See what some adapters predict now, or which verification speaks for them.

    Args:
        bank: an open bank.
        records: the adapters, whose integrity was checked.
        level: `changed`, `canary` or `full`.
        conditions: under which to predict.
        given: the backbone, if one was given.
        run: where it is recorded.
        speaks: whether what an earlier verification said of an adapter is enough.
        progress: show a bar, if the error stream is a terminal.
    """
    other = "backbone" in conditions.asked
    groups: dict[str, list[AdapterRecord]] = defaultdict(list)
    for record in records:
        groups[record.backbone].append(record)
    findings: list[Finding] = []
    evidence: list[Evidence] = []
    with (
        tqdm(
            total=len(records), desc="verifying", unit="adapter", disable=None if progress else True
        ) as bar,
        conditions.hold(),
    ):
        for fingerprint, group in groups.items():
            try:
                if given is not None and (other or given.identity.fingerprint == fingerprint):
                    loaded = given
                else:
                    loaded = load_recorded(bank.backbone(fingerprint), None, conditions.device)
            except TaskbankError as error:
                findings.append(_unloadable(group, error))
                evidence += [Evidence(record, unloadable=True) for record in group]
                bar.update(len(group))
                continue
            observer = _Observer(bank, loaded, level, conditions, run, speaks)
            for one in observer.observe(group):
                evidence.append(one)
                bar.update()
    return findings, evidence


def _unloadable(group: Sequence[AdapterRecord], error: TaskbankError) -> Finding:
    names = ", ".join(record.ref for record in group)
    return Finding(None, None, "backbone", f"{error} (concerns {names})")


class _Observer:
    """Sees what adapters of one backbone predict."""

    def __init__(
        self,
        bank: Bank,
        backbone: Backbone,
        level: Level,
        conditions: Conditions,
        run: Run,
        speaks: Speaks,
    ) -> None:
        self.bank, self.backbone, self.level = bank, backbone, level
        self.conditions, self.run, self.speaks = conditions, run, speaks
        self.examples: OrderedDict[Hashable, Examples] = OrderedDict()
        self.encoded: OrderedDict[Hashable, Encoded] = OrderedDict()
        self.references: OrderedDict[Hashable, np.ndarray] = OrderedDict()

    def observe(self, records: Sequence[AdapterRecord]) -> Iterator[Evidence]:
        """Give the evidence of each adapter."""
        numerics = self.conditions.numerics
        fingerprint = self.backbone.identity.fingerprint
        keys = [circumstances(record, fingerprint, numerics) for record in records]
        vouching = self.level == "changed" and not self.conditions.asked
        vouchers = self.bank.catalog.vouchers(keys) if vouching else {}
        for record, key in zip(records, keys, strict=True):
            if key in vouchers and self.speaks(record, vouchers[key]):
                yield Evidence(record, circumstances=key, voucher=vouchers[key])
            else:
                yield self._evidence(record, key)

    def _evidence(self, record: AdapterRecord, key: str) -> Evidence:
        try:
            observed = self.run.found(record, key)
            if observed is None:
                model = model_of(record, self.backbone)
                if self.level == "canary":
                    canaries = self._unmoved_canaries(record, model)
                    if canaries:
                        return Evidence(record, circumstances=key, canaries=canaries)
                observed = self._predicted(record, model)
                self.run.keep(record, key, observed)
            comparisons = tuple(self._compared(record, observed))
        except DamagedError as error:
            return Evidence(record, unusable=str(error))
        except TaskbankError as error:  # it could not be read or predicted at the moment
            return Evidence(record, unreadable=str(error))
        return Evidence(record, comparisons, circumstances=key)

    def _predicted(self, record: AdapterRecord, model: TaskModel) -> Observed:
        kind: Kind = plugins.load("kinds", record.kind)
        observed = {}
        for split in record.splits:
            examples = self._examples(record, split)
            key = (split.digest, record.kind, record.training["max_length"])
            encoded = _recent(
                self.encoded,
                key,
                lambda: encoded_for(record, self.backbone, examples.columns),  # noqa: B023
            )
            predictions = predict_examples(model, kind, encoded)
            reference = self._reference(record, split)
            # To the last bit, there is nothing to explain; with fewer digits, nothing to excuse.
            if self.conditions.reduced or np.array_equal(reference, predictions):
                definition = record.definition
                changes = kind.changes(reference, reference, examples.columns, definition)
                observed[split.name] = (predictions, least_noise(changes.scale))
                continue
            some, encoded, own = self._canaries(record, split)
            noise = measured_noise(
                model, kind, record.definition, some.columns, encoded, predictions[own]
            )
            observed[split.name] = (predictions, noise)
        # The splits are predicted by the same model: what moves one may move the other.
        noise = max(own for _, own in observed.values())
        return {name: (predictions, noise) for name, (predictions, _) in observed.items()}

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
        return some, encoded_for(record, self.backbone, some.columns), own

    def _reference(self, record: AdapterRecord, split: SplitRecord) -> np.ndarray:
        return _recent(
            self.references, split.reference, lambda: self.bank.reference(record, split.name)
        )

    def _examples(self, record: AdapterRecord, split: SplitRecord) -> Examples:
        return _recent(self.examples, split.digest, lambda: self.bank.examples(record, split.name))


def _recent(kept: OrderedDict[Hashable, Made], key: Hashable, make: Callable[[], Made]) -> Made:
    """Return what was made for a key, making it if it is not among the last few."""
    if key not in kept:
        kept[key] = make()
        if len(kept) > RECENT:
            kept.popitem(last=False)
    return kept[key]
