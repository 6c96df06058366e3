"""Where a verification records what it predicts, as soon as it is predicted.

One that did not end can so be gone on with. Knows nothing of torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, Observation
from taskbank.errors import TaskbankError

Observed = Mapping[str, tuple[np.ndarray, float]]  # predictions and noise, by split


@dataclass(frozen=True)
class Run:
    """Where what is predicted is recorded.

    Attributes:
        bank: that the run is of.
        number: of the run; none if nothing is recorded.
        seen: what it has observed before, by adapter and circumstances.
        problems: why something could not be recorded.
    """

    bank: Bank
    number: int | None = None
    seen: Mapping[tuple[int, str], tuple[Observation, ...]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def found(self, record: AdapterRecord, circumstances: str) -> Observed | None:
        """Return what was predicted, and its noise, by split, if all of it was seen before."""
        observations = self.seen.get((record.id, circumstances), ())
        if {one.split for one in observations} != {split.name for split in record.splits}:
            return None
        try:
            return {one.split: (self.bank.observed(one), one.noise) for one in observations}
        except TaskbankError:  # its bytes are gone: predict again
            return None

    def keep(
        self,
        record: AdapterRecord,
        circumstances: str,
        observed: Observed,
    ) -> None:
        """Record what was predicted, if that can be: what was seen counts all the same."""
        if self.number is None:
            return
        try:
            self.bank.observe(self.number, record, circumstances, observed)
        except TaskbankError as error:
            self.problems.append(str(error))
