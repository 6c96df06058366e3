"""Object stores that fail in every way: nothing is lost, and nothing wrong is read."""

from __future__ import annotations

import math
import os
import random
import signal
import time
from collections.abc import Iterator
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from taskbank.bank import open as opening
from taskbank.bank.bank import Bank
from taskbank.bank.blobs import remote, retries
from taskbank.bank.blobs.files import FileBlobs, Files, file_name
from taskbank.bank.blobs.folder import Folder
from taskbank.bank.blobs.remote import Remote
from taskbank.bank.open import create_bank
from taskbank.digests import digest_bytes
from taskbank.errors import (
    ConflictError,
    DamagedError,
    InputError,
    MissingExtraError,
    ResourceError,
    UnreachableError,
)
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter
from tests.helpers.object_stores import (
    KEYS,
    S3,
    Fault,
    cut,
    dropped,
    flipped,
    flipped_upload,
    lost,
    new_place,
    no_conditions,
    refused,
    shortened,
)

pytestmark = pytest.mark.server
DATA = bytes(range(256)) * 8
NAME = file_name(digest_bytes(DATA))
SLOW = refused("503 Slow Down", "SlowDown")
DENIED = refused("403 Forbidden", "AccessDenied")
KILLS = 20


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat without waiting, and let taskbank alone repeat."""
    s3fs = pytest.importorskip("s3fs")
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)


@pytest.fixture
def files(s3: S3) -> Remote:
    """An empty place on S3."""
    return Remote(new_place("s3"))


@pytest.fixture
def store(files: Remote) -> FileBlobs:
    """A blob store on S3 with one blob."""
    store = FileBlobs(files)
    store.stage(DATA)
    return store


@pytest.fixture
def filled(s3: S3, tmp_path: Path) -> Iterator[Bank]:
    """A SQLite bank with its blobs on S3 and one task."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db", new_place("s3")) as bank:
        bank.put(new_adapter())
        yield bank


# Reading


@pytest.mark.parametrize("fault", [SLOW, dropped, cut, shortened, flipped, lost])
def test_a_read_that_fails_once_gives_the_right_bytes(
    store: FileBlobs, s3: S3, fault: Fault
) -> None:
    """Refused, without an answer, cut, or changed on the way: it is read again."""
    with s3.failing("GET", fault):
        assert store.get(digest_bytes(DATA)) == DATA
        assert s3.count("GET") == 2


@pytest.mark.parametrize("fault", [shortened, flipped])
def test_wrong_bytes_are_never_returned(store: FileBlobs, s3: S3, fault: Fault) -> None:
    """What stays wrong is damaged, whether the driver or taskbank finds it."""
    with s3.failing("GET", fault, 100), pytest.raises(DamagedError, match=r"s3://.* is damaged"):
        store.get(digest_bytes(DATA))


@pytest.mark.parametrize("fault", [SLOW, dropped, cut])
def test_a_store_that_stays_away_is_one_clear_error(store: FileBlobs, s3: S3, fault: Fault) -> None:
    """After some attempts the error names the store, the file and what to do, and no secret."""
    with s3.failing("GET", fault, 100), pytest.raises(UnreachableError) as caught:
        store.get(digest_bytes(DATA))
    # aiohttp itself asks twice if a connection that it kept was closed.
    assert s3.count("GET") in (retries.ATTEMPTS, 2 * retries.ATTEMPTS)
    said = str(caught.value)
    assert store.files.place in said
    assert f"{NAME} could not be read" in said
    assert "check the network" in said
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in said


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_a_refusal_is_not_repeated(store: FileBlobs, s3: S3, method: str) -> None:
    """Wrong credentials are said at once, without the secret, and are no lost connection."""
    calls = {
        "GET": lambda: store.get(digest_bytes(DATA)),
        "HEAD": lambda: store.age(digest_bytes(DATA)),
        "PUT": lambda: store.stage(b"other"),
        "DELETE": lambda: store.discard(NAME),
    }
    with s3.failing(method, DENIED, 100), pytest.raises(ResourceError) as caught:
        calls[method]()
    assert s3.count(method) == 1
    assert not isinstance(caught.value, UnreachableError)
    assert "check that the credentials are set" in str(caught.value)
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 4096, 5000])
def test_a_big_file_is_read_block_by_block(
    s3: S3, gs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Of any size, from any store; a small file takes one request."""
    monkeypatch.setattr(remote, "BLOCK", 1024)
    data = random.Random(0).randbytes(size)
    for files in places(tmp_path).values():
        files.write("ab/one", data)
        with s3.failing("GET", dropped):
            assert files.read("ab/one") == data
    files = Remote(new_place("s3"))
    files.write("ab/one", data)
    with s3.failing("GET", dropped, 0):
        assert files.read("ab/one") == data
        assert s3.count("GET") == max(1, math.ceil(size / 1024))
        assert s3.count("HEAD") == (size >= 1024)


def test_a_listing_is_never_remembered(store: FileBlobs, files: Remote, s3: S3) -> None:
    """What another process deleted after this one listed it is missing, and is stored again."""
    assert len(list(store.sizes())) == 1
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request"}
    url = f"{s3.url}/{files.root}/{NAME}"
    urlopen(Request(url, headers=signed, method="DELETE")).close()  # noqa: S310
    assert files.stat(NAME) is None
    store.put(DATA, None)
    assert store.get(digest_bytes(DATA)) == DATA


# Writing


@pytest.mark.parametrize("fault", [SLOW, dropped, lost, flipped_upload])
def test_a_write_that_fails_once_is_repeated(files: Remote, s3: S3, fault: Fault) -> None:
    """Also if only the answer was lost, or if the store got other bytes than were sent."""
    store = FileBlobs(files)
    with s3.failing("PUT", fault):
        store.stage(DATA)
    assert store.get(digest_bytes(DATA)) == DATA
    assert [file.size for file in files.walk()] == [len(DATA)]


def places(tmp_path: Path) -> dict[str, Files]:
    """Return an empty place of each kind."""
    return {
        "folder": Folder(tmp_path / "files"),
        "s3": Remote(new_place("s3")),
        "gs": Remote(new_place("gs")),
        "memory": Remote(f"memory://{tmp_path.name}"),
    }


@pytest.mark.parametrize("place", ["folder", "s3", "memory"])
def test_what_is_there_is_not_overwritten(s3: S3, gs: None, tmp_path: Path, place: str) -> None:
    """The second of two writers that create a file changes nothing."""
    files = places(tmp_path)[place]
    assert files.create("ab/one", b"first")
    assert not files.create("ab/one", b"second")
    assert files.read("ab/one") == b"first"
    files.write("ab/one", b"third")
    assert files.read("ab/one") == b"third"
    assert [file.name for file in files.walk()] == ["ab/one"]


@pytest.mark.parametrize("place", ["folder", "s3", "gs", "memory"])
def test_a_store_says_when_a_file_was_written(s3: S3, gs: None, tmp_path: Path, place: str) -> None:
    """Of each file an object store says something that differs after it was written; a folder and
    what has no ETag say nothing."""
    files = places(tmp_path)[place]
    for name in ("cd/two", "ab/one", "taskbank.json"):
        files.write(name, b"some bytes")
    before = dict(files.validators())
    assert list(before) == (["ab/one", "cd/two", "taskbank.json"] if place in ("s3", "gs") else [])
    assert [file.name for file in files.walk()] == ["ab/one", "cd/two", "taskbank.json"]
    assert dict(files.validators()) == before
    files.write("cd/two", b"same bytes")
    changed = {name for name, text in files.validators() if text != before[name]}
    assert changed == ({"cd/two"} if before else set())


def test_a_store_that_knows_no_conditions_is_written_without(files: Remote, s3: S3) -> None:
    """A file's name says what its content is, so that overwriting it is safe."""
    with s3.failing("PUT", no_conditions, 2):
        assert files.create(NAME, DATA)
        assert s3.count("PUT") == 2
    assert files.read(NAME) == DATA


def test_a_big_blob_is_written_in_parts(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver sends it in parts, on the same condition, and it is whole or not there."""
    files = Remote(new_place("s3"))
    data = random.Random(0).randbytes(10 * 2**20 + 1)
    real = files.system.pipe_file
    monkeypatch.setattr(
        files.system,
        "pipe_file",
        lambda path, value, mode: real(path, value, mode=mode, chunksize=5 * 2**20),
    )
    with s3.failing("POST", SLOW):
        assert files.create("ab/big", data)
    assert not files.create("ab/big", data)
    assert files.read("ab/big") == data
    with s3.failing("PUT", DENIED, 100), pytest.raises(ResourceError, match="check that the cred"):
        files.create("ab/other", data)
    assert files.stat("ab/other") is None


def test_a_mistyped_bucket_is_said_and_not_made(s3: S3, tmp_path: Path) -> None:
    """No driver creates a bucket for a bank."""
    with pytest.raises(InputError, match=r"s3://no-such-bucket/x .*create the bucket first"):
        create_bank(f"sqlite:///{tmp_path}/bank.db", "s3://no-such-bucket/x")
    assert "PUT /no-such-bucket" not in s3.seen


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    import fsspec

    def missing(_url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(MissingExtraError, match=r"pip install 'taskbank\[s3\]'"):
        Remote("s3://bucket/x")


# Banks


def test_two_banks_that_are_made_at_once_do_not_share_a_place(
    filled: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later one sees the other's mark and takes its own away."""
    monkeypatch.setattr(opening, "check_new_store", lambda _url: None)  # both look before
    with pytest.raises(ConflictError, match="holds the blobs of the bank"):
        create_bank(f"sqlite:///{tmp_path}/second.db", filled.blobs_url)
    assert filled.gc(confirm=True).foreign == ()  # would refuse if there were another bank


@pytest.mark.parametrize("fault", [DENIED, dropped])
def test_a_collection_that_fails_leaves_no_row_without_its_blob(
    filled: Bank, s3: S3, fault: Fault
) -> None:
    """Rows go first: what is left are blobs without rows, which the next collection takes."""
    filled.put(new_adapter("other", seed=1))
    filled.remove("mood@1")
    with s3.failing("DELETE", fault, 100), pytest.raises(ResourceError, match="be deleted"):
        filled.gc(confirm=True)
    assert [record.ref for record in filled.adapters(retired=True)] == ["other@1"]
    assert verify_all(filled, level="integrity").ok
    filled.gc(confirm=True, strays=True, older_than=0)
    assert len(list(filled._blobs.sizes())) == 3
    assert verify_all(filled, level="integrity").ok


def test_a_collection_takes_nothing_that_was_added_meanwhile(
    filled: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blob is needed if a row names it at the moment of its deletion."""
    new = new_adapter()
    filled.remove("mood@1")
    real = FileBlobs.sizes

    def sizes(self: FileBlobs) -> Iterator[tuple[str, int]]:
        monkeypatch.undo()
        found = list(real(self))
        with Bank(filled.url) as writer:
            writer.put(new, new_version=True)
        return iter(found)

    monkeypatch.setattr(FileBlobs, "sizes", sizes)
    filled.gc(confirm=True, strays=True, older_than=0)
    assert [record.ref for record in filled] == ["mood@2"]
    assert verify_all(filled, level="integrity").ok


def test_an_age_can_be_given(filled: Bank) -> None:
    """A stray stays for a day unless a shorter age is given."""
    filled._blobs.stage(DATA)
    assert filled.gc(confirm=True, strays=True).recent == 1
    assert filled.gc(confirm=True, strays=True, older_than=0).recent == 0
    assert filled.gc().strays == ()
    assert verify_all(filled, level="integrity").ok


def write_forever(url: str, first: int) -> None:
    """Add tasks until this process is killed."""
    with Bank(url) as bank:
        for number in count(first):
            bank.put(new_adapter(f"task-{number}", seed=number))


def start_writer(bank: Bank, number: int) -> Any:
    """Start a process that adds tasks to a bank."""
    processes = get_context("forkserver")
    processes.set_forkserver_preload(["s3fs", "taskbank.bank.bank", __name__])
    writer = processes.Process(target=write_forever, args=(bank.url, 1000 * (number + 1)))
    writer.start()
    return writer


def check_whole(bank: Bank) -> int:
    """Check that every row has its blobs and that gc takes the others; return their number."""
    assert verify_all(bank, level="integrity").ok
    strays = len(bank.gc().strays)
    bank.gc(confirm=True, strays=True, older_than=0)
    assert bank.gc().strays == bank.gc().unfinished == ()
    assert verify_all(bank, level="integrity").ok
    return strays


@pytest.mark.process
def test_a_writer_that_is_killed_at_any_moment_leaves_no_row_without_its_blob(
    tmp_path: Path,
) -> None:
    """In a folder, at moments that have nothing to do with what it is doing."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db", f"{tmp_path}/blobs") as bank:
        added = len(bank)
        for number in range(KILLS):
            writer = start_writer(bank, number)
            while len(bank) == added:  # it has begun
                time.sleep(0.005)
            time.sleep(random.uniform(0, 0.1))
            writer.kill()
            writer.join()
            added = len(bank)
        assert added >= KILLS
        check_whole(bank)


@pytest.mark.process
def test_a_writer_that_is_killed_leaves_blobs_without_rows_at_most(filled: Bank, s3: S3) -> None:
    """On S3, at random requests before its first task is recorded."""
    for number, moment in enumerate(random.Random(0).sample(range(4, 12), 4)):
        left = moment

        def strike() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(writer.pid, signal.SIGKILL)  # noqa: B023

        s3.watch = strike
        writer = start_writer(filled, number)
        writer.join()
        s3.watch = lambda: None
        assert writer.exitcode == -signal.SIGKILL
    assert check_whole(filled) > 0
