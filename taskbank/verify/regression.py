"""Regression: does every stored task still predict what it predicted when it was added?

Every stored split is predicted again and compared, example by example, with the stored
reference predictions; the original files are not needed.
"""

from __future__ import annotations

import math
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tqdm import tqdm

from taskbank import plugins
from taskbank.backbone import Backbone, load_backbone
from taskbank.bank import Bank
from taskbank.catalog.records import AdapterRecord, SplitRecord
from taskbank.data.batches import Encoded
from taskbank.data.examples import Examples
from taskbank.environment import pick_device
from taskbank.errors import TaskbankError
from taskbank.evaluate import predict_examples
from taskbank.inference import attached, check_backbone, load_recorded
from taskbank.verify.compare import compare
from taskbank.verify.report import Finding, Status, TaskResult

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

SHOWN_FLIPS = 20  # a report shows so many examples of a split
RECENT = 8  # tokenised splits that are kept


def check_regression(
    bank: Bank,
    records: Sequence[AdapterRecord],
    *,
    tolerance: float,
    backbone: str | None = None,
    device: str | None = None,
    progress: bool = False,
) -> tuple[list[Finding], list[TaskResult]]:
    """Predict every stored split of some adapters again and compare.

    Args:
        bank: an open bank.
        records: the adapters, whose integrity was checked.
        tolerance: the drop of the metric, and the share of flips beyond noise, that is let
            pass.
        backbone: where to load the backbone from, if not from where it was recorded; one that
            the bank does not know is an error.
        device: to compute on; none means the best there is.
        progress: show a bar, if the error stream is a terminal.

    Raises:
        BackboneMismatchError: if `backbone` is given and is none that the bank knows.
    """
    given = load_backbone(backbone, pick_device(device)) if backbone else None
    if given is not None:
        known = {one.fingerprint: one for one in bank.backbones()}
        if given.identity.fingerprint not in known and known:
            check_backbone(given, next(iter(known.values())))
    groups: dict[str, list[AdapterRecord]] = defaultdict(list)
    for record in records:
        groups[record.backbone].append(record)
    findings: list[Finding] = []
    results: list[TaskResult] = []
    with tqdm(
        total=len(records), desc="verifying", unit="adapter", disable=None if progress else True
    ) as bar:
        for fingerprint, group in groups.items():
            try:
                if given is not None and given.identity.fingerprint == fingerprint:
                    loaded = given
                else:
                    loaded = load_recorded(bank.backbone(fingerprint), None, device)
            except TaskbankError as error:
                findings.append(_unloadable(group, error))
                results += [_result(record, "unverifiable") for record in group]
                bar.update(len(group))
                continue
            inputs = _Inputs(bank, loaded)
            for record in group:
                result = _check(bank, record, loaded, inputs, tolerance, findings)
                results.append(result)
                bar.update()
    return findings, results


class _Inputs:
    """Stored splits, tokenised; those last used stay, as versions of a task share them."""

    def __init__(self, bank: Bank, backbone: Backbone) -> None:
        self.bank = bank
        self.backbone = backbone
        self.recent: OrderedDict[tuple[str, str, int], tuple[Examples, Encoded]] = OrderedDict()

    def of(self, record: AdapterRecord, split: SplitRecord) -> tuple[Examples, Encoded]:
        """Return the examples of an adapter's split and the same for the model."""
        key = (split.digest, record.kind, record.training["max_length"])
        if key not in self.recent:
            examples = self.bank.examples(record, split.name)
            kind: Kind = plugins.load("kinds", record.kind)
            encoded = kind.encode(
                self.backbone.tokenizer,
                examples.columns,
                record.definition,
                record.training["max_length"],
                labelled=False,
            )
            self.recent[key] = (examples, encoded)
            if len(self.recent) > RECENT:
                self.recent.popitem(last=False)
        return self.recent[key]


def _unloadable(group: Sequence[AdapterRecord], error: TaskbankError) -> Finding:
    names = ", ".join(record.ref for record in group)
    return Finding(None, None, "backbone", f"{error} (concerns {names})")


def _check(
    bank: Bank,
    record: AdapterRecord,
    backbone: Backbone,
    inputs: _Inputs,
    tolerance: float,
    findings: list[Finding],
) -> TaskResult:
    def note(check: str, message: str) -> None:
        findings.append(Finding(record.task, record.version, check, message))

    comparisons = []
    kind: Kind = plugins.load("kinds", record.kind)
    try:
        with attached(record, backbone) as model:
            for split in record.splits:
                examples, encoded = inputs.of(record, split)
                reference = bank.reference(record, split.name)
                predictions = predict_examples(model, kind, encoded)
                comparisons.append(compare(record, split, examples, reference, predictions))
    except TaskbankError as error:
        note("weights", str(error))
        return _result(record, "damaged")
    status: Status = "ok"
    for comparison in comparisons:
        for disagreement in comparison.disagreements:
            note("metrics", disagreement)
            status = "damaged"
    for comparison in comparisons:
        if status != "damaged" and comparison.regressed(tolerance):
            note("regression", comparison.describe())
            status = "regressed"
    own = next(one for one in comparisons if one.split.name == record.split)
    return TaskResult(
        record.task,
        record.version,
        status,
        record.metric,
        record.score,
        own.observed,
        sum(len(one.flips) for one in comparisons),
        sum(one.split.rows for one in comparisons),
        _largest([one.shift for one in comparisons]),
        tuple(flip for one in comparisons for flip in one.flips[:SHOWN_FLIPS]),
    )


def _largest(shifts: list[float]) -> float | None:
    return max(shifts) if all(math.isfinite(shift) for shift in shifts) else None


def _result(record: AdapterRecord, status: Status) -> TaskResult:
    return TaskResult(record.task, record.version, status, record.metric, record.score)
