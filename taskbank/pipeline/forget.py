"""Finds the versions that were trained on some rows, and what was made of these versions.

A row is found by a digest, so that nothing but the request has its text. Nothing is changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.data.examples import Examples
from taskbank.data.row_digests import RowDigest, digests_of, shown
from taskbank.data.sources import read_inputs
from taskbank.data.style import Style
from taskbank.digests import DIGEST, Json
from taskbank.errors import InputError

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind


@dataclass(frozen=True)
class RowUse:
    """What a version has of the rows that are looked for.

    Attributes:
        ref: the version, such as `sst2@3`.
        retired: whether it is retired.
        trained_on: the digests of the rows that it was trained on.
        splits: number of the rows in each of its stored splits that has any, by split.
        derived_from: the versions that were trained on a row and that it was made from, at any
            number of steps.
    """

    ref: str
    retired: bool
    trained_on: tuple[str, ...]
    splits: Mapping[str, int]
    derived_from: tuple[str, ...]


@dataclass(frozen=True)
class RowUses:
    """What a bank has of some rows.

    Attributes:
        rows: number of rows that were looked for.
        versions: the versions that have any of them, oldest first.
        unknown: the versions without digests of their training rows.
    """

    rows: int
    versions: tuple[RowUse, ...]
    unknown: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        """Return what `taskbank forget --json` prints."""
        return vars(self) | {"versions": [vars(one) for one in self.versions]}


def parse_digests(texts: Sequence[str]) -> set[bytes]:
    """Return the digests that some texts are.

    Raises:
        InputError: if a text is no digest.
    """
    for text in texts:
        if not DIGEST.fullmatch(text):
            raise InputError(f"{text!r} is no digest: write sha256: and 64 hex digits")
    return {bytes.fromhex(text.partition(":")[2]) for text in texts}


def read_row_digests(
    source: Any,
    kind_name: str,
    *,
    text: str | None = None,
    text_pair: str | None = None,
    style: Style | None = None,
) -> set[bytes]:
    """Return the digests of the inputs of a data file, whatever their labels.

    Args:
        source: the data, in any form that `TaskSpec.train` takes.
        kind_name: the kind of the tasks whose rows they are.
        text: column of the first text of an input.
        text_pair: column of the second text of an input.
        style: what is said about how files are written.

    Raises:
        InputError: if the kind is unknown, or the data cannot be read.
    """
    kind: Kind = plugins.load("kinds", kind_name)
    fields = kind.inputs[0] if text_pair is None else max(kind.inputs, key=len)
    inputs = read_inputs(source, fields, text=text, text_pair=text_pair, style=style)
    names = [field.name for field in fields]
    columns = dict(zip(names, zip(*inputs, strict=True), strict=True))
    return {digest.inputs for digest in digests_of(Examples(columns, "rows"), kind.label.name)}


def find_rows(bank: Bank, wanted: Collection[bytes]) -> RowUses:
    """Return the versions that were trained on rows, hold them in a split, or derive from such.

    Args:
        bank: an open bank.
        wanted: digests of rows, or of their inputs.

    Raises:
        DamagedError: if stored rows or bytes differ from what was recorded.
    """
    records = list(bank.adapters(retired=True))
    search = _Search(bank, frozenset(wanted))
    trained = {record.ref: search.trained_on(record) for record in records}
    sources = _ancestors(records, {ref for ref, found in trained.items() if found})
    uses = (
        RowUse(
            record.ref,
            record.retired,
            trained[record.ref],
            search.splits(record),
            tuple(sorted(sources[record.ref])),
        )
        for record in records
    )
    return RowUses(
        len(search.wanted),
        tuple(use for use in uses if use.trained_on or use.splits or use.derived_from),
        tuple(record.ref for record in records if record.row_digests is None),
    )


class _Search:
    """Looks for rows; many versions share their rows and splits, and each is read once."""

    def __init__(self, bank: Bank, wanted: frozenset[bytes]) -> None:
        self.wanted = wanted
        self._bank = bank
        self._found: dict[str, tuple[str, ...]] = {}

    def trained_on(self, record: AdapterRecord) -> tuple[str, ...]:
        if record.row_digests is None:
            return ()
        if record.row_digests not in self._found:
            rows = self._bank.row_digests(record).rows
            self._found[record.row_digests] = self._matches(rows)
        return self._found[record.row_digests]

    def splits(self, record: AdapterRecord) -> dict[str, int]:
        label = plugins.load("kinds", record.kind).label.name
        for split in record.splits:
            if split.digest not in self._found:
                rows = digests_of(self._bank.examples(record, split.name), label)
                self._found[split.digest] = self._matches(rows)
        counts = {split.name: len(self._found[split.digest]) for split in record.splits}
        return {name: count for name, count in counts.items() if count}

    def _matches(self, rows: Sequence[RowDigest]) -> tuple[str, ...]:
        return tuple(shown(row.row) for row in rows if not self.wanted.isdisjoint(row))


def _ancestors(records: Sequence[AdapterRecord], of: Collection[str]) -> Mapping[str, set[str]]:
    """Return, by version, those of some versions that it was made from, at any number of steps."""
    there = {(record.ref, record.digest) for record in records}
    children = defaultdict(list)
    for record in records:
        for ref, digest in _parents(record):
            # Versions may have equal bytes; the recorded name says which is the parent. If no
            # version has both that name and these bytes, each with the bytes may be the parent.
            named = (ref, digest) in there
            children[ref if named else None, digest].append(record)
    found: dict[str, set[str]] = defaultdict(set)
    for source in (record for record in records if record.ref in of):
        waiting = [source]
        while waiting:
            one = waiting.pop()
            for child in (*children[one.ref, one.digest], *children[None, one.digest]):
                if source.ref not in found[child.ref] and child.ref != source.ref:
                    found[child.ref].add(source.ref)
                    waiting.append(child)
    return found


def _parents(record: AdapterRecord) -> Iterator[tuple[Json, str]]:
    """Yield the name and the digest of each version that a version was made from."""
    parents = record.course.get("parents")
    for parent in parents if isinstance(parents, list) else ():
        if isinstance(parent, dict) and isinstance(parent.get("digest"), str):
            yield parent.get("ref"), parent["digest"]
