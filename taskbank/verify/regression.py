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
from taskbank.inference import attached, check_backbone, load_recorded
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

RECENT = 8  # splits that are kept, as they are and tokenised: versions of a task share them

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
                with attached(record, self.backbone) as model:
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
            encoded = _recent(self.encoded, key, lambda: self._encode(record, examples))  # noqa: B023
            predictions = predict_examples(model, kind, encoded)
            reference = self.bank.reference(record, split.name)
            # To the last bit, there is nothing to explain; with fewer digits, nothing to excuse.
            if self.conditions.reduced or np.array_equal(reference, predictions):
                definition = record.definition
                changes = kind.changes(reference, reference, examples.columns, definition)
                observed[split.name] = (predictions, least_noise(changes.scale))
                continue
            rows = self._canaries(record, split, examples)
            some = examples.select(rows, examples.origin)
            own = predictions[np.isin(kind.examples_of(examples.columns), rows)]
            noise = measured_noise(
                model, kind, record.definition, some.columns, self._encode(record, some), own
            )
            observed[split.name] = (predictions, noise)
        # The splits are predicted by the same model: what moves one may move the other.
        noise = max(own for _, own in observed.values())
        return {name: (predictions, noise) for name, (predictions, _) in observed.items()}

    def _compared(self, record: AdapterRecord, observed: Observed) -> Iterator[Comparison]:
        for split in record.splits:
            predictions, noise = observed[split.name]
            examples = self._examples(record, split)
            reference = self.bank.reference(record, split.name)
            yield compare(record, split, examples, reference, predictions, noise)

    def _unmoved_canaries(self, record: AdapterRecord, model: TaskModel) -> int:
        """Return how many canaries there are of the split that counts, if none moved; else 0."""
        kind: Kind = plugins.load("kinds", record.kind)
        definition, count = record.definition, 0
        for split in record.splits:
            examples = self._examples(record, split)
            rows = self._canaries(record, split, examples)
            some = examples.select(rows, examples.origin)
            encoded = self._encode(record, some)
            own = np.isin(kind.examples_of(examples.columns), rows)
            reference = self.bank.reference(record, split.name)[own]
            predictions = predict_examples(model, kind, encoded)
            changes = kind.changes(reference, predictions, some.columns, definition)
            noise = least_noise(changes.scale)
            if not self.conditions.reduced:
                noise = measured_noise(model, kind, definition, some.columns, encoded, predictions)
            if (changes.moved > noise).any():
                return 0
            if split.name == record.split:
                count = len(rows)
        return count

    def _canaries(
        self, record: AdapterRecord, split: SplitRecord, examples: Examples
    ) -> Sequence[int]:
        if split.canary:
            return split.canary
        kind: Kind = plugins.load("kinds", record.kind)
        reference = self.bank.reference(record, split.name)
        return choose_canaries(kind, reference, examples.columns, record.definition)

    def _examples(self, record: AdapterRecord, split: SplitRecord) -> Examples:
        return _recent(self.examples, split.digest, lambda: self.bank.examples(record, split.name))

    def _encode(self, record: AdapterRecord, examples: Examples) -> Encoded:
        kind: Kind = plugins.load("kinds", record.kind)
        return kind.encode(
            self.backbone.tokenizer,
            examples.columns,
            record.definition,
            record.training["max_length"],
            labelled=False,
        )


def _recent(kept: OrderedDict[Hashable, Made], key: Hashable, make: Callable[[], Made]) -> Made:
    """Return what was made for a key, making it if it is not among the last few."""
    if key not in kept:
        kept[key] = make()
        if len(kept) > RECENT:
            kept.popitem(last=False)
    return kept[key]
