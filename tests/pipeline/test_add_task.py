"""Adding tasks end to end, and everything that must be refused before training starts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import pandas
import pytest

import taskbank
from taskbank.bank.bank import Bank
from taskbank.errors import (
    ConflictError,
    InputError,
)
from taskbank.pipeline.add_task import add_task
from taskbank.pipeline.init import init
from taskbank.pipeline.train_and_store import Added
from tests.helpers.rows import sentences, write_jsonl
from tests.helpers.training import QUICK, add


def test_a_task_is_recorded_whole(trained: tuple[Path, Added]) -> None:
    """The record says what was trained on what, with which result and in which environment."""
    place, added = trained
    record = added.record
    assert record.ref == "mood@1"
    assert record.labels == ("bad", "good")
    assert (record.split, record.metric) == ("test", "accuracy")
    assert record.score >= 0.9
    assert {m.split for m in record.metrics} == {"validation", "test"}
    assert [s.name for s in record.splits] == ["validation", "test"]
    assert record.training["epochs"] == 8
    assert record.options == {"size": 8, "init_std": 0.01, "activation": "gelu", "layers": "all"}
    assert record.environment["device"] == "cpu"
    assert record.course["best_epoch"] == added.training.best.number
    assert record.course["seconds"] > 0
    assert added.trial.data["train"]["rows"] == 576
    assert record.course["truncated"] == {"train": 0, "validation": 0, "test": 0}
    assert added.verification.ok
    with Bank(f"sqlite:///{place}") as bank:
        assert record.parameters == sum(t.numel() for t in bank.state_dict(record).values())
        assert bank["mood"] == record


@pytest.mark.slow
def test_adding_adds_a_row_to_the_history(url: str, folder: Path, small: str) -> None:
    """What is added is verified from the bank, what was there is vouched for; `none` does not
    look, and the levels of a verification are those of `verify_all`."""
    first = add_task(url, "one", small, backbone=str(folder), **QUICK)
    second = add_task(url, "two", small, **{**QUICK, "options": {"size": 3}})
    assert [task.confirmed_by for task in first.verification.tasks] == [None]
    assert [task.confirmed_by for task in second.verification.tasks] == [
        first.verification.id,
        None,
    ]
    assert {task.status for task in second.verification.tasks} == {"ok"}
    assert add_task(url, "three", small, verify="none", **QUICK).verification is None
    fourth = add_task(url, "four", small, verify="integrity", **QUICK).verification
    assert (fourth.level, fourth.checked, fourth.confirmed) == ("integrity", 4, 0)
    with Bank(url) as bank:
        assert len(bank.verification_log.verifications()) == 3


@pytest.mark.slow
def test_adding_on_either_database_gives_the_same_bytes(
    url: str, folder: Path, data: Path, small: str
) -> None:
    """The database changes nothing: a bank made by the first call, a second task, equal bytes."""
    first = add_task(url, "one", small, backbone=str(folder), **QUICK).record
    with taskbank.open(url) as bank:
        again = add_task(bank, "two", small, validation=str(data / "validation.jsonl"), **QUICK)
        assert again.verification.checked == 2
        third = add_task(bank, "one", small, new_version=True, **QUICK).record
        assert third.ref == "one@2"
        assert third.digest == first.digest
        assert third.splits == first.splits
        assert bank["one@1"] == first


@pytest.mark.slow
def test_a_pair_task_is_added_and_used(tmp_path: Path, folder: Path, data: Path) -> None:
    """Two texts go in together and the right one of two labels comes out."""
    url = f"sqlite:///{tmp_path}/bank.db"
    added = add_task(
        url,
        "same",
        str(data / "pairs.jsonl"),
        kind="pair",
        backbone=str(folder),
        options={"size": 8},
        training={"epochs": 2, "learning_rate": 0.01},
    )
    assert added.record.kind == "pair"
    with taskbank.open(url) as bank:
        (found,) = taskbank.predict(bank, "same", [("it was good", "bad day")])
        assert (found.text, found.text_pair) == ("it was good", "bad day")
        assert set(found.details["probabilities"]) == {"y", "n"}
        with pytest.raises(InputError, match="takes 2 texts"):
            taskbank.predict(bank, "same", ["alone"])


@pytest.mark.slow
def test_tags_and_names_of_columns_are_taken_over(tmp_path: Path, folder: Path) -> None:
    """Other column names, tags and a description reach the record."""
    rows = [{"body": r["text"], "class": r["label"]} for r in sentences(40)]
    path = write_jsonl(tmp_path / "mail.jsonl", rows)
    url = f"sqlite:///{tmp_path}/bank.db"
    record = add_task(
        url,
        "mail",
        path,
        text="body",
        label="class",
        backbone=str(folder),
        tags={"team": "post"},
        description="Is it kind?",
        **QUICK,
    ).record
    assert (record.tags, record.description) == ({"team": "post"}, "Is it kind?")


def _bad(tmp_path: Path, rows: list[dict[str, Any]]) -> str:
    return write_jsonl(tmp_path / "bad.jsonl", rows)


ONE_CLASS = [{"text": "a", "label": "x"}] * 30
FLOATS = [{"text": "a", "label": 0.5}] * 30
EMPTY_TEXT = [*sentences(30), {"text": " ", "label": "good"}]
NULL_TEXT = [*sentences(30), {"text": None, "label": "good"}]
STRANGE = [*sentences(30), {"text": "hm", "label": "so-so"}]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"train_data": "nowhere.csv"}, "nowhere.csv"),
        ({"rows": []}, "is empty"),
        ({"rows": [{"body": "a", "label": "x"}]}, "no column 'text'; its columns are body, label"),
        ({"rows": EMPTY_TEXT}, "1 rows .* have no text .* row 31"),
        ({"rows": NULL_TEXT}, "1 rows .* have no text .* row 31"),
        ({"rows": ONE_CLASS}, "at least two classes"),
        ({"rows": FLOATS}, "holds fractions"),
        ({"validation_rows": STRANGE}, "row 31 .* label 'so-so', which train does not have"),
        ({"test_rows": STRANGE}, "row 31 .* label 'so-so', which train does not have"),
        ({"test": "nowhere.csv"}, "nowhere.csv"),
        ({"name": "a b"}, "task name 'a b' is invalid"),
        ({"name": "../etc"}, "task name"),
        ({"name": ""}, "task name"),
        ({"name": "é"}, "task name"),
        ({"name": "x" * 101}, "task name"),
        ({"tags": {"a b": "c"}}, "tag 'a b' is invalid"),
        ({"tags": {"a": "c\x00d"}}, r"tag a 'c\\x00d' contains a NUL"),
        ({"description": "\udcff"}, "is not UTF-8"),
        ({"training": {"speed": 9}}, "training has no field 'speed'"),
        ({"kind": "triple"}, "kind 'triple' is unknown: taskbank knows single, pair"),
        ({"method": "magic"}, "method 'magic' is unknown: taskbank knows houlsby, pfeiffer"),
        ({"options": {"size": 0}}, "size is 0"),
        ({"training": {"epochs": 0}}, "epochs is 0"),
        ({"training": {"max_length": 65}}, "max_length is 65: .* at most 64 tokens"),
        ({"backbone": "./nowhere"}, "no folder"),
        ({"backbone": "EMPTY"}, "holds no model"),
        ({"backbone": "GPT2"}, "does not know where adapters go in the architecture 'gpt2'"),
        ({"device": "abacus"}, "device 'abacus' is unknown"),
        ({"device": "cuda:99"}, "not on this machine"),
        ({"verify": "some"}, "verify is 'some': use integrity, changed, canary, full, none"),
    ],
)
def test_bad_input_is_refused_before_training_and_leaves_the_bank_as_it_was(
    mood: Bank,
    data: Path,
    tmp_path: Path,
    folder: Path,
    given: dict[str, Any],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each bad argument is an error with exit code 2, and training never starts."""
    given = dict(given)
    arguments: dict[str, Any] = {
        "name": "new",
        "train_data": str(data / "train.jsonl"),
        "backbone": str(folder),
    }
    for key, argument in (
        ("rows", "train_data"),
        ("validation_rows", "validation"),
        ("test_rows", "test"),
    ):
        if key in given:
            arguments[argument] = _bad(tmp_path, given.pop(key))
    (tmp_path / "empty").mkdir()
    if given.get("backbone") == "EMPTY":
        given["backbone"] = str(tmp_path / "empty")
    if given.get("backbone") == "GPT2":
        given["backbone"] = str(tmp_path / "gpt2")
        shutil.copytree(folder, tmp_path / "gpt2")
        config = json.loads((tmp_path / "gpt2" / "config.json").read_text())
        config["model_type"] = "gpt2"
        (tmp_path / "gpt2" / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(
        "taskbank.training.trainer.train", lambda *a, **k: pytest.fail("training started")
    )
    before = mood.adapters(), mood.backbones(), sorted(mood._blobs.sizes())
    with pytest.raises(InputError, match=says) as caught:
        add_task(mood, **(arguments | given))
    assert caught.value.exit_code == 2
    assert (mood.adapters(), mood.backbones(), sorted(mood._blobs.sizes())) == before


def test_bad_input_makes_no_bank(tmp_path: Path, folder: Path) -> None:
    """Where the bank is not there yet, bad data does not leave an empty one behind."""
    with pytest.raises(InputError):
        add_task(f"sqlite:///{tmp_path}/new.db", "x", "nowhere.csv", backbone=str(folder))
    with pytest.raises(InputError):
        init(f"sqlite:///{tmp_path}/new.db", "./nowhere")
    assert not (tmp_path / "new.db").exists()


def test_a_name_that_is_taken_is_refused_before_training(mood: Bank, data: Path) -> None:
    """An existing task needs `--new-version`, and keeps its kind."""
    train = str(data / "train.jsonl")
    with pytest.raises(ConflictError, match="--new-version"):
        add_task(mood, "mood", train)
    with pytest.raises(ConflictError, match="of kind 'single', not 'pair'"):
        add_task(mood, "mood", train, kind="pair", new_version=True)


def test_an_interrupted_training_leaves_the_bank_as_it_was(
    mood: Bank, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of training records nothing, and the bank verifies."""

    def interrupt(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("taskbank.training.trainer.train", interrupt)
    with pytest.raises(KeyboardInterrupt):
        add_task(mood, "new", str(data / "train.jsonl"))
    assert [record.ref for record in mood] == ["mood@1"]
    assert taskbank.verify_all(mood, level="integrity").ok


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "top-k"])
def test_a_baseline_that_is_only_measured_leaves_a_trial(
    own: Bank, small: str, folder: Path, data: Path, method: str
) -> None:
    """`full` stores no weights unless asked to; its scores are recorded all the same."""
    given: dict[str, Any] = {
        "method": method,
        "backbone": str(folder),
        "test": str(data / "test.jsonl"),
        "training": {"epochs": 1, "learning_rate": 0.001},
    }
    added = add_task(own, "mood", small, **given)
    assert (added.record is None) == (method == "full")
    assert added.trial.value("test") is not None
    assert added.trial.digest is None
    assert len(own) == (method != "full")
    kept = add_task(own, "kept", small, keep_weights=True, **given)
    assert kept.record is not None
    assert kept.record.parameters == kept.trial.parameters
    assert taskbank.verify_all(own).ok
    assert taskbank.predict(own, "kept", ["good"])[0].label in ("good", "bad")


@pytest.mark.slow
def test_measuring_needs_no_new_version(own: Bank, small: str, folder: Path) -> None:
    """A baseline that stores nothing may be measured for a task that is there."""
    add(own, small, folder)
    measured = add_task(
        own, "mood", small, method="full", training={"epochs": 1}, backbone=str(folder)
    )
    assert measured.record is None
    with pytest.raises(ConflictError, match="--new-version"):
        add(own, small, folder)


@pytest.mark.slow
def test_a_metric_is_what_the_task_is_chosen_and_scored_by(
    own: Bank, small: str, folder: Path
) -> None:
    """With `--metric` the record's score is that metric, and the best epoch has its best value."""
    added = add(own, small, folder, metric="log_loss", training={"epochs": 4})
    record = added.record
    assert record.metric == "log_loss"
    losses = [epoch.score for epoch in added.training.epochs]
    assert added.training.best.score == min(losses) == record.score
    assert {m.name for m in record.metrics} >= {"accuracy", "f1", "f1_macro", "matthews"}


@pytest.mark.slow
@pytest.mark.parametrize("form", [Path, pandas.DataFrame, datasets.Dataset.from_list, list])
def test_data_in_memory_trains_as_a_file_does(
    url: str, folder: Path, tmp_path: Path, form: Any
) -> None:
    """Paths, data frames, data sets and records give the digests that the file gives."""
    parts = {"train": sentences(24), "validation": sentences(24, seed=1)}
    files = {name: write_jsonl(tmp_path / f"{name}.jsonl", rows) for name, rows in parts.items()}
    given = {
        name: Path(files[name]) if form is Path else form(rows) for name, rows in parts.items()
    }
    quick = QUICK | {"epochs": 1, "verify": "none"}
    found = add_task(
        url, "given", given["train"], validation=given["validation"], backbone=folder, **quick
    )
    expected = add_task(url, "file", files["train"], validation=files["validation"], **quick)
    for split in ("train", "validation"):
        assert found.trial.data[split]["rows"] == 24
        assert found.trial.data[split]["digest"] == expected.trial.data[split]["digest"]


@pytest.mark.parametrize(
    ("train", "says"),
    [
        (["good", "bad"], "train is a list: give a path"),
        ([{"text": "x", "label": 1}, {"text": "y"}], r"1 rows of train \(list\) have no label"),
    ],
)
def test_data_in_memory_that_is_not_usable_is_named(
    url: str, folder: Path, train: Any, says: str
) -> None:
    """The role of the data stands for the name of a file."""
    with pytest.raises(InputError, match=says):
        add_task(url, "mood", train, backbone=folder)
