"""Copies from one bank into another, on every database and blob store."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from taskbank.bank import copy as copy_module
from taskbank.bank.bank import Bank
from taskbank.bank.catalog import adapters
from taskbank.bank.catalog.copying.parts import PARTS
from taskbank.bank.catalog.database import read_transaction
from taskbank.bank.catalog.tables import AdapterRow
from taskbank.bank.new_records import NewResult, NewVerification
from taskbank.bank.open import create_bank
from taskbank.digests import digest_bytes
from taskbank.errors import ConflictError, InputError, NotWritableError, SchemaError
from taskbank.verify.integrity import check_integrity
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import (
    fill_every_table,
    identity,
    new_adapter,
    new_scored_split,
    new_trial,
    record_finding,
)
from tests.helpers.bank_content import content_of
from tests.helpers.processes import ended, start
from tests.helpers.tampering import rewrite

PREVIOUS = Path(__file__).parents[1] / "data" / "previous" / "bank.sqlite"
OTHER = digest_bytes(b"other")


def assert_same(source: Bank, target: Bank) -> None:
    """Assert that two banks say the same, in the same order, and that the second is intact."""
    assert content_of(target) == content_of(source)
    assert list(target.adapters(retired=True)) == list(source.adapters(retired=True))
    assert target.oldest_tasks(limit=99) == source.oldest_tasks(limit=99)
    assert check_integrity(target).findings == ()


def assert_nothing_more(source: Bank, target: Bank) -> None:
    """Assert that another copy records nothing."""
    head = target.head()
    again = source.copy_to(target)
    assert not any(again.copied.values())
    assert (again.blobs, again.present) == (0, len(source.adapters(retired=True)))
    assert target.head() == head


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Bank]:
    """A second empty SQLite bank."""
    with create_bank(tmp_path / "other.db") as bank:
        yield bank


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a bank with every kind of record, and more tasks than a transaction takes."""
    file = tmp_path_factory.mktemp("made") / "bank.db"
    with create_bank(file) as bank:
        fill(bank)
    return file


@pytest.fixture
def full(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    """A copy of the file, to be copied from with few rows in each transaction."""
    for part in PARTS:
        monkeypatch.setattr(part, "size", 2)
    with Bank(shutil.copy(made, tmp_path / "full.db")) as bank:
        yield bank


def fill(bank: Bank) -> Bank:
    """Fill a bank with every kind of record, in tasks of every fate."""
    fill_every_table(bank)
    for number in range(5):
        bank.put(new_adapter(f"task{number}", seed=number))
    bank.put(new_adapter("gone", seed=50))
    bank.put(new_adapter("gone", seed=51), new_version=True)
    bank.remove("gone@1")
    bank.gc(confirm=True)
    bank.put(new_adapter("gone", seed=52), new_version=True)
    bank.remove("gone@2")
    bank.put(new_adapter("elsewhere", seed=60, backbone=identity("two")))
    bank.put_trial(new_trial("tried", seed=70))
    bank.verification_log.start_run("full", ["task1"], {"torch": "2.0"})
    return bank


def test_everything_arrives_in_every_store_and_returns(
    full: Bank, stored: Bank, tmp_path: Path
) -> None:
    """A copy says what the bank says, record for record, and so does a copy of the copy."""
    head = full.head()
    copied = full.copy_to(stored)
    assert (copied.copied["versions"], copied.kept, copied.damaged) == (9, (), {})
    assert_same(full, stored)
    for record in stored:
        assert stored.weights(record) == full.weights(record)
    assert_nothing_more(full, stored)
    with create_bank(tmp_path / "back.db") as back:
        stored.copy_to(back)
        assert_same(full, back)
    assert_nothing_more(stored, full)
    assert full.head() == head


def test_the_chain_says_where_rows_were_copied_from(own: Bank, bank: Bank) -> None:
    """The target's chain names the bank and its head at each copy; what it made itself it does
    not."""
    own.put(new_adapter("one"))
    bank.put(new_adapter("mine", seed=1))
    assert bank.copies() == ()
    first = own.head()
    own.copy_to(bank)
    own.put(new_adapter("two", seed=2))
    second = own.head()
    own.copy_to(bank)
    found = [(copy.head, copy.entries, copy.versions) for copy in bank.copies()]
    assert found == [(first.digest, first.entries, 1), (second.digest, second.entries, 1)]
    assert len({copy.bank for copy in bank.copies()}) == 1
    assert verify_all(bank, level="integrity").ok


def test_the_source_stays_as_it_is(own: Bank, bank: Bank, tmp_path: Path) -> None:
    """A SQLite file that is copied from is the same, byte for byte, and takes no write."""
    fill_every_table(own)
    own.close()
    before = (tmp_path / "own.db").read_bytes()
    with Bank(own.url, only_read=True) as source:
        source.copy_to(bank)
        with pytest.raises(NotWritableError, match="opened only to be read"):
            source.alias("mood@2", "other")
        with pytest.raises(NotWritableError):
            own.copy_to(source)
    assert (tmp_path / "own.db").read_bytes() == before
    with Bank(bank.url, only_read=True) as source, create_bank(tmp_path / "b.db") as back:
        source.copy_to(back)
        with pytest.raises(NotWritableError):
            source.alias("mood@2", "other")


def test_what_is_written_during_a_copy_is_left_for_the_next(
    own: Bank, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy holds the state at its beginning; the next one brings what came since."""
    fill_every_table(own)
    before = content_of(own)
    run = copy_module._Copy.run

    def written_to(copy: Any, **given: bool) -> None:
        own.put(new_adapter("late", seed=7))
        own.alias("mood@2", "late")
        run(copy, **given)

    monkeypatch.setattr(copy_module._Copy, "run", written_to)
    with Bank(own.url, only_read=True) as source:
        source.copy_to(bank)
    assert content_of(bank) == before
    monkeypatch.undo()
    own.copy_to(bank)
    assert_same(own, bank)


def test_conflicts_are_all_named_before_anything_is_written(own: Bank, other: Bank) -> None:
    """Another kind, another version of a number, and a task that went another way are named with
    the way out, which works."""
    own.put(new_adapter("kind", seed=1))
    own.put(new_adapter("weights", seed=2))
    own.put(new_adapter("evidence", seed=3))
    own.put(new_adapter("ways", seed=4))
    own.put(new_adapter("fine", seed=5))
    own.copy_to(other, task="ways")
    own.put(new_adapter("ways", seed=6), new_version=True)
    own.remove("ways@2")
    own.put(new_adapter("ways", seed=7), new_version=True)
    other.put(new_adapter("kind", seed=1, kind="pair"))
    other.put(new_adapter("weights", seed=9))
    other.put(new_adapter("evidence", seed=3, tags={"team": "other"}))
    other.put(new_adapter("ways", seed=10), new_version=True)
    head = other.head()
    with pytest.raises(ConflictError) as caught:
        own.copy_to(other)
    message = str(caught.value)
    assert message.startswith("4 conflicts with what is there:\n")
    for part in (
        "kind is of the kind pair there, and of single here",
        "weights@1: its weights are sha256:",
        "evidence@1: its weights are the same here and there, but not its evidence",
        "ways@2: its weights are",
        "nothing was written; give each of these tasks a name of its own there",
        "--rename kind=kind-2",
    ):
        assert part in message
    assert other.head() == head
    names = {name: f"{name}-2" for name in ("kind", "weights", "evidence", "ways")}
    own.copy_to(other, rename=names)
    assert [record.digest for record in other.adapters(task="ways-2")] == [
        record.digest for record in own.adapters(task="ways")
    ]
    assert not any(own.copy_to(other, rename=names).copied.values())
    assert {finding.task for finding in check_integrity(other).findings} == {"kind"}  # as made here


def test_a_task_that_went_two_ways_is_a_conflict(own: Bank, other: Bank) -> None:
    """If each bank has versions that the other lacks, nothing is put between them."""
    for seed in range(3):
        own.put(new_adapter(seed=seed), new_version=True)
    own.copy_to(other)
    rewrite(own, "DELETE FROM adapters WHERE version = 2")  # as if it had never been there
    rewrite(own, "DELETE FROM chain WHERE id > 1")
    own.put(new_adapter(seed=4), new_version=True)
    with pytest.raises(ConflictError, match=r"mood has the versions 2 there, .* and lacks 4"):
        own.copy_to(other)


def test_further_versions_are_added_in_order(own: Bank, bank: Bank) -> None:
    """New versions of a task that is there get their numbers, and what the target has stays."""
    own.put(new_adapter(seed=0))
    own.copy_to(bank)
    bank.put(new_adapter("mine", seed=9))
    for seed in (1, 2):
        own.put(new_adapter(seed=seed), new_version=True)
    copied = own.copy_to(bank)
    assert (copied.copied["versions"], copied.present) == (2, 1)
    assert [record.ref for record in bank] == ["mood@1", "mine@1", "mood@2", "mood@3"]
    assert bank["mood@3"].digest == own["mood@3"].digest
    assert bank["mood@3"].created_at == own["mood@3"].created_at


def test_what_gc_destroyed_stays_destroyed(own: Bank, other: Bank) -> None:
    """The number of a destroyed version is never used again in the copy, nor brought back."""
    own.put(new_adapter(seed=0))
    own.copy_to(other)
    other.remove("mood@1")
    other.gc(confirm=True)
    assert own.copy_to(other).copied["versions"] == 0
    own.put(new_adapter("other", seed=1))
    own.remove("other@1")
    own.gc(confirm=True)
    own.copy_to(other)
    assert other.put(new_adapter("other", seed=2), new_version=True).version == 2


def test_tasks_are_chosen_by_pattern_and_time(own: Bank, other: Bank) -> None:
    """A pattern leaves out other tasks with their trials; a time leaves out earlier versions."""
    for name in ("ticket-a", "ticket-b", "mail"):
        own.put(new_adapter(name, seed=len(name)))
        own.put_trial(new_trial(name))
    own.copy_to(other, task="ticket-*")
    assert other.tasks() == ("ticket-a", "ticket-b")
    assert {trial.task for trial in other.trials()} == {"ticket-a", "ticket-b"}
    moment = datetime.now(UTC)
    own.put(new_adapter("mail", seed=8), new_version=True)
    own.put_trial(new_trial("mail", seed=8))
    local = moment.astimezone().isoformat()
    own.copy_to(other, task="mail", since=local)
    assert [record.ref for record in other.adapters(task="mail")] == ["mail@2"]
    assert len(other.trials("mail")) == 1
    own.copy_to(other)
    assert content_of(other) == content_of(own)


def test_a_verification_of_many_tasks_arrives_with_them(own: Bank, bank: Bank) -> None:
    """Its results come with their tasks, each once, under its time and verdict; names of tasks
    that are not copied do not leave the bank."""
    for name in ("one", "two", "secret"):
        own.put(new_adapter(name, seed=len(name)))
    record_results(own, {"one": "ok", "two": "regressed", "secret": "ok"})
    run = own.verification_log.start_run("full", ["one@1", "secret"], {"torch": "2.0"})
    seen = {"test": (own.reference(own["one"], "test"), 1e-5)}
    own.verification_log.observe(run, [(own["one"], OTHER, seen)])
    own.copy_to(bank, task="one")
    assert [run.tasks for run in bank.verification_log.unfinished_runs()] == [("one@1",)]
    assert "secret" not in str(content_of(bank))
    own.copy_to(bank, task="t*", rename={"two": "deux"})
    for _ in range(2):
        own.copy_to(bank, task="[ot]*", rename={"two": "deux"})
    log = bank.verification_log
    assert [(r.task, r.status) for r in log.results()] == [("one", "ok"), ("deux", "regressed")]
    first, second = log.verifications()
    (original,) = own.verification_log.verifications()
    for copied in (first, second):
        assert (copied.ok, copied.checked, copied.finished_at) == (
            original.ok,
            original.checked,
            original.finished_at,
        )
    assert check_integrity(bank).findings == ()


def record_results(bank: Bank, statuses: dict[str, str], at: str = "2026-11-01") -> int:
    """Record a verification with a result of each task, all in equal circumstances."""
    results = tuple(
        NewResult(task, 1, status, "accuracy", 0.5, 0.5, 0, 10, 0.0, OTHER, {"noise": 0.0})
        for task, status in statuses.items()
    )
    times = (f"{at}T00:00:00.000000+00:00", f"{at}T00:00:01.000000+00:00")
    new = NewVerification(
        "full", False, len(results), 0.0, {"torch": "2"}, *times, None, 0, results, ()
    )
    return bank.verification_log.record(new)


def test_an_older_result_that_arrives_later_is_not_trusted_more(own: Bank, other: Bank) -> None:
    """A newer result of the target still takes the trust in an older one that was copied."""
    own.put(new_adapter())
    record_results(own, {"mood": "ok"}, "2026-11-01")
    with create_bank("third.db") as third:
        own.copy_to(third)
        assert third.verification_log.confirmations([OTHER])[OTHER].status == "ok"
    other.put(new_adapter("mine", seed=3))
    record_results(other, {"mine": "unstable"}, "2026-11-02")
    own.copy_to(other)
    assert other.verification_log.confirmations([OTHER]) == {}


def test_decisions_of_the_target_stay(own: Bank, bank: Bank) -> None:
    """An alias, a tolerance and an acceptance follow the source until the target decides itself;
    then they stay, and are named."""
    fill_every_table(own)
    own.put(new_adapter(seed=2), new_version=True)
    own.copy_to(bank)
    own.alias("mood@3", "production")
    own.set_tolerance("mood", 0.5)
    own.copy_to(bank)
    assert bank.resolve("mood@production") == ("mood", 3)
    assert bank.tolerances() == {"mood": 0.5}
    bank.alias("mood@2", "production")
    own.alias("mood@3", "production")
    bank.put_split("mood@3", new_scored_split("july", seed=1))
    own.put_split("mood@3", new_scored_split("july", seed=2))
    own.alias("mood@2", "canary")
    record_finding(own, "mood@2")
    record_finding(bank, "mood@2")
    own.copy_to(bank)
    kept = own.copy_to(bank).kept
    assert sorted(kept) == [
        "mood@3 has another split 'july' there",
        "other predictions of mood@2 on june were accepted there",
        "other predictions of mood@2 on test were accepted there",
        "the alias mood@production points at version 3 here, and was moved otherwise there",
        "the tolerance of mood was set otherwise there",
    ]
    assert bank.resolve("mood@production") == ("mood", 2)
    assert bank.resolve("mood@canary") == ("mood", 2)
    # A target that is ahead has nothing to be told.
    bank.copy_to(own, task="mood")
    assert check_integrity(own).findings == check_integrity(bank).findings == ()


def test_a_retirement_follows_unless_an_alias_points_at_the_version(own: Bank, other: Bank) -> None:
    """A version is retired in the copy once no alias there points at it."""
    own.put(new_adapter(seed=0))
    own.alias("mood@1", "production")
    own.copy_to(other)
    own.put(new_adapter(seed=1), new_version=True)
    own.alias("mood@2", "production")
    own.remove("mood@1")
    other.alias("mood@1", "mine")
    assert own.copy_to(other).kept == (
        "mood@1 is retired here; there, the alias 'mine' points at it",
    )
    assert not other["mood@1"].retired
    other.drop_alias("mood", "mine")
    assert own.copy_to(other).copied["retirements"] == 1
    assert other["mood@1"].retired
    other.put(new_adapter("other", seed=5))
    other.copy_to(own, task="other")
    other.remove("other@1")
    own.alias("other@1", "late")
    assert "moved otherwise there" in own.copy_to(other).kept[0]


def test_damaged_blobs_are_left_out_and_named(own: Bank, stored: Bank) -> None:
    """One damaged version and one damaged trial keep nothing else from arriving, and arrive once
    they are repaired."""
    for name in ("one", "two", "three"):
        own.put(new_adapter(name, seed=len(name) + ord(name[0])))
    own.put_trial(new_trial("one", seed=33))
    own.alias("two@1", "production")
    blobs = {digest: own.blob(digest) for digest in (own["two"].digest, own.trials()[0].digest)}
    for digest in blobs:
        rewrite(own, "UPDATE blobs SET data = X'00' WHERE digest = ?", digest)
    copied = own.copy_to(stored)
    assert list(copied.damaged) == ["two@1", f"a trial of one of {own.trials()[0].created_at}"]
    assert all("is damaged" in reason for reason in copied.damaged.values())
    assert stored.tasks() == ("one", "three")
    assert check_integrity(stored).findings == ()
    for digest, data in blobs.items():
        rewrite(own, "UPDATE blobs SET data = ? WHERE digest = ?", data, digest)
    assert own.copy_to(stored).copied["versions"] == 1
    assert content_of(stored) == content_of(own)


def test_a_damaged_blob_that_is_there_is_repaired_by_what_needs_it(own: Bank, other: Bank) -> None:
    """A blob that the target has with other bytes gets those of its digest."""
    own.put(new_adapter())
    data = own.weights(own["mood"])
    other.put(new_adapter("mine", seed=1, weights=data))
    rewrite(other, "UPDATE blobs SET data = X'00' WHERE digest = ?", own["mood"].digest)
    own.copy_to(other)
    assert other.weights(other["mood"]) == data


def test_bad_requests_are_refused_before_anything_is_written(own: Bank, other: Bank) -> None:
    """Patterns, times and names that make no sense each get an error that says what to do."""
    own.put(new_adapter("one"))
    own.put(new_adapter("two", seed=1))
    head = other.head()
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"task": "x*"}, r"no task matches 'x\*': the bank has one, two"),
        ({"since": "yesterday"}, "'yesterday' is not a time: write a date such as 2026-11-30"),
        ({"since": tomorrow}, "is a time to come"),
        ({"rename": {"three": "four"}}, "'three' cannot be renamed to 'four': it is not among"),
        ({"task": "one", "rename": {"two": "x"}}, "'two' cannot be renamed"),
        ({"rename": {"one": "../one"}}, r"task name '\.\./one' is invalid"),
        ({"rename": {"one": "two"}}, "both 'one' and 'two' would be 'two'"),
    ]
    for given, message in cases:
        with pytest.raises(InputError, match=message):
            own.copy_to(other, **given)
    with (
        pytest.raises(InputError, match="a bank cannot be copied into itself"),
        Bank(other.url) as b,
    ):
        other.copy_to(b)
    assert other.head() == head


def test_names_of_another_bank_are_checked(
    own: Bank, other: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bank that names a task like a path cannot bring that name into another."""
    with monkeypatch.context() as patch:
        patch.setattr(adapters, "check_name", lambda name, _what: name)
        own.put(new_adapter("../evil"))
    with pytest.raises(InputError, match=r"task name '\.\./evil' is invalid"):
        own.copy_to(other)
    own.copy_to(other, rename={"../evil": "good"})
    assert other.tasks() == ("good",)


def test_a_target_of_another_schema_is_refused(own: Bank, tmp_path: Path) -> None:
    """An older bank must be upgraded first, on either side."""
    old = tmp_path / "old.db"
    old.write_bytes(PREVIOUS.read_bytes())
    for given in ({}, {"only_read": True}):
        with pytest.raises(SchemaError, match="taskbank db upgrade"):
            Bank(old, **given)
    assert old.read_bytes() == PREVIOUS.read_bytes()


def test_parents_are_told_by_their_bytes(own: Bank, other: Bank) -> None:
    """A version keeps the digest of its parent; another task of the parent's name in the target is
    not taken for it."""
    parent = own.put(new_adapter("parent"))
    course = {"seconds": 1.0, "parents": [{"ref": "parent@1", "digest": parent.digest}]}
    own.put(new_adapter("child", seed=1, course=course))
    other.put(new_adapter("parent", seed=5))
    own.copy_to(other, task="child")
    assert other["child"].course == own["child"].course
    assert verify_all(other, level="integrity").ok
    other.put(new_adapter("own-child", seed=2, course=course))
    assert {f.task for f in check_integrity(other).findings} == {"own-child"}


@pytest.mark.slow
def test_a_verification_that_was_good_stays_good(mood: Bank, bank: Bank) -> None:
    """What was confirmed in one bank is confirmed in its copy, without being predicted again."""
    assert verify_all(mood).ok
    mood.copy_to(bank)
    mood.copy_to(bank, rename={"mood": "other"})
    report = verify_all(bank, level="changed")
    assert report.ok
    assert [(task.ref, task.status) for task in report.tasks] == [
        ("mood@1", "ok"),
        ("other@1", "ok"),
    ]
    assert report.confirmed == 2
    assert verify_all(bank, level="full").ok


def _copy(source: str, target: str) -> None:
    for part in PARTS:
        part.size = 1
    with Bank(source, only_read=True) as bank, Bank(target) as other:
        bank.copy_to(other)


@pytest.mark.process
def test_two_copies_at_once_copy_everything_once(full: Bank, url: str) -> None:
    """Two processes that copy the same bank into another end well, and nothing is there twice."""
    create_bank(url).close()
    running = [start(_copy, full.url, url) for _ in range(2)]
    assert [ended(process) for process in running] == [0, 0]
    with Bank(url) as bank:
        assert content_of(bank) == content_of(full)
        assert check_integrity(bank).findings == ()
        assert_nothing_more(full, bank)


@pytest.mark.process
@pytest.mark.parametrize("blobs", ["catalog", "folder"])
def test_a_killed_copy_is_completed_by_the_next(
    full: Bank, url: str, tmp_path: Path, blobs: str
) -> None:
    """After kill -9 at random moments no row lacks its blob, and the next copy ends complete."""
    create_bank(url, str(tmp_path / "blobs") if blobs == "folder" else None).close()
    chance = random.Random(7)
    kills = 0
    for _ in range(4):
        process = start(_copy, full.url, url)
        with Bank(url) as bank:
            before = bank.head().entries
            while process.is_alive() and bank.head().entries == before:
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.05))
            process.kill()
            kills += ended(process) == -9
            assert check_integrity(bank).findings == ()
    assert kills > 1
    with Bank(url) as bank:
        full.copy_to(bank)
        assert_same(full, bank)
        assert_nothing_more(full, bank)


def test_a_version_that_is_added_there_meanwhile_is_no_other(
    own: Bank, other: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If somebody adds a version of the number that a copy brings, the copy ends with an error."""
    own.put(new_adapter("one"))
    own.put(new_adapter("two", seed=1))
    run = copy_module._Copy.run

    def late(copy: Any, **given: bool) -> None:
        other.put(new_adapter("two", seed=9))
        run(copy, **given)

    monkeypatch.setattr(copy_module._Copy, "run", late)
    with pytest.raises(ConflictError, match="another two@1 was added there in the meantime"):
        own.copy_to(other)
    assert other.tasks() == ("two",)


def test_blobs_pass_one_at_a_time(own: Bank, stored: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every blob is read once for a catalog, and no other is held when it is."""
    for seed in range(3):
        own.put(new_adapter(f"task{seed}", seed=seed))
    read: list[str] = []
    get: Callable[..., bytes] = own._blobs.get

    def counted(digest: str, *given: Any) -> bytes:
        read.append(digest)
        return get(digest, *given)

    monkeypatch.setattr(own._blobs, "get", counted)
    copied = own.copy_to(stored)
    assert len(read) == len(set(read)) == copied.blobs == 9
    with read_transaction(stored._engine) as connection:
        assert len(connection.execute(select(AdapterRow.id)).all()) == 3
