"""What gc finds in a store besides the blobs of the bank."""

from __future__ import annotations

import os
import time
from inspect import signature
from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.blobs.files import FileBlobs, file_name
from taskbank.bank.blobs.folder import Folder
from taskbank.bank.blobs.garbage import GRACE
from taskbank.bank.open import create_bank
from taskbank.cli.gc import gc
from taskbank.cli.main import run
from taskbank.digests import digest_bytes
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter

STRAY = b"left by a crash"


def age(path: Path) -> None:
    """Make a file two days old."""
    past = time.time() - 2 * 86400
    os.utime(path, (past, past), follow_symlinks=False)


def littered(tmp_path: Path) -> Bank:
    """Return a bank whose folder of blobs holds more than its blobs."""
    bank = create_bank(f"sqlite:///{tmp_path}/bank.db", str(tmp_path / "blobs"))
    bank.put(new_adapter())
    FileBlobs(Folder(tmp_path / "blobs")).stage(STRAY)
    blobs = tmp_path / "blobs"
    (blobs / "ab").mkdir(exist_ok=True)
    (blobs / "ab" / ".unfinished-1").write_bytes(b"half")
    (blobs / "notes.txt").write_text("mine")
    (blobs / "ab" / ("0" * 64)).write_bytes(b"a blob's name in another's folder")
    (blobs / "deep" / "er").mkdir(parents=True)
    os.mkfifo(blobs / "ab" / "pipe")
    (blobs / "dangling").symlink_to(tmp_path / "nowhere")
    return bank


def test_what_is_no_blob_is_named_and_blocks_nothing(tmp_path: Path) -> None:
    """Young strays and unfinished files stay, old ones go on request, and foreign files stay."""
    blobs = tmp_path / "blobs"
    stray, unfinished = file_name(digest_bytes(STRAY)), "ab/.unfinished-1"
    foreign = ("ab/" + "0" * 64, "ab/pipe", "dangling", "deep", "notes.txt")
    with littered(tmp_path) as bank:
        found = bank.gc(confirm=True, strays=True)
        assert (found.blobs, found.recent) == (0, 2)
        assert found.strays == (digest_bytes(STRAY),)
        assert found.unfinished == (unfinished,)
        assert found.foreign == foreign
        assert (blobs / stray).exists()
        assert (blobs / unfinished).exists()
        age(blobs / stray)
        age(blobs / unfinished)
        assert bank.gc(confirm=True).recent == 0
        assert (blobs / stray).exists()  # nobody asked for strays
        assert not (blobs / unfinished).exists()
        assert bank.gc(confirm=True, strays=True).strays == (digest_bytes(STRAY),)
        assert not (blobs / stray).exists()
        assert bank.gc().strays == ()
        assert bank.gc().foreign == foreign
        assert verify_all(bank, level="integrity").ok


def test_the_command_names_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`taskbank gc` tells strays, unfinished and foreign files, and what would destroy them."""
    with littered(tmp_path) as bank:
        assert run(["--bank", bank.url, "gc"]) == 0
    said = capsys.readouterr().out
    assert f"1 blobs in {tmp_path}/blobs are named by no row of this bank" in said
    assert digest_bytes(STRAY) in said
    assert "1 unfinished files are in" in said
    assert "ab/.unfinished-1" in said
    assert "2 of these are less than 24 hours old" in said
    assert "5 files in" in said
    assert "notes.txt" in said


def test_the_command_and_the_bank_have_one_grace_time() -> None:
    """`taskbank gc` without an age does what `Bank.gc` does without one."""
    (option,) = (one for one in gc.params if one.name == "older_than")
    assert option.default == GRACE == signature(Bank.gc).parameters["older_than"].default
