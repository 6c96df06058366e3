"""Regression: does every stored task still predict what it predicted when it was added?

Every stored split is predicted again and compared, example by example, with the stored
reference predictions; the original files are not needed.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
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
from taskbank.verify.canary import choose_canaries
from taskbank.verify.compare import compare
from taskbank.verify.noise import least_noise, measured_noise
from taskbank.verify.report import Finding
from taskbank.verify.verdict import Evidence

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.model import TaskModel

RECENT = 8  # tokenised splits that are kept


def check_regression(
    bank: Bank,
    records: Sequence[AdapterRecord],
    *,
    backbone: str | None = None,
    device: str | None = None,
    progress: bool = False,
) -> tuple[list[Finding], list[Evidence]]:
    """Predict every stored split of some adapters again and compare.

    Args:
        bank: an open bank.
        records: the adapters, whose integrity was checked.
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
    evidence: list[Evidence] = []
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
                evidence += [Evidence(record, unloadable=True) for record in group]
                bar.update(len(group))
                continue
            inputs = _Inputs(bank, loaded)
            for record in group:
                evidence.append(_observed(bank, record, loaded, inputs))
                bar.update()
    return findings, evidence


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
            self.recent[key] = (examples, self.encode(record, examples))
            if len(self.recent) > RECENT:
                self.recent.popitem(last=False)
        return self.recent[key]

    def encode(self, record: AdapterRecord, examples: Examples) -> Encoded:
        """Return examples as an adapter's model takes them."""
        kind: Kind = plugins.load("kinds", record.kind)
        return kind.encode(
            self.backbone.tokenizer,
            examples.columns,
            record.definition,
            record.training["max_length"],
            labelled=False,
        )


def _unloadable(group: Sequence[AdapterRecord], error: TaskbankError) -> Finding:
    names = ", ".join(record.ref for record in group)
    return Finding(None, None, "backbone", f"{error} (concerns {names})")


def _observed(bank: Bank, record: AdapterRecord, backbone: Backbone, inputs: _Inputs) -> Evidence:
    kind: Kind = plugins.load("kinds", record.kind)
    comparisons = []
    try:
        with attached(record, backbone) as model:
            for split in record.splits:
                examples, encoded = inputs.of(record, split)
                reference = bank.reference(record, split.name)
                predictions = predict_examples(model, kind, encoded)
                noise = _noise(model, kind, record, examples, inputs, reference, predictions)
                comparisons.append(compare(record, split, examples, reference, predictions, noise))
    except TaskbankError as error:
        return Evidence(record, unusable=str(error))
    return Evidence(record, tuple(comparisons))


def _noise(
    model: TaskModel,
    kind: Kind,
    record: AdapterRecord,
    examples: Examples,
    inputs: _Inputs,
    reference: np.ndarray,
    predictions: np.ndarray,
) -> float:
    columns, definition = examples.columns, record.definition
    if np.array_equal(reference, predictions):  # to the last bit: there is nothing to explain
        return least_noise(kind.changes(reference, reference, columns, definition).scale)
    rows = choose_canaries(kind, reference, columns, definition)
    some = examples.select(rows, examples.origin)
    observed = predictions[np.isin(kind.examples_of(columns), rows)]
    return measured_noise(
        model, kind, definition, some.columns, inputs.encode(record, some), observed
    )
