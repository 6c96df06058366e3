"""The bank: a catalog and its blobs behind one door."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_

from taskbank.bank.blobs.url import blob_store
from taskbank.bank.catalog.adapters import Catalog
from taskbank.bank.catalog.database import (
    connect,
    reading,
    shown,
    writing,
)
from taskbank.bank.catalog.revision import check_revision
from taskbank.bank.catalog.tables import AdapterRow, BackboneRow, TaskRow
from taskbank.bank.catalog.verifications import Verifications
from taskbank.bank.new_records import NewAdapter, NewTrial
from taskbank.bank.record_list import Records
from taskbank.bank.records import (
    AdapterRecord,
    AliasRecord,
    BackboneRecord,
    Garbage,
    Observation,
    SplitRecord,
    TrialRecord,
)
from taskbank.checks import check_tolerance
from taskbank.data.examples import Examples
from taskbank.digests import Json
from taskbank.errors import ConflictError, InputError, NotFoundError
from taskbank.specs import BackboneIdentity


class Bank:
    """A bank that is there and has the schema this code knows; see `open_bank`.

    Args:
        url: the bank's URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = connect(url)
        try:
            check_revision(self.engine)
            self.catalog = Catalog(self.engine, self._read_blob)
            self.verifications = Verifications(self.engine)
            self.blobs = blob_store(self.catalog.bank()["blobs"], self.engine)
        except BaseException:
            self.engine.dispose()  # nobody else could: there is no bank to close
            raise

    def __repr__(self) -> str:
        return f"Bank({shown(self.url)!r})"

    def __enter__(self) -> Bank:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; the bank opens them again when it is asked something."""
        self.engine.dispose()

    # What is stored

    def __getitem__(self, ref: str) -> AdapterRecord:
        """Return one adapter, by `NAME` (the newest in use), `NAME@VERSION` or `NAME@ALIAS`.

        Raises:
            NotFoundError: if there is no such task, version or alias.
            DamagedError: if a row of the adapter is not what was recorded.
        """
        return self.catalog.adapter(ref)

    def __len__(self) -> int:
        """Return how many adapters are in use."""
        return self.catalog.count()

    def __iter__(self) -> Iterator[AdapterRecord]:
        """Give every adapter in use, oldest first."""
        return iter(self.adapters())

    def adapters(
        self,
        *,
        task: str | None = None,
        kind: str | None = None,
        method: str | None = None,
        backbone: str | None = None,
        retired: bool = False,
        newest: int | None = None,
    ) -> Records:
        """Return the adapters that fit every argument given, oldest first.

        Args:
            task: the task's name.
            kind: such as `single`.
            method: such as `houlsby`.
            backbone: a fingerprint.
            retired: also adapters that are out of use.
            newest: at most so many, the latest.
        """
        pairs = (
            (TaskRow.name, task),
            (TaskRow.kind, kind),
            (AdapterRow.method, method),
            (BackboneRow.fingerprint, backbone),
        )
        conditions = [column == value for column, value in pairs if value is not None]
        return self.catalog.adapters(
            and_(*conditions) if conditions else None, retired=retired, newest=newest
        )

    def query(self, query: str, *, retired: bool = False) -> Records:
        """Return the adapters for which a condition holds, oldest first.

        Args:
            query: such as `metric.accuracy >= 0.9 and tag.team = "search"`; the language is
                described in `taskbank.bank.catalog.query`.
            retired: also adapters that are out of use.

        Raises:
            InputError: if the query does not parse or names an unknown field.
        """
        from taskbank.bank.catalog.query import compile_query  # its parser is for those who ask

        condition = compile_query(query, self.engine.dialect.name)
        return self.catalog.adapters(condition, retired=retired)

    def trials(self, task: str | None = None) -> tuple[TrialRecord, ...]:
        """Return every training that was recorded, of one task or of all, oldest first.

        Raises:
            DamagedError: if a row is not what was recorded.
        """
        return self.catalog.trials(task)

    def backbones(self) -> tuple[BackboneRecord, ...]:
        """Return every backbone that the bank knows, oldest first."""
        return self.catalog.backbones()

    def backbone(self, fingerprint: str) -> BackboneRecord:
        """Return the backbone of a fingerprint.

        Raises:
            NotFoundError: if the bank does not know it.
        """
        for backbone in self.backbones():
            if backbone.fingerprint == fingerprint:
                return backbone
        raise NotFoundError(f"the bank has no backbone {fingerprint}: taskbank init records one")

    def examples(self, record: AdapterRecord, split: str) -> Examples:
        """Return the stored examples of an adapter's split.

        Raises:
            NotFoundError: if the adapter has no such split.
            DamagedError: if the bytes are gone or are not what was recorded.
        """
        found = _split(record, split)
        return Examples.from_bytes(self._read_blob(found.digest), found.origin)

    def reference(self, record: AdapterRecord, split: str) -> Any:
        """Return the reference predictions of an adapter on its split.

        They are those from when it was added, or those of a verification that were accepted.

        Returns:
            float32, an array of the shape that the task's kind says.

        Raises:
            NotFoundError: if the adapter has no such split.
            DamagedError: if the bytes are gone or are not what was recorded.
        """
        return self._predictions(_split(record, split).reference)

    # What changes

    def add_backbone(self, identity: BackboneIdentity) -> BackboneRecord:
        """Record a backbone, unless one of the same fingerprint is there."""
        with writing(self.engine) as connection:
            self.catalog.add_backbone(connection, identity)
        return self.backbone(identity.fingerprint)

    def put(
        self, new: NewAdapter, *, new_version: bool = False, trial: NewTrial | None = None
    ) -> AdapterRecord:
        """Store an adapter whole, or not at all.

        Args:
            new: the adapter with its weights, evidence and description.
            new_version: whether the task may be there already.
            trial: the training that gave it, recorded with it.

        Raises:
            ConflictError: if the task is there and no new version was asked for, or is of
                another kind.
        """
        blobs = [new.weights]
        for split in new.splits:
            blobs += [split.examples, split.logits]
        for data in blobs:
            self.blobs.stage(data)
        with writing(self.engine) as connection:
            record = self.catalog.add_adapter(connection, new, new_version=new_version)
            for data in blobs:
                self.blobs.put(data, connection)
            if trial is not None:
                self.catalog.add_trial(connection, trial)
        return record

    def put_trial(self, new: NewTrial) -> None:
        """Record one training of a task, with its weights if it has them."""
        if new.weights is not None:
            self.blobs.stage(new.weights)
        with writing(self.engine) as connection:
            self.catalog.add_trial(connection, new)
            if new.weights is not None:
                self.blobs.put(new.weights, connection)

    def start_run(self, level: str, tasks: Sequence[str], environment: Mapping[str, Json]) -> int:
        """Record that a verification begins to predict, and return the run's number."""
        with writing(self.engine) as connection:
            return self.verifications.add_run(connection, level, tasks, environment)

    def observe(
        self,
        run: int,
        record: AdapterRecord,
        circumstances: str,
        observed: Mapping[str, tuple[Any, float]],
    ) -> None:
        """Record what an adapter predicted in a run.

        Args:
            run: its number.
            record: the adapter.
            circumstances: digest of what the predictions depend on.
            observed: by split, the predictions and how far rounding alone may move them.
        """
        from safetensors.numpy import save

        blobs = {name: save({"logits": own}) for name, (own, _) in observed.items()}
        for data in blobs.values():
            self.blobs.stage(data)
        with writing(self.engine) as connection:
            for name, (_, noise) in observed.items():
                digest = self.blobs.put(blobs[name], connection)
                one = Observation(name, noise, digest)
                self.verifications.add_observation(connection, run, record.id, circumstances, one)

    def observed(self, observation: Observation) -> Any:
        """Return the predictions of an observation, as `reference` does.

        Raises:
            DamagedError: if the bytes are gone or are not what was recorded.
        """
        return self._predictions(observation.predictions)

    def accept(self, ref: str, verification: int, reason: str) -> AdapterRecord:
        """Make what a verification saw an adapter predict its reference; the old one is kept.

        Args:
            ref: the adapter.
            verification: its number.
            reason: why, for the history.

        Raises:
            NotFoundError: if there is no such adapter or verification, or it did not predict
                every split of the adapter.
            InputError: if no reason is given.
            ConflictError: if the adapter is retired, or predicted its reference.
            DamagedError: if what was predicted is gone.
        """
        record = self[ref]
        if not reason.strip():
            raise InputError("the reason is empty: say why the predictions may change")
        if record.retired:
            raise ConflictError(f"{record.ref} is retired: nothing of it is verified any more")
        found = self.verifications.observed_by(verification, record)
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

        for one in new:  # says now that it is gone
            if not isfinite(self.observed(one)).all():
                raise ConflictError(
                    f"verification {verification} saw {record.ref} predict what is no number: that "
                    "is nothing to compare with"
                )
        with writing(self.engine) as connection:
            self.verifications.accept(connection, record.id, new, verification, reason.strip())
        return self[record.ref]

    def set_tolerance(self, task: str, tolerance: float | None) -> None:
        """Let a drop of a task pass in every verification from now on.

        Args:
            task: its name.
            tolerance: as for `verify_all`; none leaves it to each verification again.

        Raises:
            NotFoundError: if there is no such task.
            InputError: if it is not from 0 to 1.
        """
        self._check_task(task)
        if tolerance is not None:
            check_tolerance(tolerance)
        with writing(self.engine) as connection:
            self.verifications.set_tolerance(connection, task, tolerance)

    def tolerances(self) -> dict[str, float]:
        """Return the tolerance of every task that has one of its own."""
        return self.verifications.tolerances()

    def alias(self, ref: str, alias: str) -> AdapterRecord:
        """Let an alias name an adapter from now on; its history is kept.

        Raises:
            NotFoundError: if there is no such adapter.
            InputError: if the alias is not a usable name.
            ConflictError: if the adapter is retired.
        """
        record = self[ref]
        with writing(self.engine) as connection:
            self.catalog.set_alias(connection, record.task, alias, record.version)
        return record

    def drop_alias(self, task: str, alias: str) -> None:
        """Let an alias name nothing from now on; its history is kept.

        Raises:
            NotFoundError: if the task has no such alias.
        """
        self.catalog.resolve(f"{task}@{alias}")
        with writing(self.engine) as connection:
            self.catalog.set_alias(connection, task, alias, None)

    def aliases(self, task: str) -> tuple[AliasRecord, ...]:
        """Return every step in the history of a task's aliases, oldest first.

        Raises:
            NotFoundError: if there is no such task.
        """
        self._check_task(task)
        return self.catalog.aliases(task)

    def remove(self, ref: str) -> AdapterRecord:
        """Retire an adapter: it is no longer listed or verified, and `gc` may destroy it.

        Raises:
            NotFoundError: if there is no such adapter.
            ConflictError: if it is retired already, or an alias names it.
        """
        record = self[ref]
        with writing(self.engine) as connection:
            self.catalog.retire(connection, record)
        return record

    def gc(self, *, confirm: bool = False) -> Garbage:
        """Destroy retired adapters and the blobs that nothing needs.

        Args:
            confirm: really do it; otherwise only say what would go.
        """
        retired = tuple(record.ref for record in self.adapters(retired=True) if record.retired)
        with writing(self.engine, alone=True) if confirm else reading(self.engine) as connection:
            if confirm:
                self.catalog.delete_retired(connection)
            needed = self.catalog.digests_in_use(connection, retired=False)
            garbage = [item for item in self.blobs.sizes() if item[0] not in needed]
            if confirm:
                self._delete(garbage, connection)
        return Garbage(retired, len(garbage), sum(size for _, size in garbage))

    def _delete(self, garbage: list[tuple[str, int]], connection: Connection) -> None:
        for digest, _ in garbage:
            self.blobs.delete(digest, connection)

    def _check_task(self, task: str) -> None:
        if self.catalog.kind_of(task) is None:
            raise NotFoundError(f"the bank has no task {task!r}: taskbank list shows what is there")

    def _predictions(self, digest: str) -> Any:
        from safetensors.numpy import load

        return load(self._read_blob(digest))["logits"]

    def _read_blob(self, digest: str) -> bytes:
        return self.blobs.get(digest)


def _split(record: AdapterRecord, name: str) -> SplitRecord:
    for split in record.splits:
        if split.name == name:
            return split
    raise NotFoundError(
        f"{record.ref} has no split {name!r}: it has {', '.join(s.name for s in record.splits)}"
    )
