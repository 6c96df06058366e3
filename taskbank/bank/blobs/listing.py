"""What an object store says of the files of blobs, in 48 bytes a blob."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable

from taskbank.digests import PREFIX

DIGEST_SIZE, VALIDATOR_SIZE = 32, 16  # bytes
SIZE = DIGEST_SIZE + VALIDATOR_SIZE


class Listing:
    """The validators of blobs, by digest.

    A validator (RFC 9110, section 8.8) is what a server says of a file that is another text after
    the file was written again: an ETag, with the size and the time of the last write.

    Args:
        validators: pairs of a blob's digest and its validator, in the order of the digests. What is
            out of order is left out, as if the store had not listed it.
    """

    def __init__(self, validators: Iterable[tuple[str, str]]) -> None:
        self._entries = bytearray()
        newest = b""
        for digest, validator in validators:
            own = _to_bytes(digest)
            if own > newest:
                self._entries += own
                self._entries += hashlib.sha256(validator.encode()).digest()[:VALIDATOR_SIZE]
                newest = own

    def __len__(self) -> int:
        return len(self._entries) // SIZE

    def get(self, digest: str) -> str | None:
        """Return what stands for a blob's validator; None if the store did not list it."""
        own = _to_bytes(digest)
        position = bisect_left(range(len(self)), own, key=self._digest_at)
        if position == len(self) or self._digest_at(position) != own:
            return None
        start = position * SIZE
        return self._entries[start + DIGEST_SIZE : start + SIZE].hex()

    def _digest_at(self, position: int) -> bytes:
        start = position * SIZE
        return bytes(self._entries[start : start + DIGEST_SIZE])


def _to_bytes(digest: str) -> bytes:
    return bytes.fromhex(digest.removeprefix(PREFIX))
