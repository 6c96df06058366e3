"""Collects the evidence of a verification: the new predictions of every adapter.

Stored splits are predicted again and compared, example by example, with the reference predictions;
the original data files are not needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tqdm import tqdm

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.errors import ResourceError, TaskbankError
from taskbank.model.load import check_backbone, confirm_backbone, load_recorded_backbone
from taskbank.runtime.resources import translate_lack
from taskbank.verify.conditions import Conditions
from taskbank.verify.journal import Journal
from taskbank.verify.observer import Observer, StillHolds
from taskbank.verify.report import Finding, Level
from taskbank.verify.verdict import Evidence


@dataclass
class Gathered:
    """What was gathered.

    Attributes:
        findings: findings about backbones.
        evidence: the evidence of every adapter, or of those before an interruption.
        interrupted: the failure that ended the gathering early.
    """

    findings: list[Finding] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    interrupted: str | None = None


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
        if given.identity.fingerprint in known:
            confirm_backbone(bank, given, known[given.identity.fingerprint])
        elif known:
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
) -> Gathered:
    """Return findings about backbones, and the evidence of every adapter.

    The evidence holds either new predictions or an earlier result that still applies. If a server,
    a store or memory fails, what was gathered before is returned.

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
    groups: dict[str, list[AdapterRecord]] = defaultdict(list)
    for record in records:
        groups[record.backbone].append(record)
    gathered = Gathered()
    with (
        tqdm(
            total=len(records), desc="verifying", unit="adapter", disable=None if progress else True
        ) as bar,
        conditions.apply(),
    ):
        try:
            for fingerprint, group in groups.items():
                with translate_lack():
                    loaded = _load(bank, given, fingerprint, conditions)
                    if isinstance(loaded, TaskbankError):
                        gathered.findings.append(_backbone_finding(group, loaded))
                        failed = [Evidence(record, backbone_failed=True) for record in group]
                        gathered.evidence += failed
                        bar.update(len(group))
                        continue
                    observer = Observer(bank, loaded, level, conditions, journal, still_holds)
                    for item in observer.observe(group):
                        gathered.evidence.append(item)
                        bar.update()
        except ResourceError as error:
            gathered.interrupted = str(error)
    return gathered


def _load(
    bank: Bank, given: Backbone | None, fingerprint: str, conditions: Conditions
) -> Backbone | TaskbankError:
    """Return the backbone to predict with, or the error for which it cannot be used."""
    if given is not None and (
        "backbone" in conditions.overrides or given.identity.fingerprint == fingerprint
    ):
        return given
    try:
        return load_recorded_backbone(bank, bank.backbone(fingerprint), None, conditions.device)
    except ResourceError:
        raise
    except TaskbankError as error:
        return error


def _backbone_finding(group: Sequence[AdapterRecord], error: TaskbankError) -> Finding:
    names = ", ".join(record.ref for record in group)
    return Finding(None, None, "backbone", f"{error} (affects {names})")
