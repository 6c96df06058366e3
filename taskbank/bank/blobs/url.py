"""Maps a bank's `blobs` column, or the option `--blobs`, to a blob store."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import Engine

from taskbank.bank.blobs.files import FileBlobs, Files
from taskbank.bank.blobs.folder import Folder
from taskbank.bank.blobs.owners import Owner, check_unused
from taskbank.bank.blobs.remote import Remote
from taskbank.bank.blobs.sql import CatalogBlobs
from taskbank.bank.blobs.store import BlobStore
from taskbank.bank.url import is_plainly_path
from taskbank.errors import ConflictError, InputError
from taskbank.redaction import redacted

IN_CATALOG = "catalog"
VANISHING = ("memory", "data")  # fsspec's names of what no other process can read
_FILE_URL = re.compile("(file|local):", re.IGNORECASE)
_NO_SECRETS = (
    "the catalog stores no secrets: set them in the environment or in the store's own "
    "configuration, as its fsspec driver documents"
)


def canonical_blobs_url(url: str) -> str:
    """Return the form of a blob store's URL that a bank records.

    Args:
        url: `catalog`, a folder, or an fsspec URL such as `s3://bucket/folder`.

    Raises:
        InputError: if the URL contains credentials or options, since the catalog stores no
            secrets, if it is a chain of file systems, or if it names memory, which vanishes with
            the process.
    """
    if url == IN_CATALOG:
        return url
    if not url.strip():
        raise InputError(
            "the blobs URL is empty: give a folder or a URL such as s3://bucket/folder"
        )
    if _FILE_URL.match(url):
        url = _path_of(url)
    elif not _is_folder(url):
        _check_remote(url)
        return url.rstrip("/")
    elif not is_plainly_path(url):
        raise InputError(
            "the blobs URL is invalid, and looks as if it contained a password: give a folder or "
            "a URL such as s3://bucket/folder; ./FOLDER is always a folder"
        )
    return str(Path(url).expanduser().resolve())


def blob_store(url: str, engine: Engine, owner: Owner | None = None) -> BlobStore:
    """Return the store that a bank's `blobs` column names.

    Args:
        url: the value of the column.
        engine: the bank's engine.
        owner: the bank; None for a store that is only looked at.
    """
    if url == IN_CATALOG:
        return CatalogBlobs(engine)
    return FileBlobs(_files(url), owner)


def check_new_store(url: str) -> None:
    """Raise unless a new bank can keep its blobs in a store.

    Raises:
        InputError: if the store cannot be opened.
        ConflictError: if the store belongs to another bank, or already holds blobs.
    """
    if url == IN_CATALOG:
        return
    files = _files(url)
    check_unused(files)
    if next(FileBlobs(files).sizes(), None) is not None:
        raise ConflictError(
            f"{files.place} already holds blobs of a bank, and a store belongs to one bank: name "
            "an empty place with --blobs"
        )


def claim_new_store(url: str, engine: Engine, owner: Owner) -> None:
    """Write into a store that a new bank keeps its blobs there.

    Raises:
        ConflictError: if another new bank did so at the same time.
    """
    store = blob_store(url, engine, owner)
    store.claim()
    if isinstance(store, FileBlobs):
        try:
            check_unused(store.files, besides=owner.mark)
        except ConflictError:
            store.files.remove(owner.mark)
            raise


def _files(url: str) -> Files:
    return Folder(Path(url)) if _is_folder(url) else Remote(url)


def _is_folder(url: str) -> bool:
    return url.startswith(("/", ".", "~")) or not re.search(r"://|::", url)


def _path_of(url: str) -> str:
    from urllib.request import url2pathname  # slow to import

    place = url.partition(":")[2]
    host, slash, path = place[2:].partition("/") if place.startswith("//") else ("", "", place)
    if host not in ("", "localhost") or not path or re.search("[?#]", path):
        raise InputError(
            "the blobs URL is invalid: after file:// comes the path of a folder, with a third "
            "slash, and no host, options or password"
        )
    return url2pathname(slash + path)


def _check_remote(url: str) -> None:
    # The messages omit the URL: even an invalid one may contain a password.
    if "::" in url:
        raise InputError(
            "the blobs URL is a chain of file systems (::), but blobs need one store: name the "
            "store itself, such as s3://bucket/folder"
        )
    scheme, _, place = url.partition("://")
    if scheme.lower() in VANISHING:
        raise InputError(
            "the blobs URL names the memory of this process, which would vanish with it: give a "
            "folder or a URL such as s3://bucket/folder"
        )
    before_at, at, _ = place.rpartition("@")
    # The container of an Azure URL is no secret: abfs://container@account.dfs.core.windows.net
    names_container = scheme in ("abfs", "abfss") and not re.search("[:/]", before_at)
    if (at and not names_container) or re.match(r"[^/]*:(?!\d+(/|$))", place):
        raise InputError(
            f"the blobs URL seems to contain a user name or a password (an @ or a :), but "
            f"{_NO_SECRETS}"
        )
    if "?" in place or redacted(url) != url:
        raise InputError(
            f"the blobs URL has options after '?', which may be secrets, but {_NO_SECRETS}"
        )
