"""Counts the outcomes of an attack, and keeps the ones that break a promise."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

SHOWN = 20  # broken promises to print; the count covers all of them


@dataclass
class Outcomes:
    """The outcomes of many attempts of one attack.

    Attributes:
        counts: number of attempts by outcome, such as `found` or `refused`.
        broken: a description of each attempt that broke a promise.
    """

    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def add(self, outcome: str, attempt: str, *, broken: bool = False) -> None:
        """Count one attempt.

        Args:
            outcome: what taskbank did, in a word or two.
            attempt: what was attempted, in enough detail to repeat it.
            broken: whether the outcome breaks a promise.
        """
        self.counts[outcome] += 1
        if broken:
            self.broken.append(f"{outcome}: {attempt}")

    def finish(self) -> int:
        """Print the counts and the broken promises; return 1 if there are any, else 0."""
        attempts = sum(self.counts.values())
        print(f"{attempts:,} attempts")
        for outcome, count in self.counts.most_common():
            print(f"  {count:8,} {outcome}")
        for description in self.broken[:SHOWN]:
            print(f"  BROKEN {description}")
        print(f"{len(self.broken):,} broken promises")
        return int(bool(self.broken))
