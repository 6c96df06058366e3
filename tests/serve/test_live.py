"""What other processes record is served, and what is known goes on being served."""

from __future__ import annotations

from threading import Event, Thread

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.bank.records import AdapterRecord
from taskbank.errors import DamagedError, NotFoundError, UnreachableError
from taskbank.serve import live
from taskbank.serve.live import LONGEST, LiveTasks
from tests.helpers.adapters import identity, new_adapter
from tests.helpers.servers import Server
from tests.helpers.tampering import rewrite


@pytest.fixture
def moods(bank: Bank) -> Bank:
    """A bank whose task `mood` has two versions, of which the first is in production."""
    bank.put(new_adapter("mood"))
    bank.put(new_adapter("mood", seed=1), new_version=True)
    bank.alias("mood@1", "production")
    return bank


def test_changes_of_others_are_followed(moods: Bank) -> None:
    """After a refresh, a version added, an alias moved and a version retired elsewhere count."""
    tasks = LiveTasks(moods)

    def meant() -> tuple[int, int]:
        return tasks.get("mood").version, tasks.get("mood@production").version

    assert meant() == (2, 1)
    with Bank(moods.url) as other:
        other.put(new_adapter("mood", seed=2), new_version=True)
        other.alias("mood@2", "production")
        assert meant() == (2, 1)
        tasks.refresh()
        assert meant() == (3, 2)
        other.remove("mood@3")
        other.drop_alias("mood", "production")
        tasks.refresh()
    assert tasks.get("mood").version == 2
    with pytest.raises(NotFoundError):
        tasks.get("mood@production")


def test_what_was_missing_is_found_once_it_is_recorded(own: Bank) -> None:
    """A task that was asked for too early is not missing for ever."""
    tasks = LiveTasks(own)
    for _ in range(2):
        with pytest.raises(NotFoundError):
            tasks.get("mood")
    own.put(new_adapter("mood"))
    tasks.refresh()
    assert tasks.get("mood").version == 1


def test_the_bank_is_read_once(own: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known, and what is known to be missing, is answered without the bank."""
    own.put(new_adapter("mood"))
    tasks = LiveTasks(own)
    assert tasks.find("mood") is None
    found = tasks.get("mood")
    assert found.metrics == ()  # nothing large is kept
    with pytest.raises(NotFoundError):
        tasks.get("none")
    monkeypatch.setattr(Bank, "__getitem__", None)
    assert tasks.get("mood") is found
    assert tasks.find("mood") is found
    with pytest.raises(NotFoundError):
        tasks.get("none")


def test_a_change_during_a_look_up_is_not_missed(
    own: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that was read just before an alias moved is not kept as the alias's version."""
    own.put(new_adapter("mood"))
    own.put(new_adapter("mood", seed=1), new_version=True)
    own.alias("mood@1", "production")
    tasks = LiveTasks(own)
    real = Bank.__getitem__
    reads = []

    def read(bank: Bank, ref: str) -> AdapterRecord:
        record = real(bank, ref)
        reads.append(record.version)
        if len(reads) == 1:
            own.alias("mood@2", "production")
            tasks.refresh()
        return record

    monkeypatch.setattr(Bank, "__getitem__", read)
    assert tasks.get("mood@production").version == 2
    assert tasks.find("mood@production") == tasks.get("mood@production")
    assert (reads[0], reads[-1]) == (1, 2)


def test_what_is_known_is_served_while_it_is_read_again(
    own: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a refresh is reading a new version, the old one answers."""
    own.put(new_adapter("mood"))
    tasks = LiveTasks(own)
    tasks.get("mood")
    own.put(new_adapter("mood", seed=1), new_version=True)
    reading, go = Event(), Event()
    real = Bank.__getitem__

    def read(bank: Bank, ref: str) -> AdapterRecord:
        reading.set()
        go.wait(10)
        return real(bank, ref)

    monkeypatch.setattr(Bank, "__getitem__", read)
    refreshing = Thread(target=tasks.refresh)
    refreshing.start()
    reading.wait(10)
    assert tasks.get("mood").version == 1
    go.set()
    refreshing.join()
    assert tasks.get("mood").version == 2


def test_only_what_was_chosen_is_served(own: Bank) -> None:
    """Other names, other backbones and tasks without the alias are not found."""
    for name in ("ticket-a", "ticket-b", "mood"):
        own.put(new_adapter(name))
    own.put(new_adapter("ticket-c", backbone=identity("two")))
    own.alias("ticket-a@1", "production")
    fingerprint = own["mood"].backbone
    tasks = LiveTasks(own, fingerprint=fingerprint, patterns=["ticket-*"], alias="production")
    assert tasks.get("ticket-a").ref == "ticket-a@1"
    assert tasks.get("ticket-b@1").ref == "ticket-b@1"
    for ref, why in (("mood", "--task"), ("ticket-b", "alias"), ("ticket-c@1", "backbone")):
        with pytest.raises(NotFoundError, match=why):
            tasks.get(ref)


def test_a_damaged_task_is_found_damaged_until_it_is_repaired(
    own: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damage is reported without a look each time, and forgotten soon after it is repaired."""
    own.put(new_adapter("mood"))
    tasks = LiveTasks(own)
    rewrite(own, "UPDATE adapters SET description = 'other'")
    for _ in range(2):
        with pytest.raises(DamagedError):
            tasks.get("mood")
    rewrite(own, "UPDATE adapters SET description = 'is it good?'")
    with pytest.raises(DamagedError):
        tasks.get("mood")
    monkeypatch.setattr(live, "RETRY", 0.0)
    assert tasks.get("mood").version == 1


def test_clients_cannot_fill_the_memory_with_names(
    own: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names that nothing can have are not kept, and each version only under one spelling."""
    own.put(new_adapter("mood"))
    tasks = LiveTasks(own)
    for ref in ("mood@1", "mood@01", "mood@000000001", "mood@\u0661", "mood@\uff11"):
        assert tasks.get(ref).version == 1
    with pytest.raises(NotFoundError):  # although `mood` is known by now
        tasks.get("mood@")
    for ref in ("x" * (LONGEST + 1), "mood@" + "1" * LONGEST, "x" * 1_000_000):
        with pytest.raises(NotFoundError) as caught:
            tasks.get(ref)
        assert len(str(caught.value)) < 200
    monkeypatch.setattr(live, "KEPT_TASKS", 5)
    for number in range(20):
        with pytest.raises(NotFoundError):
            tasks.get(f"none-{number}")
    assert sum(len(one) for one in tasks._kept.values()) == 1
    assert len(tasks._missing) <= 5


def test_few_tasks_are_kept(own: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many tasks, those that were looked up last are kept."""
    monkeypatch.setattr(live, "KEPT_TASKS", 2)
    for name in "abc":
        own.put(new_adapter(name))
    tasks = LiveTasks(own)
    for name in "abc":
        tasks.get(name)
    assert [tasks.find(name) is not None for name in "abc"] == [False, True, True]


@pytest.mark.slow
def test_many_threads_see_one_order_of_versions(own: Bank) -> None:
    """While versions are added and refreshed, no thread ever sees an older version again."""
    own.put(new_adapter("mood"))
    tasks = LiveTasks(own)
    done = Event()
    back: list[str] = []

    def look() -> None:
        newest = 0
        while not done.is_set():
            version = tasks.get("mood").version
            if version < newest:
                back.append(f"{newest} -> {version}")
            newest = max(newest, version)

    threads = [Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for seed in range(1, 15):
        own.put(new_adapter("mood", seed=seed), new_version=True)
        tasks.refresh()
        assert tasks.get("mood").version == seed + 1
    done.set()
    for thread in threads:
        thread.join()
    assert back == []


@pytest.mark.server
@pytest.mark.slow
def test_what_is_known_outlives_a_database_that_is_gone(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Without its server, what is known is served; afterwards changes are followed again."""
    server = Server(tmp_path_factory.mktemp("gone"))
    try:
        with create_bank(server.url) as bank:
            bank.put(new_adapter("mood"))
            bank.put(new_adapter("calm"))
            tasks = LiveTasks(bank)
            tasks.get("mood")
            server.stop()
            with pytest.raises(UnreachableError):
                tasks.refresh()
            with pytest.raises(UnreachableError):
                tasks.get("calm")
            assert tasks.get("mood").version == 1
            server.start()
            bank.put(new_adapter("mood", seed=1), new_version=True)
            tasks.refresh()
            assert tasks.get("mood").version == 2
            assert tasks.get("calm").version == 1
    finally:
        server.close()
