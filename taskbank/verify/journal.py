"""Records a verification's predictions immediately, so that it can be resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from taskbank.bank.records import AdapterRecord, Observation
from taskbank.bank.verification_log import VerificationLog
from taskbank.errors import ResourceError, TaskbankError

Observed = Mapping[str, tuple[np.ndarray, float]]  # predictions and noise, by split


@dataclass(frozen=True)
class Journal:
    """The observations of one run.

    Attributes:
        log: the bank's verification log.
        run: the run's number; None if nothing is recorded.
        earlier: the observations of the run before it was interrupted, by the adapter's row id and
            the circumstances.
        problems: messages of errors that prevented recording.
    """

    log: VerificationLog
    run: int | None = None
    earlier: Mapping[tuple[int, str], tuple[Observation, ...]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def read(self, record: AdapterRecord, circumstances: str) -> Observed | None:
        """Return earlier predictions and noise, by split; None unless every split was observed."""
        observations = self.earlier.get((record.id, circumstances), ())
        if {observation.split for observation in observations} != {
            split.name for split in record.splits
        }:
            return None
        try:
            return {
                observation.split: (self.log.predictions(observation), observation.noise)
                for observation in observations
            }
        except ResourceError:
            raise
        except TaskbankError:  # the bytes are missing or damaged: predict again
            return None

    def write(self, observed: Sequence[tuple[AdapterRecord, str, Observed]]) -> None:
        """Record predictions together; an error is added to `problems` and not raised.

        Args:
            observed: adapters with the digest of their circumstances and their predictions.
        """
        if self.run is None or not observed:
            return
        try:
            self.log.observe(self.run, observed)
        except ResourceError:
            raise
        except TaskbankError as error:
            self.problems.append(str(error))
