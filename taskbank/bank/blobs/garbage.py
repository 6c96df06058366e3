"""Sorts what is in a blob store into what is needed, what may be destroyed, and what is unknown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from taskbank.bank.blobs.store import BlobStore

GRACE = 24.0  # hours: whatever is younger may belong to a write that is under way


@dataclass(frozen=True)
class SortedBlobs:
    """What a store holds besides the needed blobs.

    Attributes:
        unneeded: sizes of the blobs that only retired adapters needed, by digest.
        strays: digests of the blobs that no row names.
        old_strays: those of them that are older than the grace time.
        unfinished: names of the files that interrupted writes left.
        old_unfinished: those of them that are older than the grace time.
        foreign: names of all other files.
    """

    unneeded: Mapping[str, int]
    strays: tuple[str, ...]
    old_strays: tuple[str, ...]
    unfinished: tuple[str, ...]
    old_unfinished: tuple[str, ...]
    foreign: tuple[str, ...]

    def doomed(self, *, strays: bool) -> tuple[str, ...]:
        """Return the digests of the blobs to destroy, with or without old strays."""
        return (*self.unneeded, *(self.old_strays if strays else ()))

    @property
    def recent(self) -> int:
        """Number of strays and unfinished files that are younger than the grace time."""
        old = len(self.old_strays) + len(self.old_unfinished)
        return len(self.strays) + len(self.unfinished) - old


def sort_blobs(
    store: BlobStore, recorded: Collection[str], needed: Collection[str], *, grace: float
) -> SortedBlobs:
    """Return what a store holds besides the needed blobs.

    Args:
        store: the blob store.
        recorded: digests of the blobs that rows of the bank name.
        needed: digests of the blobs that adapters in use and trials need.
        grace: the grace time, in hours.
    """
    oldest = grace * 3600
    sizes = sorted(store.sizes())
    strays = tuple(digest for digest, _ in sizes if digest not in recorded)
    leftovers = tuple(store.leftovers())
    unfinished = [leftover for leftover in leftovers if leftover.unfinished]
    return SortedBlobs(
        unneeded={d: size for d, size in sizes if d in recorded and d not in needed},
        strays=strays,
        old_strays=tuple(digest for digest in strays if store.age(digest) > oldest),
        unfinished=tuple(leftover.name for leftover in unfinished),
        old_unfinished=tuple(one.name for one in unfinished if one.age > oldest),
        foreign=tuple(leftover.name for leftover in leftovers if not leftover.unfinished),
    )
