"""The bank: a catalog and its blobs behind one door."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, and_

from taskbank.bank.blobs.url import blob_store
from taskbank.bank.catalog.acceptances import add_tolerance, read_tolerances
from taskbank.bank.catalog.adapters import (
    add_adapter,
    check_addable,
    count_adapters,
    kind_of,
    read_adapter,
    read_adapters,
    resolve,
)
from taskbank.bank.catalog.aliases import read_aliases, set_alias
from taskbank.bank.catalog.backbones import add_backbone, read_backbones
from taskbank.bank.catalog.bank_row import read_bank_row
from taskbank.bank.catalog.database import connect, reading, writing
from taskbank.bank.catalog.retirement import delete_retired, digests_in_use, retire
from taskbank.bank.catalog.revision import check_revision
from taskbank.bank.catalog.tables import AdapterRow, BackboneRow, TaskRow
from taskbank.bank.catalog.trials import add_trial, read_trials
from taskbank.bank.new_records import NewAdapter, NewTrial
from taskbank.bank.record_list import Records
from taskbank.bank.records import (
    AdapterRecord,
    AliasRecord,
    BackboneRecord,
    Garbage,
    SplitRecord,
    TrialRecord,
)
from taskbank.bank.url import shown
from taskbank.bank.verification_log import VerificationLog, load_predictions
from taskbank.checks import check_tolerance
from taskbank.data.examples import Examples
from taskbank.errors import NotFoundError
from taskbank.specs import BackboneIdentity

if TYPE_CHECKING:
    import numpy as np
    import torch

    from taskbank.bank.raw_rows import RawRows


class Bank:
    """An open bank; `open_bank` opens one.

    Args:
        url: the bank's URL.

    Attributes:
        url: the bank's URL.
        blobs_url: where its blobs are: `catalog`, a folder or an fsspec URL.
        verification_log: what verifications predicted, found and confirmed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = connect(url)
        try:
            check_revision(self._engine)
            with reading(self._engine) as connection:
                self.blobs_url = str(read_bank_row(connection)["blobs"])
            self._blobs = blob_store(self.blobs_url, self._engine)
        except BaseException:
            self._engine.dispose()  # nobody else could: there is no bank to close
            raise
        self.verification_log = VerificationLog(self._engine, self._blobs)

    def __repr__(self) -> str:
        return f"Bank({shown(self.url)!r})"

    def __enter__(self) -> Bank:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; the next call opens one again."""
        self._engine.dispose()

    # What is stored

    def __getitem__(self, ref: str) -> AdapterRecord:
        """Return one adapter, by `NAME` (the newest in use), `NAME@VERSION` or `NAME@ALIAS`.

        Raises:
            NotFoundError: if there is no such task, version or alias.
            DamagedError: if a row of the adapter is not what was recorded.
        """
        with reading(self._engine) as connection:
            return read_adapter(connection, ref)

    def __len__(self) -> int:
        """Return how many adapters are in use."""
        with reading(self._engine) as connection:
            return count_adapters(connection)

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
        condition = and_(*conditions) if conditions else None
        with reading(self._engine) as connection:
            return read_adapters(connection, condition, retired=retired, newest=newest)

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

        condition = compile_query(query, self._engine.dialect.name)
        with reading(self._engine) as connection:
            return read_adapters(connection, condition, retired=retired)

    def check_query(self, query: str) -> None:
        """Raise unless a query can be read; see `query`.

        Raises:
            InputError: if it does not parse or names an unknown field.
        """
        from taskbank.bank.catalog.query import compile_query

        compile_query(query, self._engine.dialect.name)

    def resolve(self, ref: str) -> tuple[str, int]:
        """Return the task name and version that a reference means.

        Raises:
            NotFoundError: if there is no such task, version or alias.
        """
        with reading(self._engine) as connection:
            return resolve(connection, ref)

    def trials(self, task: str | None = None) -> tuple[TrialRecord, ...]:
        """Return every training that was recorded, of one task or of all, oldest first.

        Raises:
            DamagedError: if a row is not what was recorded.
        """
        with reading(self._engine) as connection:
            return read_trials(connection, task)

    def backbones(self) -> tuple[BackboneRecord, ...]:
        """Return every backbone that the bank knows, oldest first."""
        with reading(self._engine) as connection:
            return read_backbones(connection)

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
        return Examples.from_bytes(self._blobs.get(found.digest), found.origin)

    def reference(self, record: AdapterRecord, split: str) -> np.ndarray:
        """Return the reference predictions of an adapter on its split.

        They are those from when it was added, or those of a verification that were accepted.

        Returns:
            float32, an array of the shape that the task's kind says.

        Raises:
            NotFoundError: if the adapter has no such split.
            DamagedError: if the bytes are gone or are not what was recorded.
        """
        return load_predictions(self._blobs, _split(record, split).reference)

    def blob(self, digest: str) -> bytes:
        """Return stored bytes by their digest, checked.

        Raises:
            DamagedError: if they are gone or are not the bytes that were recorded.
        """
        return self._blobs.get(digest)

    def weights(self, record: AdapterRecord | TrialRecord) -> bytes:
        """Return the stored safetensors bytes of an adapter or a trial, checked.

        Raises:
            NotFoundError: if the weights of the trial were not kept.
            DamagedError: if they are gone or are not the bytes that were recorded.
        """
        if record.digest is None:
            raise NotFoundError(
                f"the weights of this trial of {record.task!r} were not kept: train it again with "
                "--keep-trials"
            )
        return self._blobs.get(record.digest)

    def state_dict(self, record: AdapterRecord | TrialRecord) -> dict[str, torch.Tensor]:
        """Return the stored tensors of an adapter or a trial: adaptation and head, by name.

        Raises:
            NotFoundError: if the weights of the trial were not kept.
            DamagedError: if they are gone or are not the bytes that were recorded.
        """
        from safetensors.torch import load

        tensors: dict[str, torch.Tensor] = load(self.weights(record))
        return tensors

    @contextmanager
    def raw_rows(self, tasks: Collection[str] = ()) -> Iterator[RawRows]:
        """Open one consistent view of everything that is stored, readable or not.

        Args:
            tasks: only what belongs to these tasks; none at all means everything.
        """
        from taskbank.bank.raw_rows import RawRows

        with reading(self._engine) as connection:
            yield RawRows(connection, self._blobs.get, tasks)

    # What changes

    def check_addable(self, task: str, kind: str, *, new_version: bool) -> None:
        """Raise unless an adapter of a kind may be added under a task's name.

        Raises:
            ConflictError: if the task is there and no new version was asked for, or is of
                another kind.
        """
        with reading(self._engine) as connection:
            check_addable(task, kind, kind_of(connection, task), new_version=new_version)

    def add_backbone(self, identity: BackboneIdentity) -> BackboneRecord:
        """Record a backbone, unless one of the same fingerprint is there."""
        with writing(self._engine) as connection:
            add_backbone(connection, identity)
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
            self._blobs.stage(data)
        with writing(self._engine) as connection:
            record = add_adapter(connection, new, new_version=new_version)
            for data in blobs:
                self._blobs.put(data, connection)
            if trial is not None:
                add_trial(connection, trial)
        return record

    def put_trial(self, new: NewTrial) -> None:
        """Record one training of a task, with its weights if it has them."""
        if new.weights is not None:
            self._blobs.stage(new.weights)
        with writing(self._engine) as connection:
            add_trial(connection, new)
            if new.weights is not None:
                self._blobs.put(new.weights, connection)

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
        self.verification_log.accept(record, verification, reason)
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
        with writing(self._engine) as connection:
            add_tolerance(connection, task, tolerance)

    def tolerances(self) -> dict[str, float]:
        """Return the tolerance of every task that has one of its own."""
        with reading(self._engine) as connection:
            return read_tolerances(connection)

    def alias(self, ref: str, alias: str) -> AdapterRecord:
        """Let an alias name an adapter from now on; its history is kept.

        Raises:
            NotFoundError: if there is no such adapter.
            InputError: if the alias is not a usable name.
            ConflictError: if the adapter is retired.
        """
        record = self[ref]
        with writing(self._engine) as connection:
            set_alias(connection, record.task, alias, record.version)
        return record

    def drop_alias(self, task: str, alias: str) -> None:
        """Let an alias name nothing from now on; its history is kept.

        Raises:
            NotFoundError: if the task has no such alias.
        """
        self.resolve(f"{task}@{alias}")
        with writing(self._engine) as connection:
            set_alias(connection, task, alias, None)

    def aliases(self, task: str) -> tuple[AliasRecord, ...]:
        """Return every step in the history of a task's aliases, oldest first.

        Raises:
            NotFoundError: if there is no such task.
        """
        self._check_task(task)
        with reading(self._engine) as connection:
            return read_aliases(connection, task)

    def remove(self, ref: str) -> AdapterRecord:
        """Retire an adapter: it is no longer listed or verified, and `gc` may destroy it.

        Raises:
            NotFoundError: if there is no such adapter.
            ConflictError: if it is retired already, or an alias names it.
        """
        record = self[ref]
        with writing(self._engine) as connection:
            retire(connection, record)
        return record

    def gc(self, *, confirm: bool = False) -> Garbage:
        """Destroy retired adapters and the blobs that nothing needs.

        Args:
            confirm: really do it; otherwise only say what would go.
        """
        retired = tuple(record.ref for record in self.adapters(retired=True) if record.retired)
        with writing(self._engine, alone=True) if confirm else reading(self._engine) as connection:
            if confirm:
                delete_retired(connection)
            needed = digests_in_use(connection, retired=False)
            garbage = [item for item in self._blobs.sizes() if item[0] not in needed]
            if confirm:
                self._delete(garbage, connection)
        return Garbage(retired, len(garbage), sum(size for _, size in garbage))

    def _delete(self, garbage: list[tuple[str, int]], connection: Connection) -> None:
        for digest, _ in garbage:
            self._blobs.delete(digest, connection)

    def _check_task(self, task: str) -> None:
        with reading(self._engine) as connection:
            kind = kind_of(connection, task)
        if kind is None:
            raise NotFoundError(f"the bank has no task {task!r}: taskbank list shows what is there")


def _split(record: AdapterRecord, name: str) -> SplitRecord:
    for split in record.splits:
        if split.name == name:
            return split
    raise NotFoundError(
        f"{record.ref} has no split {name!r}: it has {', '.join(s.name for s in record.splits)}"
    )
