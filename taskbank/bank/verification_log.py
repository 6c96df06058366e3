"""What verifications of a bank predicted, found and confirmed.

A verification that predicts starts a *run* and records every observation in it at once, so an
interrupted verification can be resumed. When it ends, it is recorded with its results and findings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from taskbank.bank.blobs.store import BlobStore
from taskbank.bank.catalog.acceptances import (
    add_acceptances,
    read_acceptances,
    read_tolerance_history,
)
from taskbank.bank.catalog.database import reading, writing
from taskbank.bank.catalog.runs import (
    add_observation,
    add_run,
    read_observations,
    read_unfinished_runs,
)
from taskbank.bank.catalog.verifications import (
    add_verification,
    read_confirmations,
    read_findings,
    read_observed,
    read_results,
    read_scores,
    read_verifications,
)
from taskbank.bank.new_records import NewVerification
from taskbank.bank.records import (
    AcceptanceRecord,
    AdapterRecord,
    Confirmation,
    FindingRecord,
    Observation,
    ResultRecord,
    RunRecord,
    ScoreRecord,
    ToleranceRecord,
    VerificationRecord,
)
from taskbank.digests import Json
from taskbank.errors import ConflictError, InputError, NotFoundError

if TYPE_CHECKING:
    import numpy as np


class VerificationLog:
    """The verifications of a bank; `Bank.verification_log` gives it.

    Args:
        engine: of a bank whose schema was checked.
        blobs: the bank's blobs.
    """

    def __init__(self, engine: Engine, blobs: BlobStore) -> None:
        self._engine = engine
        self._blobs = blobs

    # A verification in progress

    def start_run(self, level: str, tasks: Sequence[str], environment: Mapping[str, Json]) -> int:
        """Record that a verification starts to predict, and return the run's number."""
        with writing(self._engine) as connection:
            return add_run(connection, level, tasks, environment)

    def unfinished_runs(self) -> tuple[RunRecord, ...]:
        """Return the runs without a finished verification, oldest first."""
        with reading(self._engine) as connection:
            return read_unfinished_runs(connection)

    def observe(
        self,
        run: int,
        record: AdapterRecord,
        circumstances: str,
        observed: Mapping[str, tuple[np.ndarray, float]],
    ) -> None:
        """Record what an adapter predicted in a run.

        Args:
            run: its number.
            record: the adapter.
            circumstances: digest of everything that the predictions depend on.
            observed: by split, the predictions and how far rounding alone may move them.
        """
        from safetensors.numpy import save

        blobs = {name: save({"logits": own}) for name, (own, _) in observed.items()}
        for data in blobs.values():
            self._blobs.stage(data)
        with writing(self._engine) as connection:
            for name, (_, noise) in observed.items():
                digest = self._blobs.put(blobs[name], connection)
                one = Observation(name, noise, digest)
                add_observation(connection, run, record.id, circumstances, one)

    def observations(self, run: int) -> dict[tuple[int, str], tuple[Observation, ...]]:
        """Return the observations of a run, by the id of the adapter's row and circumstances."""
        with reading(self._engine) as connection:
            return read_observations(connection, run)

    def predictions(self, observation: Observation) -> np.ndarray:
        """Return the predictions of an observation, as `Bank.reference` does.

        Raises:
            DamagedError: if the bytes are gone or are not what was recorded.
        """
        return load_predictions(self._blobs, observation.predictions)

    def confirmations(self, circumstances: Sequence[str]) -> dict[str, Confirmation]:
        """Return the newest result that was `ok` or `changed`, by circumstances."""
        with reading(self._engine) as connection:
            return read_confirmations(connection, circumstances)

    def record(self, new: NewVerification) -> int:
        """Record a finished verification, and return its number."""
        with writing(self._engine) as connection:
            return add_verification(connection, new)

    # Finished verifications

    def verifications(self) -> tuple[VerificationRecord, ...]:
        """Return every finished verification, oldest first."""
        with reading(self._engine) as connection:
            return read_verifications(connection)

    def results(
        self, *, task: str | None = None, verification: int | None = None
    ) -> tuple[ResultRecord, ...]:
        """Return the recorded results of a task, of a verification or of all, oldest first."""
        with reading(self._engine) as connection:
            return read_results(connection, task=task, verification=verification)

    def findings(self, verification: int) -> tuple[FindingRecord, ...]:
        """Return the findings of a verification."""
        with reading(self._engine) as connection:
            return read_findings(connection, verification)

    def scores(self) -> tuple[ScoreRecord, ...]:
        """Return every score that a verification observed, oldest first.

        Raises:
            DamagedError: if one is not a number.
        """
        with reading(self._engine) as connection:
            return read_scores(connection)

    def acceptances(self, task: str) -> tuple[AcceptanceRecord, ...]:
        """Return what was accepted of a task, oldest first."""
        with reading(self._engine) as connection:
            return read_acceptances(connection, task)

    def tolerances(self, task: str) -> tuple[ToleranceRecord, ...]:
        """Return every step in the history of a task's tolerance, oldest first."""
        with reading(self._engine) as connection:
            return read_tolerance_history(connection, task)

    def accept(self, record: AdapterRecord, verification: int, reason: str) -> None:
        """Make what an adapter predicted in a verification its reference; see `Bank.accept`."""
        if not reason.strip():
            raise InputError("the reason is empty: say why the predictions may change")
        if record.retired:
            raise ConflictError(f"{record.ref} is retired: retired adapters are not verified")
        with reading(self._engine) as connection:
            found = read_observed(connection, verification, record)
        if {one.split for one in found} != {one.name for one in record.splits}:
            raise NotFoundError(
                f"verification {verification} did not predict all of {record.ref}: run "
                f"taskbank verify-all --task {record.ref}, and accept that"
            )
        digests = {one.name: one.reference for one in record.splits}
        new = [one for one in found if one.predictions != digests[one.split]]
        if not new:
            raise ConflictError(
                f"verification {verification} saw {record.ref} predict its reference to the "
                "last bit: there is nothing to accept"
            )
        from numpy import isfinite

        for one in new:  # raises before anything is recorded if the bytes are gone
            if not isfinite(self.predictions(one)).all():
                raise ConflictError(
                    f"verification {verification} saw {record.ref} predict NaN or infinity, which "
                    "later predictions cannot be compared with"
                )
        with writing(self._engine) as connection:
            add_acceptances(connection, record.id, new, verification, reason.strip())


def load_predictions(blobs: BlobStore, digest: str) -> np.ndarray:
    """Return the stored predictions of a digest: float32, of the shape that their kind says.

    Raises:
        DamagedError: if the bytes are gone or are not what was recorded.
    """
    from safetensors.numpy import load

    logits: np.ndarray = load(blobs.get(digest))["logits"]
    return logits
