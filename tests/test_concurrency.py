"""Promise 2: all or nothing, with many at work and whoever is killed."""

from __future__ import annotations

import random
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.digests import digest_json
from taskbank.errors import ConflictError, ResourceError, UnreachableError
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter
from tests.helpers.processes import Writer, ended


@pytest.mark.process
def test_processes_that_write_at_once_wait_for_each_other(url: str) -> None:
    """Three processes add versions to two tasks at once: none fails, every version is there."""
    create_bank(url).close()
    running = [Writer(url, name, 8) for name in ("one", "two", "two")]
    assert [ended(writer.process) for writer in running] == [0, 0, 0]
    with Bank(url) as bank:
        refs = sorted(record.ref for record in bank)
        assert refs == sorted(
            [f"one@{v}" for v in range(1, 9)] + [f"two@{v}" for v in range(1, 17)]
        )
        assert verify_all(bank, level="integrity").ok


@pytest.mark.process
def test_a_reader_sees_whole_adapters_while_another_process_writes(url: str) -> None:
    """Reading and verifying in the middle of writing finds nothing half done."""
    create_bank(url).close()
    writer = Writer(url, "busy", 30)
    writer.wait_for_one()
    with Bank(url) as bank:
        while writer.process.is_alive():
            assert verify_all(bank, level="integrity").ok
            for record in bank:
                assert len(record.splits) == 1
                assert len(record.metrics) == len(new_adapter().metrics)
        assert ended(writer.process) == 0
        assert len(bank) == 30


@pytest.mark.process
@pytest.mark.parametrize("blobs", ["catalog", "folder"])
def test_a_killed_writer_leaves_whole_tasks_or_none(url: str, tmp_path: Path, blobs: str) -> None:
    """After kill -9 at random moments the bank opens, verifies, holds what was said to be
    recorded, and takes the next writer."""
    create_bank(url, str(tmp_path / "blobs") if blobs == "folder" else None).close()
    chance = random.Random(0)
    recorded = 0
    for _ in range(6):
        writer = Writer(url, "task", 10_000)
        writer.wait_for_one()  # it is at work
        time.sleep(chance.uniform(0, 0.2))
        writer.process.kill()
        recorded += 1 + writer.recorded()
        assert ended(writer.process) == -signal.SIGKILL
        with Bank(url) as bank:
            report = verify_all(bank, level="integrity")
            assert report.ok, report.findings
            # What was recorded just before it could be said may be there too.
            assert recorded <= len(bank) <= recorded + 1
            recorded = len(bank)
            assert all(bank.weights(record) for record in bank)


@pytest.mark.slow
def test_a_new_bank_is_made_once_however_many_make_it(url: str) -> None:
    """Eight threads make and fill the same bank at once: one bank, eight tasks."""
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with create_bank(url) as bank:
                bank.put(new_adapter(f"task{number}", seed=number))
        except BaseException as error:  # shown by the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Bank(url) as bank:
        assert len(bank) == 8
        assert verify_all(bank, level="integrity").ok


@pytest.mark.slow
def test_equal_bytes_written_at_once_are_stored_once(url: str) -> None:
    """Two connections that put the same split and weights at once do not collide."""
    with create_bank(url) as bank:
        barrier = threading.Barrier(4)
        failures: list[BaseException] = []

        def work(number: int) -> None:
            try:
                with Bank(url) as own:
                    barrier.wait()
                    own.put(new_adapter(f"task{number}"))
            except BaseException as error:  # shown by the main thread
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(bank) == 4
        assert len(list(bank._blobs.sizes())) == 3
        assert verify_all(bank, level="integrity").ok


def test_a_full_disk_stops_a_writer_and_harms_nothing(tmp_path: Path) -> None:
    """Where the file cannot grow, recording fails with one clear error; the bank is as it was."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        bank.put(new_adapter("before"))

        def no_room(connection: Any, _record: Any, _proxy: Any) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages + 4}")

        event.listen(bank._engine, "checkout", no_room)
        with pytest.raises(ResourceError, match="full"):
            bank.put(new_adapter("after", seed=1, description="x" * 500_000))
        event.remove(bank._engine, "checkout", no_room)
    with Bank(bank.url) as bank:
        assert [record.ref for record in bank] == ["before@1"]
        assert verify_all(bank, level="integrity").ok
        bank.put(new_adapter("after", seed=1))


def test_a_lost_connection_leaves_nothing_half_done(
    new_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that drops the connection in the middle of recording gives one clear error, and
    the bank goes on with the next connection."""
    with create_bank(new_database()) as bank:
        bank.put(new_adapter("before"))
        real = type(bank._blobs).put

        def cut_off(store: Any, data: bytes, connection: Any) -> str:
            with bank._engine.connect() as other:
                own = connection.connection.driver_connection.info.backend_pid
                other.execute(text(f"SELECT pg_terminate_backend({own})"))
            return str(real(store, data, connection))

        monkeypatch.setattr(type(bank._blobs), "put", cut_off)
        with pytest.raises(UnreachableError, match="cannot be reached"):
            bank.put(new_adapter("after", seed=1))
        monkeypatch.undo()
        assert [record.ref for record in bank] == ["before@1"]
        assert verify_all(bank, level="integrity").ok
        assert bank.put(new_adapter("after", seed=1)).version == 1


def test_an_equal_request_is_stored_once(url: str) -> None:
    """Four threads store what they trained for the same request at once, as workers do that took
    over from each other: there is one version, all of them get it, and no blob lies about."""
    with create_bank(url) as bank:
        together = threading.Barrier(4)
        stored: list[str] = []

        def store(seed: int) -> None:
            new = new_adapter("mood", seed=seed, request=digest_json("the request"))
            together.wait()
            stored.append(bank.put(new, new_version=True, once=True).digest)

        threads = [threading.Thread(target=store, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert stored == [bank["mood@1"].digest] * 4
        assert [record.version for record in bank.adapters(task="mood")] == [1]
        assert not bank.gc().strays
        other = new_adapter("mood", request=digest_json("another request"))
        assert bank.put(other, new_version=True, once=True).version == 2
        with pytest.raises(ConflictError):
            bank.put(replace(other, request=digest_json("a third")), once=True)
