"""Records a verification's predictions immediately, so that it can be resumed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from taskbank.bank.records import AdapterRecord, Observation
from taskbank.bank.verification_log import VerificationLog
from taskbank.errors import ResourceError, TaskbankError

Observed = Mapping[str, tuple[np.ndarray, float]]  # predictions and noise, by split
Observations = Mapping[tuple[int, str], tuple[Observation, ...]]  # by row id and circumstances


@dataclass(frozen=True)
class Journal:
    """The observations of one run.

    Attributes:
        log: the bank's verification log.
        run: the run's number; None if nothing is recorded.
        problems: messages of errors that prevented recording.
    """

    log: VerificationLog
    run: int | None = None
    problems: list[str] = field(default_factory=list)

    def observations(self, adapters: Iterable[int]) -> Observations:
        """Return what the run has observed of adapters before it was interrupted.

        Args:
            adapters: the ids of their rows.
        """
        return {} if self.run is None else self.log.observations(self.run, adapters)

    def read(self, record: AdapterRecord, observations: Sequence[Observation]) -> Observed | None:
        """Return earlier predictions and noise, by split; None unless every split was observed.

        Args:
            record: the adapter.
            observations: what was observed of it.
        """
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
