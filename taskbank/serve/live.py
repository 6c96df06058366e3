"""Follows a bank that other processes change: which version of a task a reference means now.

Looking up a version reads and checks a dozen rows. Here that is done once. From then on, the
number of the chain's newest entry tells whether anything was recorded, and only the tasks that
have changed are looked up again.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from threading import Lock

from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.data.fields import preview
from taskbank.errors import BankError, NotFoundError

KEPT_TASKS = 20_000
LONGEST = 201  # characters of a reference: a name, an @, and an alias
RETRY = 2.0  # seconds until a damaged task is looked up again


class LiveTasks:
    """The versions of a bank's tasks that a server answers with. It is thread-safe.

    Args:
        bank: an open bank.
        fingerprint: the backbone of the tasks; None means any backbone.
        patterns: names of tasks, or patterns such as `ticket-*`; empty means all.
        alias: the alias that a plain name stands for; None means the newest version in use.
    """

    def __init__(
        self,
        bank: Bank,
        *,
        fingerprint: str | None = None,
        patterns: Sequence[str] = (),
        alias: str | None = None,
    ) -> None:
        self.bank, self.fingerprint, self.alias = bank, fingerprint, alias
        self.patterns = tuple(patterns)
        self._kept: OrderedDict[str, dict[str, AdapterRecord]] = OrderedDict()  # by reference
        self._missing: dict[str, str] = {}  # why there is no such version
        self._failed: dict[str, tuple[float, BankError]] = {}
        self._lock = Lock()
        self._refreshing = Lock()
        self._changes = 0  # how often something that was kept was found changed
        self._entry = bank.head().entries

    def find(self, ref: str) -> AdapterRecord | None:
        """Return the version that a reference means, or None if the bank has to be read.

        Raises:
            NotFoundError: if it is known that there is none.
        """
        ref = _canonical(ref)
        with self._lock:
            missing = self._missing.get(ref)
            if missing is not None:
                raise NotFoundError(missing)
            return self._kept.get(_task_of(ref), {}).get(ref)

    def get(self, ref: str) -> AdapterRecord:
        """Return the version that a reference means, from the bank if it is not known yet.

        Args:
            ref: `NAME`, `NAME@VERSION` or `NAME@ALIAS`.

        Raises:
            NotFoundError: if the bank has no such version, or it is not served here.
            DamagedError: if a row of the version differs from what was recorded.
            UnreachableError: if the bank's database cannot be reached.
        """
        ref = _canonical(ref)
        name = _task_of(ref)
        while True:
            found = self.find(ref)
            if found is not None:
                return found
            changes = self._changes
            try:
                record = self._read(ref)
            except NotFoundError as error:
                with self._lock:
                    if changes == self._changes and len(self._missing) < KEPT_TASKS:
                        self._missing[ref] = str(error)
                raise
            with self._lock:
                if changes != self._changes:  # it may have been read just before a change
                    continue
                self._kept.setdefault(name, {})[ref] = record
                self._kept.move_to_end(name)
                while len(self._kept) > KEPT_TASKS:
                    self._kept.popitem(last=False)
            return record

    def has(self, ref: str) -> bool:
        """Return whether a reference means a version that is served now."""
        try:
            self.get(ref)
        except (NotFoundError, BankError):
            return False
        return True

    def serves(self, task: str) -> bool:
        """Return whether tasks of this name are served."""
        return not self.patterns or any(fnmatchcase(task, one) for one in self.patterns)

    def refresh(self) -> None:
        """Look up again what other processes have changed.

        Raises:
            DamagedError: if the bank's chain cannot be read.
            UnreachableError: if the bank's database cannot be reached.
        """
        with self._refreshing:
            self._refresh()

    def _refresh(self) -> None:
        entry, changed = self.bank.changed_tasks(self._entry)
        if entry == self._entry:
            return
        with self._lock:
            known = {
                name: tuple(records)
                for name, records in self._kept.items()
                if changed is None or name in changed
            }
            self._changes += 1
            self._failed.clear()
            self._missing.clear()
        # What is known keeps being used until what replaces it has been read.
        for name, ref in ((name, ref) for name, refs in known.items() for ref in refs):
            try:
                record = self._read(ref)
            except (NotFoundError, BankError):
                record = None
            with self._lock:
                if record is None:
                    self._kept.get(name, {}).pop(ref, None)
                else:
                    self._kept.setdefault(name, {})[ref] = record
        self._entry = entry

    def _read(self, ref: str) -> AdapterRecord:
        name, at, _ = ref.partition("@")
        if not self.serves(name):
            raise NotFoundError(
                f"task {name!r} is not served here: this server was started with --task "
                f"{' --task '.join(self.patterns)}"
            )
        failed_at, error = self._failed.get(ref, (0.0, None))
        if error is not None and time.monotonic() < failed_at + RETRY:
            raise error.with_traceback(None)
        try:
            record = self.bank[f"{ref}@{self.alias}" if self.alias and not at else ref]
        except BankError as found:
            self._failed[ref] = time.monotonic(), found
            if len(self._failed) > KEPT_TASKS:
                self._failed.clear()
            raise
        if self.fingerprint is not None and record.backbone != self.fingerprint:
            raise NotFoundError(
                f"{record.ref} is not served here: it belongs to the backbone {record.backbone}, "
                f"this server has loaded {self.fingerprint}"
            )
        # Its evidence is what is large in a record, and no prediction needs it.
        return replace(record, course={}, environment={}, metrics=(), splits=())


def _canonical(ref: str) -> str:
    """Return the only spelling by which a reference is kept: clients choose from many.

    Raises:
        NotFoundError: if nothing can have such a name.
    """
    if len(ref) > LONGEST:
        raise NotFoundError(f"the bank has no {preview(ref)}: names have at most 100 characters")
    name, at, which = ref.partition("@")
    return f"{name}@{int(which)}" if at and which.isdecimal() else ref


def _task_of(ref: str) -> str:
    return ref.partition("@")[0]
