"""Suites: many tasks from one file, everything wrong said at once, nothing trained twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import taskbank
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import InputError
from taskbank.pipeline.suite import SuiteReport, add_tasks
from taskbank.pipeline.train_and_store import train_and_store
from tests.helpers.backbones import make_backbone
from tests.helpers.rows import sentences, write_jsonl


def statuses(report: SuiteReport) -> list[str]:
    """Return what became of each task."""
    return [outcome.status for outcome in report.outcomes]


def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test fail if anything is trained."""
    monkeypatch.setattr(
        "taskbank.training.trainer.train", lambda *a, **k: pytest.fail("training started")
    )


@pytest.mark.slow
def test_a_suite_is_added_once(
    url: str, suite: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On either database: every task with its own options over the defaults; the second run
    skips them all without loading a backbone."""
    report = add_tasks(url, suite, backbone=str(folder))
    assert report.ok
    assert statuses(report) == ["added", "added", "measured"]
    with Bank(url) as bank:
        one, two = bank["one"], bank["two"]
        assert (one.options["size"], two.options["size"]) == (64, 8)
        assert (one.metric, two.metric) == ("accuracy", "f1_macro")
        assert one.training["epochs"] == two.training["epochs"] == 1
        assert (one.tags, two.tags) == ({"team": "search"}, {"team": "search", "owner": "me"})
        assert (one.split, two.split) == ("test", "validation")
        assert report.outcomes[0].score == one.score
    no_training(monkeypatch)
    monkeypatch.setattr(
        "taskbank.pipeline.suite.resolve_backbone", lambda *a: pytest.fail("loaded")
    )
    again = add_tasks(url, suite)
    assert statuses(again) == ["skipped"] * 3
    assert [o.score for o in again.outcomes] == [o.score for o in report.outcomes]


@pytest.mark.slow
def test_a_task_that_fails_does_not_stop_the_others(
    suite: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failed one is named with its reason, and only it is tried again by the next run."""
    from taskbank.errors import TrainingError
    from taskbank.pipeline import suite as module

    url = f"sqlite:///{tmp_path}/bank.db"
    real = train_and_store

    def failing(bank: Any, backbone: Any, plan: Any, **given: Any) -> Any:
        if plan.name == "one":
            raise TrainingError("training diverged")
        return real(bank, backbone, plan, **given)

    with monkeypatch.context() as patch:
        patch.setattr(module, "train_and_store", failing)
        report = add_tasks(url, suite, backbone=str(folder))
    assert statuses(report) == ["failed", "added", "measured"]
    assert (report.ok, report.outcomes[0].problem) == (False, "training diverged")
    assert statuses(add_tasks(url, suite)) == ["added", "skipped", "skipped"]


@pytest.mark.slow
def test_an_error_of_any_sort_does_not_stop_the_others(
    suite: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost device, a defect: the task failed, with its reason; the others are added."""
    from taskbank.pipeline import suite as module

    real = train_and_store

    def failing(bank: Any, backbone: Any, plan: Any, **given: Any) -> Any:
        if plan.name == "one":
            raise RuntimeError("the device is lost")
        return real(bank, backbone, plan, **given)

    monkeypatch.setattr(module, "train_and_store", failing)
    report = add_tasks(f"sqlite:///{tmp_path}/bank.db", suite, backbone=str(folder))
    assert statuses(report) == ["failed", "added", "measured"]
    assert report.outcomes[0].problem == "RuntimeError: the device is lost"


@pytest.mark.slow
def test_a_suite_for_another_backbone_is_another_thing(
    suite: Path, tmp_path: Path, folder: Path
) -> None:
    """What is there for one backbone is not taken for what was asked of another."""
    url = f"sqlite:///{tmp_path}/bank.db"
    add_tasks(url, suite, backbone=str(folder))
    other = str(make_backbone(tmp_path / "other", seed=7))
    with pytest.raises(InputError, match="--new-version"):
        add_tasks(url, suite, backbone=other)
    report = add_tasks(url, suite, backbone=other, new_version=True)
    assert [o.ref for o in report.outcomes] == ["one@2", "two@2", None]
    assert statuses(add_tasks(url, suite, backbone=other)) == ["skipped"] * 3
    assert statuses(add_tasks(url, suite, backbone=str(folder))) == ["skipped"] * 3


@pytest.mark.slow
def test_an_interrupted_suite_goes_on_where_it_was(
    suite: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the second task keeps the first; the next run trains the rest."""
    from taskbank.pipeline import suite as module

    url = f"sqlite:///{tmp_path}/bank.db"
    real = train_and_store

    def interrupted(bank: Any, backbone: Any, plan: Any, **given: Any) -> Any:
        if plan.name == "two":
            raise KeyboardInterrupt
        return real(bank, backbone, plan, **given)

    with monkeypatch.context() as patch:
        patch.setattr(module, "train_and_store", interrupted)
        with pytest.raises(KeyboardInterrupt):
            add_tasks(url, suite, backbone=str(folder))
    with Bank(url) as bank:
        assert [record.ref for record in bank] == ["one@1"]
        assert taskbank.verify_all(bank).ok
    assert statuses(add_tasks(url, suite)) == ["skipped", "added", "measured"]


@pytest.mark.slow
def test_a_task_that_another_command_has_added_meanwhile_is_not_trained(
    suite: Path, tmp_path: Path, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not there when the suite was planned, and is when its turn comes."""
    from taskbank.pipeline import suite as module

    url = f"sqlite:///{tmp_path}/bank.db"
    with create_bank(url) as bank:
        bank.add_backbone(backbone.identity)
    real = module._plan_entries

    def late(*given: Any, **named: Any) -> Any:
        planned = real(*given, **named)
        monkeypatch.setattr(module, "_plan_entries", real)
        assert statuses(add_tasks(url, suite)) == ["added", "added", "measured"]
        no_training(monkeypatch)
        return planned

    monkeypatch.setattr(module, "_plan_entries", late)
    assert statuses(add_tasks(url, suite)) == ["skipped"] * 3


@pytest.mark.slow
def test_a_changed_specification_needs_a_new_version(
    suite: Path, tmp_path: Path, folder: Path
) -> None:
    """A task whose options or data changed is refused, or gets a version where that was asked."""
    url = f"sqlite:///{tmp_path}/bank.db"
    add_tasks(url, suite, backbone=str(folder))
    suite.write_text(suite.read_text().replace("size = 8", "size = 2"))
    with pytest.raises(InputError, match=r"line 13: task 'two': .*--new-version"):
        add_tasks(url, suite)
    report = add_tasks(url, suite, new_version=True)
    assert [o.ref for o in report.outcomes] == ["one@1", "two@2", None]
    write_jsonl(suite.parent / "one.jsonl", sentences(72, seed=5))
    assert statuses(add_tasks(url, suite, new_version=True)) == ["added", "skipped", "skipped"]


def test_bad_data_and_options_of_all_tasks_are_said_before_the_first_training(
    suite: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing file, an unknown method, a bad row: all at once, and no bank is made."""
    no_training(monkeypatch)
    write_jsonl(suite.parent / "bad.jsonl", [{"text": "", "label": "x"}])
    suite.write_text(
        '[[task]]\nname = "a"\ntrain = "nowhere.csv"\n'
        '[[task]]\nname = "b"\ntrain = "one.jsonl"\nmethod = "magic"\n'
        '[[task]]\nname = "c"\ntrain = "bad.jsonl"\n'
        '[[task]]\nname = "d"\ntrain = "one.jsonl"\nsize = 0\n'
        '[[task]]\nname = "e e"\ntrain = "one.jsonl"\n'
        '[[task]]\nname = "f"\ntrain = "one.jsonl"\nepoch = 3\n'
    )
    with pytest.raises(InputError) as caught:
        add_tasks(f"sqlite:///{tmp_path}/bank.db", suite, backbone=str(folder))
    said = str(caught.value)
    assert "6 problems" in said
    for part in (
        "line 21: 'epoch'",
        "line 1: task 'a'",
        "line 4: task 'b'",
        "line 8: task 'c'",
        "row 1",
        "size is 0",
    ):
        assert part in said
    assert not (tmp_path / "bank.db").exists()


def test_inputs_longer_than_the_backbone_takes_are_said_before_the_first_training(
    suite: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A length that only the backbone can refuse is refused for every task, before training."""
    no_training(monkeypatch)
    suite.write_text(suite.read_text().replace("epochs = 1", "epochs = 1\nmax_length = 999"))
    with pytest.raises(InputError, match=r"3 problems(.|\n)*max_length is 999"):
        add_tasks(f"sqlite:///{tmp_path}/bank.db", suite, backbone=str(folder))


@pytest.mark.slow
def test_an_open_bank_is_taken_as_it_is(suite: Path, tmp_path: Path, folder: Path) -> None:
    """A bank that knows its backbone needs none to be named."""
    url = f"sqlite:///{tmp_path}/bank.db"
    taskbank.init(url, str(folder))
    with create_bank(url) as bank:
        assert add_tasks(bank, suite).ok
        assert len(bank) == 2


@pytest.mark.slow
def test_a_measured_task_shows_its_best_trial_again(tmp_path: Path, folder: Path) -> None:
    """Scored on validation, a task of several seeds has the score of the best of them, in the
    first run and when it is skipped."""
    write_jsonl(tmp_path / "data.jsonl", sentences(64))
    path = tmp_path / "suite.toml"
    path.write_text(
        '[[task]]\nname = "one"\ntrain = "data.jsonl"\nmethod = "layernorm"\nepochs = 1\n'
        'seeds = 4\nlearning_rate = 0.3\n[[task]]\nname = "two"\ntrain = "data.jsonl"\n'
        'method = "full"\nepochs = 2\nseeds = 4\nlearning_rate = 0.01\n'
    )
    url = f"sqlite:///{tmp_path}/bank.db"
    first = add_tasks(url, path, backbone=str(folder), verify="none")
    again = add_tasks(url, path, verify="none")
    with Bank(url) as bank:
        scores = [trial.value("validation") for trial in bank.trials("two")]
    assert len(set(scores)) > 1
    assert first.outcomes[1].score == again.outcomes[1].score == max(scores)
