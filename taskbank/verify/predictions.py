"""Collects the evidence of a verification: what every adapter predicts now.

Stored splits are predicted again and compared, example by example, with the reference predictions;
the original files are not needed.
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
    journal: Journal,
    still_holds: StillHolds,
    *,
    progress: bool = False,
) -> tuple[list[Finding], list[Evidence]]:
    """Return what some adapters predict now, or the earlier results that still apply to them.

    Args:
        bank: an open bank.
        records: the adapters, whose integrity was checked.
        level: `changed`, `canary` or `full`.
        conditions: under which to predict.
        given: the backbone, if one was given.
        journal: records what is predicted.
        still_holds: tells whether the earlier result of an adapter satisfies this verification.
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
                    loaded = load_recorded_backbone(
                        bank.backbone(fingerprint), None, conditions.device
                    )
            except TaskbankError as error:
                findings.append(_unloadable(group, error))
                evidence += [Evidence(record, unloadable=True) for record in group]
                bar.update(len(group))
                continue
            observer = Observer(bank, loaded, level, conditions, journal, still_holds)
            for one in observer.observe(group):
                evidence.append(one)
                bar.update()
    return findings, evidence


def _unloadable(group: Sequence[AdapterRecord], error: TaskbankError) -> Finding:
    names = ", ".join(record.ref for record in group)
    return Finding(None, None, "backbone", f"{error} (concerns {names})")
