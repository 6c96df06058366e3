"""`taskbank trials`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.records import TrialRecord
from taskbank.cli.trials import group_by_setting, print_spread, print_trials
from taskbank.specs import MethodSpec, TrainingSpec
from tests.helpers.adapters import new_trial
from tests.helpers.terminal import Screen


def test_trials_of_several_methods_are_shown_by_what_differs(
    bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    """What one method has and another has not is no difference between trials of either."""
    from taskbank.cli.main import run

    full = MethodSpec("full", {"layers": "all"})
    bank.put_trial(new_trial(seed=1))
    bank.put_trial(new_trial(seed=2, method=full, training=TrainingSpec(epochs=3, seed=2)))
    assert run(["--bank", bank.url, "trials", "mood"]) == 0
    heading = capsys.readouterr().out.splitlines()[0]
    assert "epochs" in heading
    assert not {"init_std", "activation", "layers", "size"} & set(heading.split())
    wide = MethodSpec("houlsby", {"size": 16, "init_std": 0.01, "activation": "gelu"})
    bank.put_trial(new_trial(seed=3, method=wide))
    assert run(["--bank", bank.url, "trials", "mood"]) == 0
    heading = capsys.readouterr().out.splitlines()[0]
    assert "size" in heading.split()
    assert "init_std" not in heading


def trial(seed: int = 0, score: float = 0.5, **changes: Any) -> TrialRecord:
    """Return a trial as a bank has it."""
    training = {"epochs": 2, "learning_rate": 0.001, "batch_size": 32, "seed": seed}
    return TrialRecord(
        task="corp",
        kind="single",
        backbone="sha256:1",
        specification="sha256:2",
        method="houlsby",
        options=changes.pop("options", {"size": 8}),
        training=training | changes.pop("training", {}),
        data={"train": {"rows": 9}},
        labels=("a", "b"),
        settings={},
        status=changes.pop("status", "complete"),
        metric=changes.pop("metric", "accuracy"),
        score=score,
        metrics=(),
        parameters=1234,
        digest=None,
        environment={},
        created_at="2026-01-01",
        course={"seconds": 1.2},
        request=None,
        **changes,
    )


@pytest.mark.parametrize("width", [60, 80, 120])
def test_trials_say_once_what_all_have_alike(screen: Screen, width: int) -> None:
    """On a terminal only what differs is a column, and a search fits its narrowest."""
    found = [
        trial(seed, options={"size": size, "activation": "gelu"}, training={"learning_rate": rate})
        for seed in (0, 1)
        for size in (8, 64)
        for rate in (0.0003, 0.001)
    ]
    screen.widen(width)
    print_trials(found)
    lines = screen.lines()
    assert lines[0] == "task corp, method houlsby, epochs 2, metric accuracy"
    assert lines[1].split()[:5] == ["size", "learning_rate", "seed", "status", "score"]
    assert len(lines) == 3 + len(found)
    assert all(len(line) <= width for line in lines[1:])
    print_spread(found)
    lines = screen.lines()
    assert lines[:2] == ["", "task corp, method houlsby, epochs 2, metric accuracy"]
    assert len(lines) == 4 + 4


def test_trials_that_differ_say_nothing_once(screen: Screen) -> None:
    """What one of the rows has otherwise stays a column."""
    screen.widen(200)
    print_trials([trial(), replace(trial(metric="f1"), task="b", method="full", options={})])
    lines = screen.lines()
    assert lines[0] == "epochs 2, learning_rate 0.001"
    assert lines[1].split()[:5] == ["task", "method", "seed", "status", "metric"]


def test_a_pipe_gets_all_columns_of_trials(screen: Screen) -> None:
    """What is read by scripts does not depend on what differs."""
    screen.widen(None)
    print_trials([trial(0), trial(1)])
    lines = screen.lines()
    columns = "task method epochs learning_rate seed status metric score params seconds"
    assert lines[0].split() == columns.split()
    assert len(lines) == 4


def test_a_seed_counts_once(screen: Screen) -> None:
    """A trial that was run again is no further seed: the last one stands for it."""
    assert group_by_setting([trial(0, 0.1), trial(0, 0.2)]) == [[trial(0, 0.2)]]
    screen.widen(None)
    print_spread([trial(0, 0.1), trial(0, 0.2)])
    assert screen.lines() == []
    print_spread([trial(0, 0.1), trial(1, 0.5), trial(0, 0.3), trial(2, 0.9, status="pruned")])
    (row,) = screen.lines()[2:]
    assert row.split()[4:] == ["2", "accuracy", "0.4000", "0.1414", "0.3000", "0.5000"]


def test_other_data_metrics_and_backbones_are_other_settings() -> None:
    """Only what differs in nothing but the seed is put together."""
    one = trial()
    others = [
        replace(one, backbone="sha256:9"),
        replace(one, metric="f1"),
        replace(one, data={}),
        replace(one, method="full"),
    ]
    assert len(group_by_setting([one, *others, trial(1)])) == 5
