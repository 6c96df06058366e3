"""Collects the evidence of a verification: the new predictions of every adapter.

Stored splits are predicted again and compared, example by example, with the reference predictions;
the original data files are not needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tqdm import tqdm

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.errors import TaskbankError
from taskbank.model.load import check_backbone, load_recorded_backbone
from taskbank.verify.conditions import Conditions
from taskbank.verify.journal import Journal
from taskbank.verify.observer import Observer, StillHolds
from taskbank.verify.report import Finding, Level
from taskbank.verify.verdict import Evidence

if TYPE_CHECKING:
    pass


def load_given_backbone(bank: Bank, conditions: Conditions) -> Backbone | None:
    """Return the given backbone, loaded; None if none was given.

    Args:
        bank: an open bank.
        conditions: the conditions of the verification.

    Raises:
        InputError: if the backbone cannot be loaded.
        BackboneMismatchError: if the bank has no such backbone and it is not a what-if override.
    """
    given = conditions.backbone
    if isinstance(given, str):
        given = load_backbone(given, conditions.device)
    if given is not None and "backbone" not in conditions.overrides:
        known = {stored.fingerprint: stored for stored in bank.backbones()}
        if given.identity.fingerprint not in known and known:
            check_backbone(given, next(iter(known.values())))
    return given


def gather_evidence(
    bank: Bank,
    records: Sequence[AdapterRecord],
    level: Level,
    conditions: Conditions,
    given: Backbone | None,
    journal: Journal,
    still_holds: StillHolds,
    *,
    progress: bool = False,
) -> tuple[list[Finding], list[Evidence]]:
    """Return findings about backbones, and the evidence of every adapter.

    The evidence holds either new predictions or an earlier result that still applies.

    Args:
        bank: an open bank.
        records: the adapters, whose integrity was checked.
        level: `changed`, `canary` or `full`.
        conditions: the conditions of the verification.
        given: the given backbone; None means the recorded ones.
        journal: the journal that records the predictions.
        still_holds: returns whether an adapter's earlier result satisfies this verification.
        progress: whether to show a progress bar if the error stream is a terminal.
    """
    other = "backbone" in conditions.overrides
    groups: dict[str, list[AdapterRecord]] = defaultdict(list)
    for record in records:
        groups[record.backbone].append(record)
    findings: list[Finding] = []
    evidence: list[Evidence] = []
    with (
        tqdm(
            total=len(records), desc="verifying", unit="adapter", disable=None if progress else True
        ) as bar,
        conditions.apply(),
    ):
        for fingerprint, group in groups.items():
            try:
                if given is not None and (other or given.identity.fingerprint == fingerprint):
                    loaded = given
                else:
                    loaded = load_recorded_backbone(
                        bank.backbone(fingerprint), None, conditions.device
                    )
            except TaskbankError as error:
                findings.append(_backbone_finding(group, error))
                evidence += [Evidence(record, backbone_failed=True) for record in group]
                bar.update(len(group))
                continue
            observer = Observer(bank, loaded, level, conditions, journal, still_holds)
            for item in observer.observe(group):
                evidence.append(item)
                bar.update()
    return findings, evidence


def _backbone_finding(group: Sequence[AdapterRecord], error: TaskbankError) -> Finding:
    names = ", ".join(record.ref for record in group)
    return Finding(None, None, "backbone", f"{error} (affects {names})")
