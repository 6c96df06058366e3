"""An object store for tests: the URL `bucket://NAME` names a place in memory."""

from __future__ import annotations

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class Bucket(MemoryFileSystem):  # type: ignore[misc]
    """Files in memory, under a protocol that taskbank takes for an object store's."""

    protocol = "bucket"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("bucket://", "memory://", 1)))


def register() -> None:
    """Let fsspec open URLs that begin with `bucket://`."""
    fsspec.register_implementation("bucket", Bucket, clobber=True)
