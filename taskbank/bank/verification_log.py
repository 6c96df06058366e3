"""The log of a bank's verifications: their observations, results and findings.

A verification that predicts starts a *run* and records each observation in it immediately, so that
an interrupted verification can be resumed. When it ends, it is recorded with its results and
findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from taskbank.bank.blobs.store import BlobStore
from taskbank.bank.catalog.acceptances import (
    add_acceptances,
    read_acceptances,
    read_tolerance_history,
)
from taskbank.bank.catalog.current_versions import read_recent_results
from taskbank.bank.catalog.database import read_transaction, write_transaction
from taskbank.bank.catalog.runs import (
    add_observation,
    add_run,
    read_observations,
    read_unfinished_runs,
)
from taskbank.bank.catalog.verification_pages import (
    read_finding_page,
    read_neighbours,
    read_newest_verifications,
    read_result_page,
    read_verification,
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
    FindingPage,
    FindingRecord,
    Observation,
    ResultPage,
    ResultRecord,
    ResultSummary,
    RunRecord,
    ScoreRecord,
    ToleranceRecord,
    VerificationRecord,
    VerificationSummary,
)
from taskbank.digests import Json
from taskbank.errors import ConflictError, InputError, NotFoundError

if TYPE_CHECKING:
    import numpy as np


class VerificationLog:
    """The log of a bank's verifications, available as `Bank.verification_log`.

    Args:
        engine: the engine of a bank whose schema was checked.
        blobs: the bank's blobs.
    """

    def __init__(self, engine: Engine, blobs: BlobStore) -> None:
        self._engine = engine
        self._blobs = blobs

    # A verification in progress

    def start_run(self, level: str, tasks: Sequence[str], environment: Mapping[str, Json]) -> int:
        """Record that a verification starts to predict; return the run's number."""
        with write_transaction(self._engine) as connection:
            return add_run(connection, level, tasks, environment)

    def unfinished_runs(self) -> tuple[RunRecord, ...]:
        """Return the runs whose verification has not finished, oldest first."""
        with read_transaction(self._engine) as connection:
            return read_unfinished_runs(connection)

    def observe(
        self,
        run: int,
        observed: Sequence[tuple[AdapterRecord, str, Mapping[str, tuple[np.ndarray, float]]]],
    ) -> None:
        """Record predictions of adapters in a run: those of all, or none.

        Args:
            run: the run's number.
            observed: for each adapter its record, the digest of everything that the predictions
                depend on, and by split the predictions and a bound on how far rounding alone moves
                them.
        """
        from safetensors.numpy import save

        blobs = [
            {name: save({"logits": predictions}) for name, (predictions, _) in splits.items()}
            for _, _, splits in observed
        ]
        for by_split in blobs:
            for data in by_split.values():
                self._blobs.stage(data)
        # The end of the verification brings these records into a SQLite file.
        with write_transaction(self._engine, lasting=False) as connection:
            for by_split, (record, circumstances, splits) in zip(blobs, observed, strict=True):
                for name, (_, noise) in splits.items():
                    digest = self._blobs.put(by_split[name], connection)
                    observation = Observation(name, noise, digest)
                    add_observation(connection, run, record.id, circumstances, observation)

    def observations(
        self, run: int, adapters: Iterable[int] | None = None
    ) -> dict[tuple[int, str], tuple[Observation, ...]]:
        """Return the observations of a run, by the adapter's row id and the circumstances.

        Args:
            run: the run's number.
            adapters: the ids of the rows of some adapters; None means all.
        """
        with read_transaction(self._engine) as connection:
            return read_observations(connection, run, adapters)

    def predictions(self, observation: Observation) -> np.ndarray:
        """Return the predictions of an observation, in the format of `Bank.reference`.

        Raises:
            DamagedError: if the bytes are missing or differ from what was recorded.
        """
        return load_predictions(self._blobs, observation.predictions)

    def confirmations(self, circumstances: Sequence[str]) -> dict[str, Confirmation]:
        """Return the newest result for each digest of circumstances if it is `ok` or `changed`."""
        with read_transaction(self._engine) as connection:
            return read_confirmations(connection, circumstances)

    def record(self, new: NewVerification) -> int:
        """Record a finished verification; return its number."""
        with write_transaction(self._engine) as connection:
            return add_verification(connection, new)

    # Finished verifications

    def verifications(self) -> tuple[VerificationRecord, ...]:
        """Return every finished verification, oldest first."""
        with read_transaction(self._engine) as connection:
            return read_verifications(connection)

    def newest(self, *, before: int | None = None, limit: int) -> tuple[VerificationSummary, ...]:
        """Return finished verifications, newest first.

        Args:
            before: return only verifications with smaller numbers; None means the newest.
            limit: return at most this many.
        """
        with read_transaction(self._engine) as connection:
            return read_newest_verifications(connection, before=before, limit=limit)

    def verification(self, number: int) -> VerificationRecord:
        """Return a finished verification.

        Raises:
            NotFoundError: if it does not exist.
        """
        with read_transaction(self._engine) as connection:
            return read_verification(connection, number)

    def neighbours(
        self, number: int, *, predicted: bool
    ) -> tuple[int | None, int | None, int | None]:
        """Return the verification before one, the one after it, and the last one of its sort.

        Args:
            number: the verification's number; larger than all numbers for one not recorded.
            predicted: whether it predicted: the last one of its sort did so as well, or neither.
        """
        with read_transaction(self._engine) as connection:
            return read_neighbours(connection, number, predicted=predicted)

    def result_page(
        self,
        verification: int,
        *,
        status: str | None = None,
        after: int | None = None,
        limit: int,
    ) -> ResultPage:
        """Return results of a verification, those that need attention first.

        It is quick however many adapters the verification has checked, and so does not check the
        seal over all its results; `results` does.

        Args:
            verification: the verification's number.
            status: return only results with this status.
            after: where the page before ended, as its `next` says.
            limit: return at most this many.
        """
        with read_transaction(self._engine) as connection:
            return read_result_page(
                connection, verification, status=status, after=after, limit=limit
            )

    def finding_page(self, verification: int, limit: int) -> FindingPage:
        """Return the first findings of a verification; quick and unchecked as `result_page`."""
        with read_transaction(self._engine) as connection:
            return read_finding_page(connection, verification, limit)

    def results(
        self, *, task: str | None = None, verification: int | None = None
    ) -> tuple[ResultRecord, ...]:
        """Return the recorded results, optionally of one task or verification, oldest first."""
        with read_transaction(self._engine) as connection:
            return read_results(connection, task=task, verification=verification)

    def recent_results(
        self, versions: Sequence[tuple[str, int]], *, each: int
    ) -> tuple[ResultSummary, ...]:
        """Return the newest results of some versions, oldest first, without their evidence.

        It is quick however many versions a verification has checked, and so does not check their
        seals; `results` does.

        Args:
            versions: pairs of a task and a version.
            each: return at most this many of each version.
        """
        with read_transaction(self._engine) as connection:
            return read_recent_results(connection, versions, each)

    def findings(self, verification: int) -> tuple[FindingRecord, ...]:
        """Return the findings of a verification."""
        with read_transaction(self._engine) as connection:
            return read_findings(connection, verification)

    def observed(self, verification: int, record: AdapterRecord) -> tuple[Observation, ...]:
        """Return what a verification observed of an adapter; empty if it did not predict it.

        Args:
            verification: the verification's number.
            record: the adapter.

        Raises:
            NotFoundError: if the verification does not exist.
        """
        with read_transaction(self._engine) as connection:
            return read_observed(connection, verification, record)

    def scores(self, tasks: Sequence[str] | None = None) -> tuple[ScoreRecord, ...]:
        """Return every score that a verification observed, oldest first.

        Args:
            tasks: only those of these tasks, quick and unchecked as `result_page`; None means all.

        Raises:
            DamagedError: if a stored score is not a number.
        """
        with read_transaction(self._engine) as connection:
            return read_scores(connection, tasks)

    def acceptances(self, task: str) -> tuple[AcceptanceRecord, ...]:
        """Return the acceptances of a task, oldest first."""
        with read_transaction(self._engine) as connection:
            return read_acceptances(connection, task)

    def tolerances(self, task: str) -> tuple[ToleranceRecord, ...]:
        """Return the history of a task's tolerance, oldest change first."""
        with read_transaction(self._engine) as connection:
            return read_tolerance_history(connection, task)

    def accept(self, record: AdapterRecord, verification: int, reason: str) -> None:
        """Make the predictions of a verification an adapter's reference; see `Bank.accept`."""
        if not reason.strip():
            raise InputError("the reason is empty: say why the predictions may change")
        if record.retired:
            raise ConflictError(f"{record.ref} is retired: retired adapters are not verified")
        with read_transaction(self._engine) as connection:
            results = read_results(connection, task=record.task, verification=verification)
            observations = read_observed(connection, verification, record)
        if any((r.version, r.status) == (record.version, "unstable") for r in results):
            raise ConflictError(
                f"the predictions of {record.ref} in verification {verification} depend on the "
                "batch that they were computed in: verify it again on another machine, and accept "
                "that verification"
            )
        references = {split.name: split.reference for split in record.splits}
        if {observation.split for observation in observations} != references.keys():
            raise NotFoundError(
                f"verification {verification} did not predict every split of {record.ref}: run "
                f"taskbank verify-all --task {record.ref}, and accept that verification"
            )
        new = [each for each in observations if each.predictions != references[each.split]]
        if not new:
            raise ConflictError(
                f"the predictions of {record.ref} in verification {verification} equal its "
                "reference predictions: there is nothing to accept"
            )
        from numpy import isfinite

        for observation in new:  # raises before anything is recorded if bytes are missing
            if not isfinite(self.predictions(observation)).all():
                raise ConflictError(
                    f"{record.ref} predicted NaN or infinity in verification {verification}: later "
                    "predictions cannot be compared with such a reference"
                )
        with write_transaction(self._engine) as connection:
            add_acceptances(connection, record.id, new, verification, reason.strip())


def load_predictions(blobs: BlobStore, digest: str) -> np.ndarray:
    """Return the stored predictions with a given digest: float32, of the shape the kind defines.

    Raises:
        DamagedError: if the bytes are missing or differ from what was recorded.
    """
    from safetensors.numpy import load

    logits: np.ndarray = load(blobs.get(digest))["logits"]
    return logits
