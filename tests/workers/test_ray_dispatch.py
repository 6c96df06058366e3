"""Which worker gets which job when workers die, decided here and not by chance."""

from __future__ import annotations

from typing import Any

import pytest

from taskbank.errors import ResourceError, UnreachableError
from taskbank.workers import ray_dispatch
from taskbank.workers.job import Finished
from taskbank.workers.ray_dispatch import RayDispatch
from tests.helpers.jobs import Job


class Fates:
    """Workers that live (`.`), die (`x`) or do not reach the bank (`-`) in turn, whatever they do.

    Args:
        fates: what happens at each turn.
        workers: number of workers that there is room for.
    """

    def __init__(self, fates: str, workers: int = 1) -> None:
        self.turns, self.workers = iter(fates), workers
        self.idle: list[Any] = []
        self.alive: list[int] = []  # how many workers start or have a job at each turn
        self.indices: dict[object, int | None] = {}
        self.now = 0.0

    def monotonic(self) -> float:
        """Return the time: it passes while workers wait, and a second with each job."""
        return self.now

    def start(self) -> tuple[Any, object]:
        """Start a worker."""
        return self, self._reference(None)

    @property
    def run(self) -> Fates:
        """What a worker runs jobs with."""
        return self

    def remote(self, _job: Job, index: int, pause: float) -> object:
        """Give a worker a job."""
        self.now += pause + 1
        return self._reference(index)

    def wait(self, references: list[object]) -> list[object]:
        """Let the first end."""
        self.alive.append(len(references))
        return references[:1]

    def outcome(self, reference: object) -> Any:
        """Decide."""
        index = self.indices[reference]
        turn = next(self.turns)
        if turn == "x":
            return RuntimeError("it died")
        if turn == "-":
            return Finished(index or 0, error=UnreachableError("the bank is away"))
        return None if index is None else Finished(index, index)

    def kill(self, actors: list[Any]) -> None:
        """Do nothing."""

    def _reference(self, index: int | None) -> object:
        reference = object()
        self.indices[reference] = index
        return reference


def results(fates: Fates, count: int) -> list[Any]:
    """Return what so many jobs returned, in the order in which they ended."""
    dispatch: RayDispatch[int] = RayDispatch(fates, [Job(n) for n in range(count)])  # type: ignore[arg-type]
    return [finished.get() for finished in dispatch.run()]


def test_workers_that_die_now_and_then_before_a_job_are_replaced() -> None:
    """Only three in a row are too many, as then none may be able to start."""
    with pytest.raises(ResourceError, match="no worker starts on the cluster: it died"):
        results(Fates("xxx"), 1)
    assert results(Fates("xx.xxx.."), 1) == [0]  # the third is ready, and dies with the job


def test_a_job_whose_worker_died_goes_to_one_that_is_idle() -> None:
    """Which has loaded the encoder already, and does not have to be started."""
    fates = Fates("...x.", workers=2)
    assert results(fates, 2) == [0, 1]
    assert fates.alive == [2, 2, 2, 1, 1]


def test_a_job_is_given_up_after_three_workers() -> None:
    """Which died with it."""
    fates = Fates(".x.x.x..")
    with pytest.raises(ResourceError, match="ended unexpectedly, 3 times: it died"):
        results(fates, 1)


def test_idle_workers_are_used_again() -> None:
    """No further one is started for the next jobs."""
    fates = Fates("......", workers=2)
    assert sorted(results(fates, 2)) == [0, 1]
    assert len(fates.idle) == 2
    assert sorted(results(fates, 2)) == [0, 1]
    assert len(fates.indices) == 6  # two answers of new workers, and four jobs


def test_an_outage_of_the_bank_uses_up_no_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a job cannot reach the bank for a minute, its worker may still die twice."""
    fates = Fates(".---x.--x.-.")
    monkeypatch.setattr(ray_dispatch, "time", fates)
    with pytest.warns(UserWarning, match="the bank is away; trying again for 120 seconds") as told:
        assert results(fates, 1) == [0]
    assert len(told) == 1
    assert fates.now > 60


def test_a_bank_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After two minutes every job ends at its next try, however many there are."""
    fates = Fates("." + "-" * 99)
    monkeypatch.setattr(ray_dispatch, "time", fates)
    dispatch: RayDispatch[int] = RayDispatch(fates, [Job(n) for n in range(20)])  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="the bank is away"):
        ended = list(dispatch.run())
    assert all(isinstance(one.error, UnreachableError) for one in ended)
    assert 120 < fates.now < 200


def test_one_job_that_never_reaches_a_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the others do, which shows that it is its own."""
    fates = Fates("." + "-." * 30)
    monkeypatch.setattr(ray_dispatch, "time", fates)
    dispatch: RayDispatch[int] = RayDispatch(fates, [Job(n) for n in range(25)])  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="the bank is away"):
        ended = {one.index: one.error for one in dispatch.run()}
    assert len(ended) == 25
