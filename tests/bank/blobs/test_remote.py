"""Blobs behind an fsspec URL."""

from __future__ import annotations

from typing import Any

import pytest

from taskbank.errors import BankError


def test_a_failing_remote_store_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a driver raises becomes an error of the bank that names the store."""
    from taskbank.bank.blobs.remote import RemoteBlobs

    store: Any = RemoteBlobs("memory://somewhere")

    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("connection reset")

    monkeypatch.setattr(type(store.files), "pipe_file", fail)
    with pytest.raises(BankError, match=r"memory://somewhere failed: connection reset"):
        store.stage(b"new bytes")
