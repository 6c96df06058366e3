"""Whose cache it is: nothing that another user could have written is used."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

from taskbank.runtime import cache_trust
from taskbank.runtime.cache_trust import key_file, make_private, signer

POSIX = pytest.mark.skipif(os.name == "nt", reason="owners and modes are those of POSIX")


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A part of a cache that is the user's own, with a key of its own."""
    monkeypatch.setattr(cache_trust, "_WARNED", set())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    make_private(tmp_path / "cache")
    make_private(tmp_path / "cache" / "tokens")
    return tmp_path / "cache" / "tokens"


def signature(part: Path, key: str = "key") -> str:
    """Return the signature of some content."""
    started = signer(part, key)
    assert started is not None
    started.update(b"content")
    return started.hexdigest()


def test_a_signature_depends_on_the_secret_the_part_and_the_key(part: Path) -> None:
    """It is the same every time for one user, and another for whatever else differs."""
    assert signature(part) == signature(part)
    other = part.with_name("states")
    make_private(other)
    assert len({signature(part), signature(other), signature(part, "other")}) == 3
    before = signature(part)
    key_file().unlink()
    assert signature(part) != before


@POSIX
def test_the_secret_is_the_users_alone(part: Path) -> None:
    """The file and its folder are made for the user only; one that others read is not used."""
    signature(part)
    assert key_file().stat().st_mode & 0o777 == 0o600
    assert key_file().parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in key_file().parent.iterdir()] == ["cache-key"]
    key_file().chmod(0o644)
    with pytest.warns(UserWarning, match="cache-key can be read by other users: run chmod go="):
        assert signer(part, "key") is None


@POSIX
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
@pytest.mark.parametrize("which", ["part", "cache"])
def test_a_folder_that_others_can_write_to_is_not_used(part: Path, mode: int, which: str) -> None:
    """As with ssh, group and others may not write; there is one warning, which says what to do."""
    folder = part if which == "part" else part.parent
    folder.chmod(mode)
    with pytest.warns(UserWarning, match=f"{folder} can be written to .*chmod go-w {folder}"):
        assert signer(part, "key") is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert signer(part, "key") is None
    folder.chmod(0o755)
    assert signer(part, "key") is not None


@POSIX
def test_a_folder_of_another_user_is_not_used(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns the folder can put files into it."""
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.warns(UserWarning, match="belongs to another user: name a folder of your own"):
        assert signer(part, "key") is None


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_damaged_secret_is_said(part: Path, content: bytes) -> None:
    """A key that is cut is not signed with, and the warning says what to do."""
    signature(part)
    key_file().write_bytes(content)
    with pytest.warns(UserWarning, match="cache-key is damaged: delete it"):
        assert signer(part, "key") is None


def test_without_a_place_for_the_secret_nothing_is_cached(
    part: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where no key can be written, a warning says so, and the work goes on."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="nothing is cached: its key .* cannot be read or written"):
        assert signer(part, "key") is None
