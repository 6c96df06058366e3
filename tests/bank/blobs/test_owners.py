"""Which banks keep their blobs in a store: no bank destroys what another needs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import make_url

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import ConflictError, UnreachableError
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter


def marks(folder: Path) -> list[Path]:
    """Return the files that name the banks of a store."""
    return sorted(folder.glob("taskbank-*.json"))


def test_a_new_bank_marks_its_store_and_another_is_refused(url: str, tmp_path: Path) -> None:
    """A store names its bank without secrets; a second bank is refused before it is created."""
    with create_bank(url, str(tmp_path / "blobs")) as bank:
        bank.put(new_adapter())
        (mark,) = marks(tmp_path / "blobs")
        content = json.loads(mark.read_text())
        assert mark.name == f"taskbank-{content['bank']}.json"
        assert str(make_url(url).database) in content["home"]
        with pytest.raises(ConflictError, match=r"holds the blobs of the bank .*--blobs"):
            create_bank(f"sqlite:///{tmp_path}/second.db", str(tmp_path / "blobs"))
        mark.unlink()
        with pytest.raises(ConflictError, match="already holds blobs of a bank"):
            create_bank(f"sqlite:///{tmp_path}/second.db", str(tmp_path / "blobs"))
    assert not (tmp_path / "second.db").exists()


def test_a_store_without_a_mark_gets_it_at_the_next_write(tmp_path: Path) -> None:
    """A bank that was made before there were marks marks its store when it writes."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db", str(tmp_path / "blobs")) as bank:
        marks(tmp_path / "blobs")[0].unlink()
    with Bank(bank.url) as again:
        assert marks(tmp_path / "blobs") == []
        again.put(new_adapter())
        assert len(marks(tmp_path / "blobs")) == 1


def test_two_banks_in_one_store_never_destroy_each_others_blobs(tmp_path: Path) -> None:
    """Banks that shared a folder before it was refused keep everything until one is gone."""
    blobs = tmp_path / "blobs"
    with create_bank(f"sqlite:///{tmp_path}/one.db", str(blobs)) as one:
        one.put(new_adapter("mood"))
        hidden = tmp_path / "hidden"
        blobs.rename(hidden)
        with create_bank(f"sqlite:///{tmp_path}/two.db", str(blobs)) as two:
            shutil.copytree(hidden, blobs, dirs_exist_ok=True)
            two.put(new_adapter("same"))  # with the same bytes
            two.remove("same@1")
            with pytest.raises(ConflictError, match=rf"another bank, {tmp_path}/one.db"):
                two.gc(confirm=True)
            assert [record.ref for record in two.adapters(retired=True)] == ["same@1"]
            assert verify_all(one, level="integrity").ok
            for mark in marks(blobs):
                if "one.db" in mark.read_text():
                    mark.unlink()
            assert two.gc(confirm=True).adapters == ("same@1",)


def test_a_copy_of_a_bank_does_not_destroy_what_the_bank_needs(tmp_path: Path) -> None:
    """In a copy of the file, gc refuses; where it was moved, gc says how to go on."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db", str(tmp_path / "blobs")) as bank:
        bank.put(new_adapter())
    shutil.copy(tmp_path / "bank.db", tmp_path / "copy.db")
    with Bank(f"sqlite:///{tmp_path}/copy.db") as copy:
        copy.remove("mood@1")
        with pytest.raises(ConflictError, match=r"of which this one is a copy.*delete taskbank-"):
            copy.gc(confirm=True)
        assert copy.gc().blobs == 3  # looking is allowed
    with Bank(bank.url) as again:
        assert verify_all(again, level="integrity").ok
    (tmp_path / "bank.db").unlink()
    marks(tmp_path / "blobs")[0].unlink()  # as advised
    with Bank(f"sqlite:///{tmp_path}/copy.db") as moved:
        assert moved.gc(confirm=True).blobs == 3
        assert "copy.db" in marks(tmp_path / "blobs")[0].read_text()


def test_an_older_copy_in_the_place_of_the_bank_keeps_the_newer_blobs(tmp_path: Path) -> None:
    """After a restored backup, the blobs of newer adapters are strays, and gc leaves them."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db", str(tmp_path / "blobs")) as bank:
        bank.put(new_adapter())
        bank.close()
        shutil.copy(tmp_path / "bank.db", tmp_path / "backup.db")
        bank.put(new_adapter("newer", seed=1))
    shutil.copy(tmp_path / "bank.db", tmp_path / "newest.db")
    shutil.copy(tmp_path / "backup.db", tmp_path / "bank.db")
    with Bank(bank.url) as restored:
        garbage = restored.gc(confirm=True)
        assert (garbage.blobs, len(garbage.strays)) == (0, 3)
    shutil.copy(tmp_path / "newest.db", tmp_path / "bank.db")
    with Bank(bank.url) as newest:
        assert verify_all(newest, level="integrity").ok


def test_a_damaged_mark_is_said_and_nothing_is_destroyed(tmp_path: Path) -> None:
    """A mark that cannot be read is not taken for the bank's own."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db", str(tmp_path / "blobs")) as bank:
        marks(tmp_path / "blobs")[0].write_bytes(b"\xff[[")
        with pytest.raises(ConflictError, match="its file in the store is damaged"):
            bank.gc(confirm=True)


def test_a_store_that_is_not_there_is_no_damage(url: str, tmp_path: Path) -> None:
    """Whether its folder is gone or empty, as without its mount, nothing is called damaged and
    nothing is written; once it is back, everything is as it was."""
    blobs, away = tmp_path / "blobs", tmp_path / "away"
    with create_bank(url, str(blobs)) as bank:
        bank.put(new_adapter())
    blobs.rename(away)
    for _ in ("gone", "empty"):
        with Bank(bank.url) as again:
            with pytest.raises(UnreachableError, match=r"blobs is empty or is not there.*mount it"):
                again.weights(again["mood"])
            with pytest.raises(UnreachableError, match="mount it"):  # before any training
                again.check_can_add("other", "single", new_version=False)
            with pytest.raises(UnreachableError, match="mount it"):
                again.put(new_adapter("other"))
            report = verify_all(again, level="integrity")
            assert (report.exit_code, report.findings) == (5, ())
            assert "mount it" in (report.interrupted or "")
        assert not blobs.exists() or not any(blobs.iterdir())
        blobs.mkdir(exist_ok=True)
    blobs.rmdir()
    away.rename(blobs)
    with Bank(bank.url) as again:
        assert verify_all(again, level="integrity").ok
        assert [record.task for record in again] == ["mood"]


def test_a_blob_that_is_missing_in_a_store_that_is_there_is_damage(tmp_path: Path) -> None:
    """Only a store without anything counts as absent."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db", str(tmp_path / "blobs")) as bank:
        bank.put(new_adapter())
        for file in (tmp_path / "blobs").glob("??/*"):
            file.unlink()
        assert verify_all(bank, level="integrity").exit_code == 1
