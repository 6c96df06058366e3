"""History: what happened, and how the tasks fared while others were added."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.database import writing
from taskbank.bank.catalog.rows import now
from taskbank.cli.main import run
from taskbank.errors import InputError, MissingExtraError, NotFoundError
from taskbank.history.continual import (
    average_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
)
from taskbank.history.events import bank_events, task_events
from taskbank.history.matrix import score_matrix
from taskbank.history.plots import check_plot, draw_matrix, draw_task
from tests.helpers.making import new_adapter, record_finding

REFERENCE = json.loads((Path(__file__).parent / "continual_reference.json").read_text())


def observe(bank: Bank, **scores: float) -> int:
    """Record a verification that saw tasks score so much."""
    values = {"level": "full", "ok": True, "checked": len(scores), "tolerance": 1.0}
    more = {"environment": {}, "started_at": now(), "finished_at": now(), "vouched": 0}
    results = [
        {
            "task": task,
            "version": bank[task].version,
            "status": "ok" if score == bank[task].score else "changed",
            "metric": "accuracy",
            "recorded": bank[task].score,
            "observed": score,
            "flips": 0,
            "examples": 10,
            "shift": 0.0,
            "circumstances": None,
            "evidence": None,
        }
        for task, score in scores.items()
    ]
    with writing(bank.engine) as connection:
        return bank.verifications.add(connection, values | more, results, [])


# The measures


@pytest.mark.parametrize("case", REFERENCE, ids=lambda case: f"{len(case['scores'])} tasks")
def test_the_measures_are_those_of_avalanche(case: dict[str, list[list[float]]]) -> None:
    """On the same matrix backward and forward transfer are what Avalanche computes; what it calls
    forgetting is minus the backward transfer."""
    scores, untrained = np.array(case["scores"]), np.array(case["untrained"])
    assert backward_transfer(scores) == pytest.approx(case["backward_transfer"])
    assert forward_transfer(scores, untrained) == pytest.approx(case["forward_transfer"])
    assert -backward_transfer(scores) == pytest.approx(case["forgetting"])


def test_forgetting_is_from_the_best_there_ever_was() -> None:
    """A task that got better before it got worse has forgotten more than it lost since it was
    added; one that never was better has forgotten what Avalanche says."""
    rose = np.array([[0.5, np.nan, np.nan], [0.9, 0.8, np.nan], [0.6, 0.7, 0.4]])
    assert forgetting(rose) == pytest.approx(((0.9 - 0.6) + (0.8 - 0.7)) / 2)
    assert backward_transfer(rose) == pytest.approx(((0.6 - 0.5) + (0.7 - 0.8)) / 2)
    fell = np.array([[0.9, np.nan], [0.7, 0.8]])
    assert forgetting(fell) == pytest.approx(-backward_transfer(fell)) == pytest.approx(0.2)
    assert average_accuracy(rose) == pytest.approx((0.6 + 0.7 + 0.4) / 3)


def test_a_single_task_transfers_nothing() -> None:
    """There is no other task that could have changed it, and none before it."""
    one = np.array([[0.7]])
    assert average_accuracy(one) == 0.7
    assert backward_transfer(one) is forgetting(one) is None
    assert forward_transfer(one, np.array([0.5])) is None
    assert forward_transfer(np.array([[0.7, np.nan], [0.7, 0.8]]), np.array([0.5, 0.5])) is None


# The matrix of a bank


def test_the_matrix_is_what_was_seen_after_each_task(bank: Bank) -> None:
    """A row holds what verifications saw before the next task was added; what they did not look
    at stays as it was, a new version takes its task's place, and nothing is known before."""
    first = bank.put(new_adapter("first"))
    observe(bank, first=first.score - 0.1)
    second = bank.put(new_adapter("second", seed=1))
    third = bank.put(new_adapter("third", seed=2))
    observe(bank, first=first.score, second=second.score - 0.2)
    again = bank.put(new_adapter("first", seed=5), new_version=True)
    gone = bank.put(new_adapter("gone", seed=3))
    bank.remove(gone.ref)
    found = score_matrix(bank)
    assert found.tasks == ("first", "second", "third")
    assert set(found.metrics) == {"accuracy"}
    expected = [
        [first.score - 0.1, None, None],
        [first.score - 0.1, second.score, None],
        [again.score, second.score - 0.2, third.score],
    ]
    assert found.to_json()["scores"] == [pytest.approx(row) for row in expected]
    measures = found.measures()
    assert measures["average_accuracy"] == pytest.approx(np.mean(expected[-1]))
    assert measures["forward_transfer"] is None
    assert measures["backward_transfer"] == pytest.approx(
        np.mean([again.score - first.score + 0.1, -0.2])
    )


def test_a_retired_version_does_not_count(bank: Bank) -> None:
    """What a version scored that is out of use now is no score of its task."""
    first = bank.put(new_adapter("mood"))
    bank.put(new_adapter("mood", seed=1), new_version=True)
    observe(bank, mood=0.123)
    bank.remove("mood@2")
    assert score_matrix(bank).scores.tolist() == [[first.score]]


def test_a_loss_is_the_better_the_lower_it_is(bank: Bank) -> None:
    """What grew is forgotten, where the metric is a loss."""
    loss = next(m.value for m in new_adapter().metrics if m.name == "log_loss")
    bank.put(replace(new_adapter("mood"), metric="log_loss"))
    bank.put(new_adapter("other", seed=1))
    observe(bank, mood=loss + 0.5)
    measures = score_matrix(bank).measures()
    assert measures["forgetting"] == pytest.approx(0.5)
    assert measures["backward_transfer"] == pytest.approx(-0.5)


def test_an_empty_bank_has_an_empty_matrix(bank: Bank) -> None:
    """Nothing is measured where there is nothing."""
    found = score_matrix(bank)
    assert (found.tasks, found.scores.shape) == ((), (0, 0))
    assert set(found.measures().values()) == {None}
    assert bank_events(bank) == []


# Events


def test_everything_that_happened_to_a_task_is_told_in_order(bank: Bank) -> None:
    """Versions, aliases, verifications, what was accepted and why, tolerances, retirement."""
    bank.put(new_adapter("mood"))
    bank.put(new_adapter("other", seed=1))
    number = record_finding(bank)
    bank.alias("mood@1", "production")
    bank.drop_alias("mood", "production")
    bank.set_tolerance("mood", None)
    bank.put(new_adapter("mood", seed=2), new_version=True)
    bank.remove("mood@1")
    found = task_events(bank, "mood")
    assert [event.at for event in found] == sorted(event.at for event in found)
    assert [event.what for event in found] == [
        "added",
        "verified",
        "accepted",
        "tolerance",
        "alias",
        "alias",
        "tolerance",
        "added",
    ]
    by_what = {event.what: event for event in reversed(found)}
    assert by_what["verified"].verification == by_what["accepted"].verification == number
    assert by_what["accepted"].result == "a test wants it"
    assert "out of use now" in by_what["added"].result
    with pytest.raises(NotFoundError):
        task_events(bank, "nothing")


def test_the_events_of_a_bank_are_its_adapters_and_verifications(bank: Bank) -> None:
    """Each verification says what it found; one that did not end says how to go on."""
    bank.put(new_adapter("mood"))
    record_finding(bank)
    bank.start_run("full", [], {})
    found = bank_events(bank)
    assert [event.what for event in found] == ["added", "verified", "interrupted"]
    assert found[1].result == "1 checked, 1 changed, not well"
    assert "0 adapters observed" in found[2].result


# Pictures and the command line


@pytest.mark.parametrize("tasks", [1, 3, 40])
def test_pictures_are_drawn_and_the_same_every_time(tmp_path: Path, tasks: int) -> None:
    """Of few tasks with their names and of many without; equal data gives equal bytes."""
    from taskbank.bank.open import create_bank

    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        for number in range(tasks):
            bank.put(new_adapter(f"task{number}", seed=number))
        observe(bank, task0=0.1)
        matrix, events = score_matrix(bank), task_events(bank, "task0")
    for ending in ("png", "svg"):
        for draw, what in ((draw_matrix, (matrix,)), (draw_task, ("task0", events))):
            paths = [tmp_path / f"{number}.{ending}" for number in range(2)]
            for path in paths:
                draw(*what, path)
            assert paths[0].read_bytes() == paths[1].read_bytes()
            assert paths[0].stat().st_size > 1000


def test_a_picture_that_cannot_be_drawn_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another ending, a folder that is not there, no matplotlib."""
    with pytest.raises(InputError, match=r"\.png or \.svg"):
        check_plot(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="cannot be written to"):
        check_plot(tmp_path / "nowhere" / "a.png")
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"taskbank\[plots\]"):
        check_plot(tmp_path / "a.png")


def test_the_command_shows_it(
    bank: Bank, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables, JSON, pictures, and errors for what cannot be had."""
    base = ["--bank", bank.engine.url.render_as_string(hide_password=False), "history"]
    assert run(base) == 0
    assert "nothing has happened" in capsys.readouterr().out
    assert run([*base, "--matrix"]) == 0
    assert run([*base, "--plot", str(tmp_path / "none.png")]) == 2
    for seed in range(3):
        bank.put(new_adapter(f"task{seed}", seed=seed))
    record_finding(bank, "task1")
    capsys.readouterr()
    assert run(base) == 0
    assert "1 checked, 1 changed, not well" in capsys.readouterr().out
    assert run([*base, "task1"]) == 0
    assert "a test wants it" in capsys.readouterr().out
    assert run([*base, "task1", "--json"]) == 0
    assert {one["what"] for one in json.loads(capsys.readouterr().out)} >= {"added", "accepted"}
    picture = tmp_path / "matrix.svg"
    assert run([*base, "--matrix", "--plot", str(picture), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"] == ["task0", "task1", "task2"]
    assert picture.read_text().startswith("<?xml")
    assert run([*base, "--matrix"]) == 0
    out = capsys.readouterr().out
    assert "backward transfer" in out
    assert "0.0000" in out
    assert run([*base, "task1", "--plot", str(tmp_path / "task.png")]) == 0
    assert run([*base, "task1", "--matrix"]) == 2
    assert run([*base, "nothing"]) == 2
