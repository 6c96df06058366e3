"""Blobs behind an fsspec URL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from taskbank.bank.blobs.files import FileBlobs
from taskbank.bank.blobs.remote import Remote
from taskbank.errors import UnreachableError


def test_a_failing_remote_store_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a driver raises becomes an error of the bank that names the store."""
    files: Any = Remote("memory://somewhere")

    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("connection reset")

    monkeypatch.setattr(type(files.system), "pipe_file", fail)
    with pytest.raises(UnreachableError, match=r"memory://somewhere failed: .* connection reset"):
        FileBlobs(files).stage(b"new bytes")


@pytest.mark.parametrize(
    ("details", "old"),
    [
        ({"mtime": 1000.0}, True),
        ({"LastModified": datetime(2020, 1, 1, tzinfo=UTC)}, True),
        ({"updated": "2020-01-01T00:00:00+00:00"}, True),
        ({"created": datetime.now(UTC)}, False),
        ({"updated": "yesterday"}, False),
        ({}, False),
    ],
)
def test_the_age_is_read_from_what_the_driver_tells(
    details: dict[str, Any], old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every driver has its own name and form of the time; without one a file counts as new."""
    files: Any = Remote("memory://somewhere")
    found = {"size": 1, "type": "file", **details}
    monkeypatch.setattr(type(files.system), "info", lambda *_arguments: found)
    assert (files.stat("x").age > 86400) == old
