"""Blobs as files in a folder, each written to a temporary file and then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile

from sqlalchemy import Connection

from taskbank.bank.blobs.store import check_blob, file_name
from taskbank.digests import digest_bytes
from taskbank.errors import BankError
from taskbank.redaction import redacted

UNFINISHED = ".unfinished-"


class FolderBlobs:
    """The blob store in a local folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = redacted(str(folder))  # earlier versions took some URLs for folders

    def stage(self, data: bytes) -> None:
        """Write the file unless it exists."""
        path = self.folder / file_name(digest_bytes(data))
        if path.exists():
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=path.parent, prefix=UNFINISHED, delete=False) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(path)
        except OSError as error:
            raise BankError(
                f"blob {path.name} could not be written to {self.name}: {error.strerror}"
            ) from error

    def put(self, data: bytes, connection: Connection) -> str:
        """Write the file again if gc has deleted it since `stage`; return the digest."""
        self.stage(data)
        return digest_bytes(data)

    def get(self, digest: str) -> bytes:
        """Return the bytes with a given digest, after checking them against it."""
        path = self.folder / file_name(digest)
        data = path.read_bytes() if path.is_file() else None
        return check_blob(digest, data, self.name)

    def delete(self, digest: str, connection: Connection) -> None:
        """Delete a blob's file."""
        (self.folder / file_name(digest)).unlink(missing_ok=True)

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield the digest and the size in bytes of every blob."""
        for path in sorted(self.folder.glob("??/*")):
            if not path.name.startswith(UNFINISHED):
                yield f"sha256:{path.name}", path.stat().st_size
