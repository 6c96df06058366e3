"""The simulation of a cluster, where the answer is known."""

from __future__ import annotations

import pytest

from scripts.benchmarks import cluster_simulation
from scripts.benchmarks.cluster_simulation import Costs, Work, simulate


@pytest.fixture(autouse=True)
def _nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no worker be slow or die, and every job take the same time."""
    monkeypatch.setattr(cluster_simulation, "SLOW_SHARE", 0.0)
    monkeypatch.setattr(cluster_simulation, "LIFE", 1e12)
    monkeypatch.setattr(cluster_simulation, "SPREAD", 0.0)


def test_work_is_divided_by_the_workers() -> None:
    """Without costs, 1,000 jobs of 3 seconds take 300 seconds on ten workers."""
    found = simulate(Work("", 1000, 3.0, 1), 10, Costs(0, 0, 0))
    assert found.seconds == pytest.approx(300)
    assert found.share == pytest.approx(1)
    assert found.repeated == 0


def test_what_does_one_thing_at_a_time_is_a_bound() -> None:
    """A commit of 0.1 seconds, or as long for the driver, takes 100 seconds for 1,000 jobs."""
    for costs in (Costs(0.1, 0, 0), Costs(0, 0.1, 0)):
        found = simulate(Work("", 1000, 1.0, 1), 1000, costs)
        assert found.seconds == pytest.approx(101, abs=0.2)
        assert max(found.driver, found.catalog) == pytest.approx(0.99, abs=0.01)


def test_every_job_ends_although_workers_die(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs what was lost and the start, and the same seed gives the same."""
    monkeypatch.setattr(cluster_simulation, "LIFE", 20.0)
    work, costs = Work("", 500, 2.0, 1), Costs(0, 0.001, 5.0)
    found = simulate(work, 10, costs)
    assert found.repeated > 20
    assert found.seconds > 100 + found.repeated * 5 / 10
    assert simulate(work, 10, costs) == found


def test_slow_workers_delay_the_end_by_a_job_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs go to whoever is free, so that slow workers get fewer of them."""
    monkeypatch.setattr(cluster_simulation, "SLOW_SHARE", 0.5)
    found = simulate(Work("", 2000, 1.0, 1), 20, Costs(0, 0, 0))
    slow = round((1 - (2000 / found.seconds / 20)) / 0.75 * 20)
    assert 3 <= slow <= 17
    assert found.seconds <= 2000 / (20 - 0.75 * slow) + 4 + 1
