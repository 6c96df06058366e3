"""Maps a bank's `blobs` column, or the option `--blobs`, to a blob store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Engine

from taskbank.bank.blobs.folder import FolderBlobs
from taskbank.bank.blobs.remote import RemoteBlobs
from taskbank.bank.blobs.sql import CatalogBlobs
from taskbank.bank.blobs.store import BlobStore
from taskbank.errors import InputError

IN_CATALOG = "catalog"


def canonical_blobs_url(url: str) -> str:
    """Return the form of a blob store's URL that a bank records.

    Args:
        url: `catalog`, a folder, or an fsspec URL such as `s3://bucket/folder`.

    Raises:
        InputError: if the URL contains a user name or a password: the catalog stores no secrets.
    """
    parts = urlsplit(url)
    if url == IN_CATALOG:
        return url
    if not url.strip():
        raise InputError(
            "the blobs URL is empty: give a folder or a URL such as s3://bucket/folder"
        )
    if parts.username or parts.password:
        raise InputError(
            "the blobs URL contains a user name or a password, but the catalog stores no secrets: "
            "set them in the environment, as the store's fsspec driver documents"
        )
    if parts.scheme in ("", "file"):
        from urllib.request import url2pathname  # slow to import

        path = url2pathname(parts.path) if parts.scheme else url
        return str(Path(path).expanduser().resolve())
    return url.rstrip("/")


def blob_store(url: str, engine: Engine) -> BlobStore:
    """Return the store that a bank's `blobs` column names."""
    if url == IN_CATALOG:
        return CatalogBlobs(engine)
    if urlsplit(url).scheme:
        return RemoteBlobs(url)
    return FolderBlobs(Path(url))
