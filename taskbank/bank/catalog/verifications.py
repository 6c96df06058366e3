"""Verifications, what they observed and what was accepted: every question and change.

As in the catalog, a method that changes something takes the connection of a `writing`
transaction; one that only reads opens its own. Knows nothing of torch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Engine, func, insert, select

from taskbank.bank.catalog.database import reading
from taskbank.bank.catalog.rows import child_rows, insert_row, now, parts, table_of
from taskbank.bank.catalog.seals import contents, row_damage
from taskbank.bank.catalog.tables import (
    VERIFICATION_CHILDREN,
    AcceptanceRow,
    AdapterRow,
    ObservationRow,
    ResultRow,
    RunRow,
    TaskRow,
    ToleranceRow,
    VerificationRow,
)
from taskbank.bank.records import AdapterRecord, Observation, Voucher
from taskbank.digests import Json
from taskbank.errors import DamagedError, NotFoundError


class Verifications:
    """The tables of one bank's verifications.

    Args:
        engine: of a bank whose schema was checked.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def add_run(
        self,
        connection: Connection,
        level: str,
        tasks: Sequence[str],
        environment: Mapping[str, Json],
    ) -> int:
        """Record that a verification begins to predict; return the run's id."""
        values = {"level": level, "tasks": list(tasks), "environment": dict(environment)}
        return insert_row(connection, RunRow, values | {"started_at": now()})

    def unfinished_runs(self) -> list[dict[str, Json]]:
        """Return the runs that no verification came of, oldest first, with `adapters` observed."""
        ended = select(VerificationRow.run_id).where(VerificationRow.run_id.is_not(None))
        query = select(RunRow.__table__).where(RunRow.id.not_in(ended)).order_by(RunRow.id)
        counts = (
            select(ObservationRow.run_id, func.count(func.distinct(ObservationRow.adapter_id)))
            .where(ObservationRow.run_id.not_in(ended))
            .group_by(ObservationRow.run_id)
        )
        with reading(self.engine) as connection:
            seen = {run: count for run, count in connection.execute(counts)}
            rows = connection.execute(query).mappings()
            return [{**row, "adapters": seen.get(row["id"], 0)} for row in rows]

    def add_observation(
        self,
        connection: Connection,
        run: int,
        adapter: int,
        circumstances: str,
        observation: Observation,
    ) -> None:
        """Record what an adapter predicted; the blob of it must be stored already."""
        values = {
            "run_id": run,
            "adapter_id": adapter,
            "split": observation.split,
            "circumstances": circumstances,
            "noise": observation.noise,
            "digest": observation.predictions,
            "observed_at": now(),
        }
        insert_row(connection, ObservationRow, values)

    def observations(self, run: int) -> dict[tuple[int, str], tuple[Observation, ...]]:
        """Return what a run has observed, by the id of the adapter's row and circumstances."""
        query = select(ObservationRow.__table__).where(ObservationRow.run_id == run)
        found: dict[tuple[int, str], dict[str, Observation]] = defaultdict(dict)
        with reading(self.engine) as connection:
            for row in connection.execute(query.order_by(ObservationRow.id)).mappings():
                damage = row_damage(ObservationRow.__tablename__, row)
                if damage is None:
                    one = Observation(row["split"], row["noise"], row["digest"])
                    found[row["adapter_id"], row["circumstances"]][row["split"]] = one
        return {key: tuple(own.values()) for key, own in found.items()}

    def observed_by(self, verification: int, record: AdapterRecord) -> tuple[Observation, ...]:
        """Return what a verification saw an adapter predict; nothing if it did not look.

        Raises:
            NotFoundError: if there is no such verification.
        """
        query = select(VerificationRow.run_id).where(VerificationRow.id == verification)
        result = select(ResultRow.circumstances).where(
            ResultRow.verification_id == verification,
            ResultRow.task == record.task,
            ResultRow.version == record.version,
        )
        with reading(self.engine) as connection:
            found = connection.execute(query).one_or_none()
            circumstances = connection.execute(result).scalar()
        if found is None:
            raise NotFoundError(
                f"the bank has no verification {verification}: taskbank history lists them"
            )
        if found[0] is None or circumstances is None:
            return ()
        return self.observations(found[0]).get((record.id, circumstances), ())

    def vouchers(self, circumstances: Sequence[str]) -> dict[str, Voucher]:
        """Return the newest verification that said `ok` or `changed`, by circumstances."""
        found: dict[str, Voucher] = {}
        with reading(self.engine) as connection:
            for part in parts(circumstances):
                query = (
                    select(
                        ResultRow.circumstances,
                        ResultRow.verification_id,
                        ResultRow.status,
                        ResultRow.recorded,
                        ResultRow.observed,
                    )
                    .where(ResultRow.circumstances.in_(part))
                    .where(ResultRow.status.in_(("ok", "changed")))
                    .order_by(ResultRow.id)
                )
                for of, verification, status, recorded, observed in connection.execute(query):
                    one = Voucher(verification, status, float(recorded or 0.0), observed)
                    found[str(of)] = one
        return found

    def add(
        self,
        connection: Connection,
        values: Mapping[str, Json],
        results: Sequence[Mapping[str, Json]],
        findings: Sequence[Mapping[str, Json]],
    ) -> int:
        """Record one verification with its results and findings; return its id."""
        children = {"results": results, "findings": findings}
        digests = {name: contents(rows, "verification_id") for name, rows in children.items()}
        own = insert_row(connection, VerificationRow, {**values, "contents": digests})
        for name, rows in children.items():
            if rows:
                connection.execute(
                    insert(VERIFICATION_CHILDREN[name][0]),
                    [{**row, "verification_id": own} for row in rows],
                )
        return own

    def all(self) -> list[dict[str, Json]]:
        """Return every recorded verification with its results and findings, oldest first."""
        with reading(self.engine) as connection:
            query = select(VerificationRow.__table__).order_by(VerificationRow.id)
            rows = [dict(row) for row in connection.execute(query).mappings()]
            everyone = [row["id"] for row in rows]
            children = child_rows(connection, everyone, VERIFICATION_CHILDREN)
        for row in rows:
            row |= {name: groups.get(row["id"], []) for name, groups in children.items()}
        return rows

    def summaries(self) -> list[dict[str, Json]]:
        """Return every verification, oldest first, with `statuses`: how many have which."""
        query = select(VerificationRow.__table__).order_by(VerificationRow.id)
        counts = select(
            ResultRow.verification_id, ResultRow.status, func.count(ResultRow.id)
        ).group_by(ResultRow.verification_id, ResultRow.status)
        with reading(self.engine) as connection:
            statuses: dict[int, dict[str, int]] = defaultdict(dict)
            for verification, status, count in connection.execute(counts):
                statuses[verification][status] = count
            return [
                {**row, "statuses": statuses[row["id"]]}
                for row in connection.execute(query).mappings()
            ]

    def results_of(self, task: str) -> list[dict[str, Json]]:
        """Return what verifications said of a task, oldest first."""
        query = (
            select(ResultRow.__table__, VerificationRow.level, VerificationRow.finished_at)
            .join(VerificationRow, VerificationRow.id == ResultRow.verification_id)
            .where(ResultRow.task == task)
            .order_by(ResultRow.id)
        )
        with reading(self.engine) as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def observed_scores(self) -> list[tuple[str, str, int, float]]:
        """Return when a verification saw which task and version score what, oldest first."""
        query = (
            select(
                VerificationRow.finished_at, ResultRow.task, ResultRow.version, ResultRow.observed
            )
            .join(VerificationRow, VerificationRow.id == ResultRow.verification_id)
            .where(ResultRow.observed.is_not(None))
            .order_by(ResultRow.id)
        )
        with reading(self.engine) as connection:
            rows = connection.execute(query).all()
        try:
            return [(at, task, version, float(seen or 0.0)) for at, task, version, seen in rows]
        except ValueError:
            raise DamagedError(
                "a result of a verification is no number: run taskbank verify-all"
            ) from None

    def accept(
        self,
        connection: Connection,
        adapter: int,
        observations: Sequence[Observation],
        verification: int,
        reason: str,
    ) -> None:
        """Make what a verification observed of an adapter its reference predictions."""
        for one in observations:
            values = {
                "adapter_id": adapter,
                "split": one.split,
                "digest": one.predictions,
                "verification_id": verification,
                "reason": reason,
                "accepted_at": now(),
            }
            insert_row(connection, AcceptanceRow, values)

    def acceptances_of(self, task: str) -> list[dict[str, Json]]:
        """Return what was accepted of a task, oldest first, once for all splits of a version."""
        query = (
            select(
                AdapterRow.version,
                AcceptanceRow.verification_id,
                AcceptanceRow.reason,
                func.min(AcceptanceRow.accepted_at).label("accepted_at"),
            )
            .join(AdapterRow, AdapterRow.id == AcceptanceRow.adapter_id)
            .join(TaskRow, TaskRow.id == AdapterRow.task_id)
            .where(TaskRow.name == task)
            .group_by(AdapterRow.version, AcceptanceRow.verification_id, AcceptanceRow.reason)
            .order_by(func.min(AcceptanceRow.id))
        )
        with reading(self.engine) as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def set_tolerance(self, connection: Connection, task: str, tolerance: float | None) -> None:
        """Let a drop of a task pass from now on, or leave it to each verification again."""
        task_id = connection.execute(select(TaskRow.id).where(TaskRow.name == task)).scalar_one()
        values = {"task_id": task_id, "tolerance": tolerance, "set_at": now()}
        insert_row(connection, ToleranceRow, values)

    def tolerances(self) -> dict[str, float]:
        """Return the tolerance of every task that has one."""
        query = (
            select(ToleranceRow.__table__, TaskRow.name)
            .join(TaskRow, TaskRow.id == ToleranceRow.task_id)
            .order_by(ToleranceRow.id)
        )
        columns = table_of(ToleranceRow).columns.keys()
        latest = {}
        with reading(self.engine) as connection:
            for row in connection.execute(query).mappings():
                # One that was changed behind the bank's back lets nothing pass.
                if row_damage(ToleranceRow.__tablename__, {c: row[c] for c in columns}) is None:
                    latest[row["name"]] = row["tolerance"]
        return {task: value for task, value in latest.items() if value is not None}

    def tolerances_of(self, task: str) -> list[tuple[str, float | None]]:
        """Return when a task got which tolerance, oldest first."""
        query = (
            select(ToleranceRow.set_at, ToleranceRow.tolerance)
            .join(TaskRow, TaskRow.id == ToleranceRow.task_id)
            .where(TaskRow.name == task)
            .order_by(ToleranceRow.id)
        )
        with reading(self.engine) as connection:
            return [(at, tolerance) for at, tolerance in connection.execute(query)]
