"""The evidence of versions, as pages read it."""

from __future__ import annotations

from taskbank.bank.bank import Bank
from taskbank.pages.common_examples import Side
from taskbank.pages.evidence import Asked, Evidence, read_evidence
from taskbank.pages.paired_evidence import AskedPairs, PairedEvidence, read_pairs


def evidence_of(bank: Bank, ref: str, **asked: object) -> Evidence:
    """Return the evidence of a version."""
    found = read_evidence(bank, bank[ref], Asked(**asked))  # type: ignore[arg-type]
    assert found is not None
    return found


def pairs_of(bank: Bank, first: str, second: str, **asked: object) -> PairedEvidence:
    """Return what two versions answer."""
    return read_pairs(
        bank, Side(bank[first]), Side(bank[second]), AskedPairs(**asked)  # type: ignore[arg-type]
    )  # fmt: skip
