"""URLs of blob stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.bank.blobs.url import canonical_blobs_url
from taskbank.bank.open import create_bank
from taskbank.errors import InputError


def test_a_relative_blob_folder_is_remembered_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog holds the whole path, however it was given."""
    monkeypatch.chdir(tmp_path)
    for given in ("blobs", "./blobs", f"file://{tmp_path}/blobs", str(tmp_path / "blobs")):
        assert canonical_blobs_url(given) == str(tmp_path / "blobs")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://key:SECRET@bucket/x", "user name or a password"),
        ("s3://key:SEC/RET@bucket/x", "user name or a password"),
        ("s3://key:SEC@RET@bucket/x", "user name or a password"),
        ("s3://key:SECRET/bucket/x", "user name or a password"),
        ("https://SECRET@host/x", "user name or a password"),
        ("https://SEC/RET@host/x", "user name or a password"),
        ("abfs://container:SECRET@account/x", "user name or a password"),
        ("az://container/x?sv=1&sig=SECRET", "options after"),
        ("s3://bucket/x?secret=SECRET", "options after"),
        ("s3://bucket/x?SECRET", "options after"),
        ("s3://bucket/x#secret=SECRET", "options after"),
        ("simplecache::s3://key:SECRET@bucket/x", "chain"),
        ("simplecache::s3://bucket/x?secret=SECRET", "chain"),
        ("zip://x::s3://key:SECRET@bucket/x.zip", "chain"),
        ("file://joe:SECRET@host/x", "after file://"),
        ("file:///x?password=SECRET", "after file://"),
        ("file://blobs", "after file://"),
        ("file://joe:SEC[RET@host/x", "after file://"),
        ("s3:/key:SECRET@bucket/x", "is invalid"),
        ("key:SECRET@bucket/x", "is invalid"),
        ("bucket/x?secret=SECRET", "is invalid"),
    ],
)
def test_credentials_are_neither_recorded_nor_shown(url: str, says: str) -> None:
    """A URL with a secret in any place is refused, and the message omits it."""
    with pytest.raises(InputError, match=says) as caught:
        canonical_blobs_url(url)
    assert "SEC" not in str(caught.value)
    assert "RET" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/folder",
        "hdfs://host:9000/folder",
        "abfs://container@account.dfs.core.windows.net/folder",
    ],
)
def test_a_url_without_credentials_is_recorded_as_it_is(url: str) -> None:
    """Hosts with ports and the containers of Azure are no secrets."""
    assert canonical_blobs_url(f"{url}/") == url


def test_memory_is_no_place_for_blobs(tmp_path: Path) -> None:
    """A store that vanishes with the process is refused, and no bank is made."""
    for blobs in ("memory://x", "MEMORY://x", "data://x"):
        with pytest.raises(InputError, match="would vanish with it"):
            create_bank(f"sqlite:///{tmp_path}/bank.db", blobs)
    assert not (tmp_path / "bank.db").exists()
