"""Records what a verification predicts as soon as it is predicted, so that it can be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from taskbank.bank.records import AdapterRecord, Observation
from taskbank.bank.verification_log import VerificationLog
from taskbank.errors import TaskbankError

Observed = Mapping[str, tuple[np.ndarray, float]]  # predictions and noise, by split


@dataclass(frozen=True)
class Journal:
    """The observations of one run.

    Attributes:
        log: the bank's verifications.
        run: number of the run; none if nothing is recorded.
        earlier: what the run observed before it was interrupted, by the id of the adapter's row
            and circumstances.
        problems: why observations could not be recorded.
    """

    log: VerificationLog
    run: int | None = None
    earlier: Mapping[tuple[int, str], tuple[Observation, ...]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def read(self, record: AdapterRecord, circumstances: str) -> Observed | None:
        """Return predictions and noise by split, if every split was observed earlier."""
        observations = self.earlier.get((record.id, circumstances), ())
        if {one.split for one in observations} != {split.name for split in record.splits}:
            return None
        try:
            return {one.split: (self.log.predictions(one), one.noise) for one in observations}
        except TaskbankError:  # the bytes are gone: predict again
            return None

    def write(self, record: AdapterRecord, circumstances: str, observed: Observed) -> None:
        """Record what was predicted; a failure is kept as a problem and raises nothing."""
        if self.run is None:
            return
        try:
            self.log.observe(self.run, record, circumstances, observed)
        except TaskbankError as error:
            self.problems.append(str(error))
