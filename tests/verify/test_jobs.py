"""Jobs of a verification whose server is away for a while, on workers as a cluster runs them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.errors import UnreachableError
from taskbank.model.load import load_model
from taskbank.verify import observer
from taskbank.verify.verify import verify_all
from taskbank.workers import executor, ray_dispatch
from taskbank.workers.job import Job, run_job_apart
from taskbank.workers.ray_dispatch import RayDispatch
from taskbank.workers.worker import Worker
from tests.helpers.adapters import put_model
from tests.helpers.models import moved

TASKS = ("one", "two", "three")


class OneWorker:
    """A cluster of one worker, in fact here, with a clock that only waiting workers move.

    Args:
        worker: what its jobs run with.
    """

    in_process, workers = False, 1

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.idle: list[Any] = []
        self.now = 0.0
        self.run_remotely = type("Method", (), {"remote": self.run_one})

    def monotonic(self) -> float:
        """Return the time."""
        return self.now

    def pick_device(self, _name: str | None) -> str:
        """Return the only device."""
        return "cpu"

    def start(self) -> tuple[Any, Any]:
        """Start the worker, which is ready at once."""
        return type("Actor", (), {"run": self.run_remotely}), iter([None])

    def run_one(self, job: Job[Any], index: int, pause: float) -> Any:
        """Run a job."""
        self.now += pause
        return iter([run_job_apart(job, index, self.worker)])

    def wait(self, references: list[Any]) -> list[Any]:
        """Return the first reference."""
        return references[:1]

    def outcome(self, reference: Any) -> Any:
        """Return what was returned."""
        return next(reference)

    def kill(self, _actors: list[Any]) -> None:
        """Do nothing."""

    def run(self, jobs: Sequence[Job[Any]], **_shown: Any) -> Iterator[Any]:
        """Run jobs; see `Executor.run`."""
        return RayDispatch(self, jobs).run()  # type: ignore[arg-type]


@pytest.fixture
def filled(own: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> Bank:
    """A bank with three tasks, which verifications predict one at a time, on one worker."""
    for seed, name in enumerate(TASKS):
        put_model(own, name, moved(backbone, "houlsby", seed, size=2), {"size": 2})

    @contextmanager
    def one_worker(_where: str, bank: Bank, **_given: Any) -> Iterator[OneWorker]:
        cluster = OneWorker(Worker(bank, backbone))
        monkeypatch.setattr(ray_dispatch, "time", cluster)
        yield cluster

    monkeypatch.setattr(executor, "executor_for", one_worker)
    monkeypatch.setattr(observer, "WINDOW_TASKS", 1)
    return own


def lose_bank(monkeypatch: pytest.MonkeyPatch, times: float) -> Counter[str]:
    """Let the bank be away some times when the second task is loaded; count all loadings."""
    loaded: Counter[str] = Counter()

    def load(bank: Bank, record: Any, backbone: Backbone) -> Any:
        loaded[record.task] += 1
        if record.task == "two" and loaded["two"] <= times:
            raise UnreachableError("the bank is away")
        return load_model(bank, record, backbone)

    monkeypatch.setattr(observer, "load_model", load)
    return loaded


def test_a_verification_on_workers_survives_an_outage(
    filled: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More tries than a job has, and what was predicted before is neither predicted again nor
    recorded twice."""
    loaded = lose_bank(monkeypatch, 5)
    with pytest.warns(UserWarning, match="the bank is away; trying again for 120 seconds"):
        report = verify_all(filled, executor="ray")
    assert (report.ok, [task.status for task in report.tasks]) == (True, ["ok"] * 3)
    assert (loaded["one"], loaded["two"]) == (1, 6)  # the third is loaded beside the second
    found = filled.verification_log.observations(1)
    assert sorted(adapter for adapter, _ in found) == [1, 2, 3]
    (stored,) = filled._engine.connect().exec_driver_sql("SELECT count(*) FROM observations")
    assert stored == (3,)


def test_a_server_that_stays_away_ends_a_verification_on_workers(
    filled: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker had checked before counts, and the rest is unchecked until it is resumed."""
    with monkeypatch.context() as patch:
        lose_bank(patch, float("inf"))
        with pytest.warns(UserWarning, match="trying again"):
            report = verify_all(filled, executor="ray")
    assert (report.exit_code, report.interrupted) == (5, "the bank is away")
    assert [task.status for task in report.tasks] == ["ok", "unchecked", "unchecked"]
    assert verify_all(filled, executor="ray", resume=True).ok
