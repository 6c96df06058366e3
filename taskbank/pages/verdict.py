"""What a verification found in a sentence, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taskbank.counts import counted

FAILING = ("regressed", "unstable", "damaged", "unverifiable")
ADVICE = {
    "regressed": "Adapters that predict worse than recorded: {}. Do not switch to the environment "
    "of this verification, or train new versions.",
    "unstable": "Adapters whose outputs depend on the other examples in a batch: {}. Do not "
    "predict with this machine: check its memory and its versions of torch and transformers.",
    "damaged": "Adapters whose stored data differs from what was recorded: {}. Restore the bank "
    "from a copy.",
    "unverifiable": "Adapters that could not be checked because something is missing: {}.",
    "changed": "Adapters whose predictions changed but are not significantly worse: {}. Review "
    "the flips, and accept them if they are correct.",
}


@dataclass(frozen=True)
class Outcome:
    """How a verification ended.

    Attributes:
        ok: whether everything was checked and there are no findings.
        checked: number of checked adapters.
        total: number of adapters to check.
        failing: number of adapters that need attention.
        findings: number of findings.
        strict: whether a change is a finding even if the predictions did not get worse.
        statuses: number of adapters by status.
        interrupted: the failure that ended it before everything was checked; None if there is none.
    """

    ok: bool
    checked: int
    total: int
    failing: int
    findings: int
    strict: bool
    statuses: Mapping[str, int]
    interrupted: str | None = None

    @property
    def headline(self) -> str:
        """What it found, in a few words."""
        if self.interrupted is not None:
            return (
                f"interrupted: {self.checked:,} of {self.total:,} adapters were checked, with "
                f"{self.findings or 'no'} findings"
            )
        checked = f"{counted(self.checked, 'adapter')} checked"
        if self.ok:
            return f"{checked}: all is well"
        if not self.failing:
            return f"{checked}: the bank needs attention"
        needs = "needs" if self.failing == 1 else "need"
        return f"{checked}: {self.failing:,} {needs} attention"

    @property
    def advice(self) -> str:
        """What it means, and what to do."""
        if self.interrupted is not None:
            return (
                f"The verification was interrupted: {self.interrupted}. Adapters that are "
                "unchecked are neither sound nor damaged: run it again with --resume."
            )
        sentences = [
            text.format(f"{self.statuses[status]:,}")
            for status, text in ADVICE.items()
            if self.statuses.get(status)
        ]
        if not self.total:
            return "The bank has no adapters."
        if not sentences and not self.findings:
            return (
                "Every adapter is stored as recorded and predicts as recorded. No action is needed."
            )
        if self.strict:
            sentences.append("--strict treats every changed prediction as a failure.")
        return " ".join(sentences) or "The bank itself has a problem: see the findings below."
