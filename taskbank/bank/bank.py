"""The bank: the single interface to a catalog and its blobs."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, and_, select

from taskbank.bank.blobs.garbage import GRACE, SortedBlobs, sort_blobs
from taskbank.bank.blobs.owners import Owner
from taskbank.bank.blobs.url import blob_store
from taskbank.bank.catalog.acceptances import add_tolerance, read_tolerances
from taskbank.bank.catalog.adapters import (
    add_adapter,
    check_can_add,
    count_adapters,
    find_request,
    has_adapters,
    kind_of,
    read_adapter,
    read_adapters,
    read_oldest_tasks,
    read_task_names,
    resolve,
)
from taskbank.bank.catalog.aliases import read_aliases, read_current_aliases, set_alias
from taskbank.bank.catalog.backbones import add_backbone, read_backbones
from taskbank.bank.catalog.bank_row import read_bank_row
from taskbank.bank.catalog.chain import read_head
from taskbank.bank.catalog.chain_copies import copied_rows, read_copies
from taskbank.bank.catalog.changed_tasks import changed_tasks
from taskbank.bank.catalog.current_versions import Order, count_tasks, read_current
from taskbank.bank.catalog.database import (
    check_role,
    check_writable,
    close,
    connect,
    content_mark,
    home,
    read_transaction,
    settle,
    write_transaction,
)
from taskbank.bank.catalog.outdated_checks import delete_outdated
from taskbank.bank.catalog.retirement import (
    delete_retired,
    digests_needed,
    digests_recorded,
    retire,
)
from taskbank.bank.catalog.revision import check_revision
from taskbank.bank.catalog.scored_splits import add_scored_split, check_can_score
from taskbank.bank.catalog.tables import AdapterRow, BackboneRow, ByteCheckRow, TaskRow
from taskbank.bank.catalog.timeline import read_timeline
from taskbank.bank.catalog.trials import add_trial, read_trials
from taskbank.bank.new_records import NewAdapter, NewScoredSplit, NewTrial, check_split_name
from taskbank.bank.record_list import Records
from taskbank.bank.records import (
    AdapterRecord,
    AliasRecord,
    BackboneRecord,
    Copied,
    CopyRecord,
    Garbage,
    Head,
    SplitRecord,
    Timeline,
    TrialRecord,
)
from taskbank.bank.url import redacted_url
from taskbank.bank.verification_log import VerificationLog, load_predictions
from taskbank.checks import check_tolerance
from taskbank.data.examples import Examples
from taskbank.data.row_digests import RowDigests
from taskbank.errors import ConflictError, DamagedError, NotFoundError
from taskbank.specs import BackboneIdentity

if TYPE_CHECKING:
    import numpy as np
    import torch

    from taskbank.bank.byte_checks import ByteChecks
    from taskbank.bank.raw_rows import RawRows

GC_BATCH = 200  # blobs outside the catalog that gc deletes while it keeps writers waiting


class Bank:
    """An open bank; `open_bank` opens one.

    Args:
        url: the bank's file, or its URL.
        only_read: whether nothing may be written, as where a bank is copied from: a SQLite file
            then stays as it is, down to the byte.

    Attributes:
        url: the bank's file or URL as given, with any password.
        blobs_url: the location of its blobs: `catalog`, a folder or an fsspec URL.
        verification_log: the record of the bank's verifications.
    """

    def __init__(self, url: str | os.PathLike[str], *, only_read: bool = False) -> None:
        self.url = os.fspath(url)
        self._engine = connect(url, only_read=only_read)
        self._newest: tuple[object, int] | None = None  # entry of the chain, and its content mark
        try:
            check_revision(self._engine)
            with read_transaction(self._engine) as connection:
                row = read_bank_row(connection)
            self.blobs_url = str(row["blobs"])
            owner = Owner(str(row["uuid"]), self._home, self._has_adapters)
            self._blobs = blob_store(self.blobs_url, self._engine, owner)
            settle(self._engine)  # a killed process may have left records in the log
        except BaseException:
            close(self._engine)  # the caller gets no bank that it could close
            raise
        self.verification_log = VerificationLog(self._engine, self._blobs)

    def __repr__(self) -> str:
        return f"Bank({redacted_url(self.url)!r})"

    def __enter__(self) -> Bank:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; the next call opens a new one."""
        close(self._engine)

    # Reading

    def __getitem__(self, ref: str) -> AdapterRecord:
        """Return one adapter, by `NAME` (newest version in use), `NAME@VERSION` or `NAME@ALIAS`.

        Raises:
            NotFoundError: if the task, version or alias does not exist.
            DamagedError: if a row of the adapter differs from what was recorded.
        """
        with read_transaction(self._engine) as connection:
            return read_adapter(connection, ref)

    def tasks(self) -> tuple[str, ...]:
        """Return the names of the tasks that have an adapter in use, in order."""
        with read_transaction(self._engine) as connection:
            return read_task_names(connection)

    def oldest_tasks(self, *, start: int = 0, limit: int) -> tuple[str, ...]:
        """Return the names of tasks in the order in which they were first added.

        Args:
            start: number of tasks to skip.
            limit: return at most this many.
        """
        with read_transaction(self._engine) as connection:
            return read_oldest_tasks(connection, start, limit)

    def __len__(self) -> int:
        """Return the number of adapters in use."""
        with read_transaction(self._engine) as connection:
            return count_adapters(connection)

    def __iter__(self) -> Iterator[AdapterRecord]:
        """Yield every adapter in use, oldest first."""
        return iter(self.adapters())

    def adapters(
        self,
        *,
        task: str | None = None,
        tasks: Sequence[str] | None = None,
        kind: str | None = None,
        method: str | None = None,
        backbone: str | None = None,
        ids: Sequence[int] | None = None,
        retired: bool = False,
        newest: int | None = None,
    ) -> Records:
        """Return the adapters that match every given argument, oldest first.

        Args:
            task: the task's name.
            tasks: names of several tasks.
            kind: the task's kind, such as `single`.
            method: the adaptation method, such as `houlsby`.
            backbone: the backbone's fingerprint.
            ids: the ids of their rows.
            retired: whether to include retired adapters.
            newest: return only this many of the most recent adapters; None means all.
        """
        pairs = (
            (TaskRow.name, task),
            (TaskRow.kind, kind),
            (AdapterRow.method, method),
            (BackboneRow.fingerprint, backbone),
        )
        conditions = [column == value for column, value in pairs if value is not None]
        if tasks is not None:
            conditions.append(TaskRow.name.in_(tasks))
        if ids is not None:
            conditions.append(AdapterRow.id.in_(ids))
        condition = and_(*conditions) if conditions else None
        with read_transaction(self._engine) as connection:
            return read_adapters(connection, condition, retired=retired, newest=newest)

    def query(
        self, query: str, *, retired: bool = False, after: int = 0, limit: int | None = None
    ) -> Records:
        """Return the adapters that satisfy a query, oldest first.

        Args:
            query: a condition such as `metric.accuracy >= 0.9 and tag.team = "search"`;
                `taskbank.bank.catalog.query` describes the language.
            retired: whether to include retired adapters.
            after: return only adapters recorded after the one with this id, for the next page.
            limit: return at most this many adapters; None means all.

        Raises:
            InputError: if the query does not parse or names an unknown field.
        """
        from taskbank.bank.catalog.query import compile_query  # the parser is slow to import

        condition = compile_query(query, self._engine.dialect.name)
        return self._page(condition, retired, after, limit)

    def page(self, *, after: int = 0, limit: int) -> Records:
        """Return some of the adapters in use, oldest first.

        Args:
            after: return only adapters recorded after the one with this id.
            limit: return at most this many adapters.
        """
        return self._page(None, False, after, limit)

    def _page(
        self, condition: ColumnElement[bool] | None, retired: bool, after: int, limit: int | None
    ) -> Records:
        with read_transaction(self._engine) as connection:
            return read_adapters(connection, condition, retired=retired, after=after, limit=limit)

    def current(
        self,
        query: str = "",
        *,
        alias: str = "production",
        sort: str = "task",
        after: int | None = None,
        limit: int,
    ) -> Records:
        """Return the current version of each task: the one with an alias, or else the newest.

        Args:
            query: a condition that the current version must satisfy, as for `query`; empty means
                all tasks.
            alias: the alias whose version is current.
            sort: `task`, `score`, `size` or `added`, with a `-` before it for the largest first.
            after: the id of the last adapter of the page before; None means the first page.
            limit: return at most this many tasks.

        Raises:
            InputError: if the query does not parse, or tasks cannot be sorted by that.
            DamagedError: if a row of a returned adapter differs from what was recorded.
        """
        condition, order = None, Order.of(sort)
        if query.strip():
            from taskbank.bank.catalog.query import compile_query

            condition = compile_query(query, self._engine.dialect.name)
        with read_transaction(self._engine) as connection:
            return read_current(
                connection, condition, alias=alias, order=order, after=after, limit=limit
            )

    def count_tasks(self) -> int:
        """Return the number of tasks, including those whose every version is retired."""
        with read_transaction(self._engine) as connection:
            return count_tasks(connection)

    def check_query(self, query: str) -> None:
        """Raise if a query is invalid; see `query`.

        Raises:
            InputError: if the query does not parse or names an unknown field.
        """
        from taskbank.bank.catalog.query import compile_query

        compile_query(query, self._engine.dialect.name)

    def query_fields(self) -> dict[str, str]:
        """Return the fields of the query language that every adapter has: `text` or `number`."""
        from taskbank.bank.catalog.query import FIELDS, NUMBERS

        return {name: "number" if name in NUMBERS else "text" for name in FIELDS}

    def resolve(self, ref: str) -> tuple[str, int]:
        """Return the task name and version that a reference stands for.

        Raises:
            NotFoundError: if the task, version or alias does not exist.
        """
        with read_transaction(self._engine) as connection:
            return resolve(connection, ref)

    def timeline(
        self, *, task: str | None = None, before: str | None = None, limit: int
    ) -> Timeline:
        """Return what happened in the bank or to one of its tasks, newest first.

        Args:
            task: the task's name; None means the whole bank.
            before: where the page before ended, as its `next` says; None means the newest.
            limit: return at most this many entries.

        Raises:
            NotFoundError: if the task does not exist.
            InputError: if `before` is not such a text.
            DamagedError: if a row differs from what was recorded.
        """
        if task is not None:
            self._check_task(task)
        with read_transaction(self._engine) as connection:
            return read_timeline(connection, task=task, before=before, limit=limit)

    def trials(self, task: str | None = None) -> tuple[TrialRecord, ...]:
        """Return the recorded trials of one task, or of all tasks, oldest first.

        Raises:
            DamagedError: if a row differs from what was recorded.
        """
        with read_transaction(self._engine) as connection:
            return read_trials(connection, task)

    def head(self) -> Head:
        """Return the head of the bank's chain, which stands for everything recorded so far.

        Raises:
            DamagedError: if the chain is empty.
        """
        with read_transaction(self._engine) as connection:
            head = read_head(connection)
        if head is None:
            raise DamagedError("the bank's chain is empty: restore the bank from a copy")
        return head

    def changed_tasks(self, since: int) -> tuple[int, frozenset[str] | None]:
        """Return the number of the chain's newest entry, and the tasks changed after another entry.

        A task has changed if a version was added, retired or destroyed, or an alias was moved.

        Args:
            since: the number of the entry, as an earlier call returned it.

        Returns:
            the number, and the names of the tasks; None means that any task may have changed.

        Raises:
            DamagedError: if an entry cannot be read.
        """
        mark = content_mark(self._engine)
        if mark is not None and self._newest == (mark, since):
            return since, frozenset()
        with read_transaction(self._engine) as connection:
            newest, changed = changed_tasks(connection, since)
        self._newest = mark, newest
        return newest, changed

    def backbones(self) -> tuple[BackboneRecord, ...]:
        """Return every recorded backbone, oldest first."""
        with read_transaction(self._engine) as connection:
            return read_backbones(connection)

    def backbone(self, fingerprint: str) -> BackboneRecord:
        """Return the backbone with a given fingerprint.

        Raises:
            NotFoundError: if the bank has no such backbone.
        """
        for backbone in self.backbones():
            if backbone.fingerprint == fingerprint:
                return backbone
        raise NotFoundError(
            f"the bank has no backbone {fingerprint}: record one with taskbank init"
        )

    def examples(self, record: AdapterRecord, split: str) -> Examples:
        """Return the stored examples of one of an adapter's splits.

        Raises:
            NotFoundError: if the adapter has no such split.
            DamagedError: if the bytes are missing or differ from what was recorded.
        """
        stored = _find_split(record, split)
        return Examples.from_bytes(self._blobs.get(stored.digest), stored.origin)

    def reference(self, record: AdapterRecord, split: str) -> np.ndarray:
        """Return the reference predictions of an adapter on one of its splits.

        These are the predictions made when the adapter was added, or the ones accepted most
        recently from a verification.

        Returns:
            a float32 array; the task's kind defines its shape.

        Raises:
            NotFoundError: if the adapter has no such split.
            DamagedError: if the bytes are missing or differ from what was recorded.
        """
        return load_predictions(self._blobs, _find_split(record, split).reference)

    def row_digests(self, record: AdapterRecord) -> RowDigests:
        """Return the digests of the rows that an adapter was trained on.

        Raises:
            NotFoundError: if they were not recorded.
            DamagedError: if the bytes are missing or differ from what was recorded.
        """
        if record.row_digests is None:
            raise NotFoundError(
                f"the bank has no digests of the rows that {record.ref} was trained on, as an "
                "earlier taskbank recorded it or another library trained it: add a version with "
                "taskbank add-task --new-version, which records them"
            )
        return RowDigests.from_bytes(self._blobs.get(record.row_digests))

    def kept_rows(self, record: AdapterRecord) -> Examples:
        """Return the rows that an adapter was trained on.

        Raises:
            NotFoundError: if they were not kept.
            DamagedError: if the bytes are missing or differ from what was recorded.
        """
        if record.kept_rows is None:
            raise NotFoundError(
                f"the rows that {record.ref} was trained on were not kept: taskbank add-task "
                "--keep-rows keeps those of a new version"
            )
        return Examples.from_bytes(self._blobs.get(record.kept_rows), f"the rows of {record.ref}")

    def blob(self, digest: str) -> bytes:
        """Return the bytes with a given digest, after checking them against it.

        Raises:
            DamagedError: if the bytes are missing or do not match the digest.
        """
        return self._blobs.get(digest)

    def weights(self, record: AdapterRecord | TrialRecord) -> bytes:
        """Return the safetensors bytes of an adapter or a trial, checked against their digest.

        Raises:
            NotFoundError: if the trial's weights were not kept.
            DamagedError: if the bytes are missing or differ from what was recorded.
        """
        if record.digest is None:
            raise NotFoundError(
                f"the weights of this trial of {record.task!r} were not kept: train it again with "
                "taskbank add-task --keep-trials"
            )
        return self._blobs.get(record.digest)

    def state_dict(self, record: AdapterRecord | TrialRecord) -> dict[str, torch.Tensor]:
        """Return the stored tensors of an adapter or a trial, adaptation and head, by name.

        Raises:
            NotFoundError: if the trial's weights were not kept.
            DamagedError: if the bytes are missing or differ from what was recorded.
        """
        from safetensors.torch import load

        tensors: dict[str, torch.Tensor] = load(self.weights(record))
        return tensors

    @contextmanager
    def raw_rows(
        self, tasks: Collection[str] = (), *, expect: str | None = None
    ) -> Iterator[RawRows]:
        """Open one consistent view of all stored rows, including unreadable ones.

        Args:
            tasks: names of the tasks whose rows to include; empty means all rows.
            expect: a head that the chain must contain, if all rows are included.
        """
        from taskbank.bank.raw_rows import RawRows

        with read_transaction(self._engine) as connection:
            yield RawRows(connection, self._blobs.get, tasks, expect)

    def copies(self) -> tuple[CopyRecord, ...]:
        """Return what was copied into this bank from others, as the chain has it, oldest first."""
        with read_transaction(self._engine) as connection:
            return read_copies(connection)

    def check_copy_of(self, other: Bank) -> None:
        """Raise unless every version of this bank was copied from another one.

        Raises:
            ConflictError: if a version was not.
        """
        with read_transaction(other._engine) as connection:
            origin = str(read_bank_row(connection)["uuid"])
        with read_transaction(self._engine) as connection:
            copied = copied_rows(connection, AdapterRow.__tablename__, origin)
            recorded = set(connection.execute(select(AdapterRow.id)).scalars())
        if recorded - copied:
            raise ConflictError(
                f"the bank {redacted_url(self.url)} has versions that are not from "
                f"{redacted_url(other.url)}: restore into an empty bank, or copy into this one "
                "with taskbank copy"
            )

    def copy_to(
        self,
        other: Bank,
        *,
        task: str | None = None,
        since: str | None = None,
        rename: Mapping[str, str] = {},
        progress: bool = False,
    ) -> Copied:
        """Copy versions with their evidence and history into another bank; nothing changes here.

        Nothing that the other bank has is changed, and nothing is recorded twice. A copy that was
        interrupted is completed by the next one.

        Args:
            other: the bank to copy into.
            task: the tasks to copy, with `*`, `?` and `[…]` for many; None means everything in the
                bank.
            since: leave out versions and trials that were recorded before this time, ISO 8601 in
                UTC.
            rename: new names of tasks in the other bank, by name.
            progress: whether to show a progress bar if the error stream is a terminal.

        Returns:
            what was copied, what was there, and what is damaged here and so was left out.

        Raises:
            ConflictError: before anything is written, naming every task that is another one there.
            InputError: if no task matches, a name or the time is invalid, or both are one bank.
            DamagedError: if a row differs from what was recorded.
            NotWritableError: if the other bank is read-only.
        """
        from taskbank.bank.copy import Side, copy_rows

        return copy_rows(
            Side(self._engine, self._blobs),
            Side(other._engine, other._blobs),
            task=task,
            since=since,
            rename=rename,
            progress=progress,
        )

    @contextmanager
    def byte_checks(self, rows: RawRows, *, rely: bool, record: bool) -> Iterator[ByteChecks]:
        """Give what earlier checks of bytes found, and record the new ones until the end.

        Args:
            rows: the raw rows; of some tasks only, nothing is known and nothing recorded.
            rely: whether bytes that were checked need not be read while their store lists them as
                it did then.
            record: whether to record new checks.
        """
        from taskbank.bank.blobs.listing import Listing
        from taskbank.bank.byte_checks import ByteChecks

        listing = Listing(self._blobs.validators() if rows.walk else ())
        damaged = rows.damages[ByteCheckRow.__tablename__]
        checks = ByteChecks(self._engine, rows.connection, listing, damaged, rely, record)
        try:
            yield checks
        finally:
            checks.flush()

    # Writing

    def check_can_add(self, task: str, kind: str, *, new_version: bool) -> None:
        """Raise unless an adapter of a given kind can be added under a task's name.

        Raises:
            NotWritableError: if the bank is read-only.
            ConflictError: if the task exists and `new_version` is false, or if the task is of
                another kind.
            UnreachableError: if the blob store is not there.
        """
        check_writable(self._engine)
        self._blobs.claim()
        with read_transaction(self._engine) as connection:
            check_role(connection)
            check_can_add(task, kind, kind_of(connection, task), new_version=new_version)

    def add_backbone(self, identity: BackboneIdentity) -> BackboneRecord:
        """Record a backbone unless one with the same fingerprint exists.

        The settings of its tokenizer are recorded if the bank does not know them yet.

        Raises:
            BackboneMismatchError: if the recorded settings of its tokenizer differ.
        """
        with write_transaction(self._engine) as connection:
            add_backbone(connection, identity)
        return self.backbone(identity.fingerprint)

    def put(
        self,
        new: NewAdapter,
        *,
        new_version: bool = False,
        once: bool = False,
        trial: NewTrial | None = None,
        after: int | None = None,
        updates: int | None = None,
    ) -> AdapterRecord:
        """Store an adapter completely, or not at all.

        Args:
            new: the adapter with its weights, evidence and description.
            new_version: whether to add a version to an existing task.
            once: whether to return the adapter that an equal request has stored already, if there
                is one, and to store nothing.
            trial: the training that produced the adapter, recorded in the same transaction.
            after: the version that must still be the newest of the task, retired ones included;
                None means any.
            updates: the version that the adapter updates, which must still be in use; None if it
                updates none.

        Raises:
            ConflictError: if the task exists and `new_version` is false, if the task is of
                another kind, if it has a newer version than `after`, or if `updates` is retired.
        """
        if self._blobs.outside:
            # Refused before anything is staged, so that nothing stays in the store.
            with read_transaction(self._engine) as connection:
                same = find_request(connection, new) if once else None
            if same is not None:
                return same
            self.check_can_add(new.task, new.kind, new_version=new_version)
        blobs = {new.weights: None}  # each once, in order
        for split in new.all_splits:
            blobs |= dict.fromkeys((split.examples, split.logits))
        blobs |= {data: None for data in (new.row_digests, new.kept_rows) if data is not None}
        for data in blobs:
            self._blobs.stage(data)
        with write_transaction(self._engine) as connection:
            record, added = add_adapter(
                connection,
                new,
                new_version=new_version,
                once=once,
                after=after,
                updates=updates,
            )
            if not added:
                return record
            for data in blobs:
                self._blobs.put(data, connection)
            if trial is not None:
                add_trial(connection, trial)
        return record

    def put_split(self, ref: str, new: NewScoredSplit) -> AdapterRecord:
        """Record a further split of an adapter completely, or not at all.

        Args:
            ref: the adapter.
            new: the split, with the adapter's predictions and metrics on it.

        Raises:
            NotFoundError: if the adapter does not exist.
            ConflictError: if the adapter is retired or has a split of that name.
        """
        record = self[ref]
        self.check_can_score(record, new.split.name)
        blobs = (new.split.examples, new.split.logits)
        for data in blobs:
            self._blobs.stage(data)
        with write_transaction(self._engine) as connection:
            check_can_score(connection, record, new.split.name)
            add_scored_split(connection, record.id, new)
            for data in blobs:
                self._blobs.put(data, connection)
        return self[record.ref]

    def check_can_score(self, record: AdapterRecord, split: str) -> None:
        """Raise unless a further split of a given name can be recorded for an adapter.

        Raises:
            InputError: if the name is not valid for a further split.
            NotWritableError: if the bank is read-only.
            ConflictError: if the adapter is retired or has a split of that name.
        """
        check_split_name(split)
        check_writable(self._engine)
        with read_transaction(self._engine) as connection:
            check_role(connection)
            check_can_score(connection, record, split)

    def put_trial(self, new: NewTrial) -> None:
        """Record one training of a task, with its weights if they were kept."""
        if new.weights is not None:
            self._blobs.stage(new.weights)
        with write_transaction(self._engine) as connection:
            add_trial(connection, new)
            if new.weights is not None:
                self._blobs.put(new.weights, connection)

    def accept(self, ref: str, verification: int, reason: str) -> AdapterRecord:
        """Make the predictions of a verification an adapter's reference; the old ones are kept.

        Args:
            ref: the adapter.
            verification: the verification's number.
            reason: why the predictions may change, for the history.

        Raises:
            NotFoundError: if the adapter or the verification does not exist, or if the
                verification did not predict every split of the adapter.
            InputError: if the reason is empty.
            ConflictError: if the adapter is retired, if its predictions equal the reference, or
                if they contain NaN or infinity.
            DamagedError: if the predictions are missing or differ from what was recorded.
        """
        record = self[ref]
        self.verification_log.accept(record, verification, reason)
        return self[record.ref]

    def set_tolerance(self, task: str, tolerance: float | None) -> None:
        """Set the tolerance of a task for all later verifications.

        Args:
            task: the task's name.
            tolerance: as for `verify_all`; None restores the tolerance of each verification.

        Raises:
            NotFoundError: if the task does not exist.
            InputError: if the tolerance is not from 0 to 1.
        """
        self._check_task(task)
        if tolerance is not None:
            check_tolerance(tolerance)
        with write_transaction(self._engine) as connection:
            add_tolerance(connection, task, tolerance)

    def tolerances(self) -> dict[str, float]:
        """Return the tolerances that were set for tasks, by task."""
        with read_transaction(self._engine) as connection:
            return read_tolerances(connection)

    def alias(self, ref: str, alias: str) -> AdapterRecord:
        """Point an alias at an adapter; the alias's history is kept.

        Raises:
            NotFoundError: if the adapter does not exist.
            InputError: if the alias is not a valid name.
            ConflictError: if the adapter is retired.
        """
        record = self[ref]
        with write_transaction(self._engine) as connection:
            set_alias(connection, record.task, alias, record.version)
        return record

    def drop_alias(self, task: str, alias: str) -> None:
        """Drop an alias; its history is kept.

        Raises:
            NotFoundError: if the task has no such alias.
        """
        self.resolve(f"{task}@{alias}")
        with write_transaction(self._engine) as connection:
            set_alias(connection, task, alias, None)

    def aliases(self, task: str) -> tuple[AliasRecord, ...]:
        """Return the history of a task's aliases, oldest change first.

        Raises:
            NotFoundError: if the task does not exist.
        """
        self._check_task(task)
        with read_transaction(self._engine) as connection:
            return read_aliases(connection, task)

    def current_aliases(self, tasks: Sequence[str]) -> dict[str, dict[str, int]]:
        """Return the versions that the aliases of some tasks point at, by task and alias.

        Raises:
            DamagedError: if a row differs from what was recorded.
        """
        with read_transaction(self._engine) as connection:
            return read_current_aliases(connection, tasks)

    def remove(self, ref: str) -> AdapterRecord:
        """Retire an adapter: it is no longer listed or verified, and `gc` may destroy it.

        Raises:
            NotFoundError: if the adapter does not exist.
            ConflictError: if the adapter is already retired, or an alias points at it.
        """
        record = self[ref]
        with write_transaction(self._engine) as connection:
            retire(connection, record)
        return record

    def gc(
        self, *, confirm: bool = False, strays: bool = False, older_than: float = GRACE
    ) -> Garbage:
        """Destroy retired adapters, the blobs that only they needed, and unfinished files.

        Blobs that no row names may be those of another bank, or of a newer copy of this one.

        Args:
            confirm: whether to destroy them; if false, only report what would be destroyed.
            strays: whether to destroy the blobs that no row of the bank names, too.
            older_than: the age in hours that strays and unfinished files must have to be destroyed.

        Raises:
            ConflictError: if the blob store is not this bank's alone.
        """
        retired = tuple(record.ref for record in self.adapters(retired=True) if record.retired)
        if confirm:
            self._blobs.check_sole_owner()
            self._blobs.claim()
        with (
            write_transaction(self._engine, exclusive=True)
            if confirm
            else read_transaction(self._engine) as connection
        ):
            recorded = digests_recorded(connection)
            if confirm:
                delete_retired(connection)
                delete_outdated(connection)
            needed = digests_needed(connection)
            if not self._blobs.outside:
                found = sort_blobs(self._blobs, recorded, needed, grace=older_than)
                if confirm:
                    self._destroy(found.doomed(strays=strays), connection)
        if self._blobs.outside:
            # The rows are gone by now: a failure here leaves blobs without rows, never the reverse.
            found = sort_blobs(self._blobs, recorded, needed, grace=older_than)
            if confirm:
                self._destroy_outside(found, strays=strays)
        return Garbage(
            retired,
            len(found.unneeded),
            sum(found.unneeded.values()),
            found.strays,
            found.unfinished,
            found.foreign,
            found.recent,
        )

    def _destroy(self, digests: Sequence[str], connection: Connection) -> None:
        for digest in digests:
            self._blobs.delete(digest, connection)

    def _destroy_outside(self, found: SortedBlobs, *, strays: bool) -> None:
        doomed = found.doomed(strays=strays)
        for start in range(0, len(doomed), GC_BATCH):  # so that no writer has to wait for long
            with write_transaction(self._engine, exclusive=True) as connection:
                needed = digests_needed(connection)  # perhaps by what was added in the meantime
                batch = doomed[start : start + GC_BATCH]
                self._destroy([digest for digest in batch if digest not in needed], connection)
        for name in found.old_unfinished:
            self._blobs.discard(name)

    def _home(self) -> str:
        with read_transaction(self._engine) as connection:
            return home(connection)

    def _has_adapters(self) -> bool:
        with read_transaction(self._engine) as connection:
            return has_adapters(connection)

    def _check_task(self, task: str) -> None:
        with read_transaction(self._engine) as connection:
            kind = kind_of(connection, task)
        if kind is None:
            raise NotFoundError(
                f"the bank has no task {task!r}: run taskbank list to see its tasks"
            )


def _find_split(record: AdapterRecord, name: str) -> SplitRecord:
    for split in record.splits:
        if split.name == name:
            return split
    raise NotFoundError(
        f"{record.ref} has no split {name!r}: it has {', '.join(s.name for s in record.splits)}"
    )
