"""Every kind through the whole of taskbank: added, used, verified, moved to another bank."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

import taskbank
from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.cli.main import run
from taskbank.errors import DataError
from taskbank.interchange.export import export_adapter
from taskbank.kinds.kind import Kind, input_fields
from taskbank.pages.version import version_page
from taskbank.pipeline.add_task import add_task
from taskbank.pipeline.import_adapter import import_adapter
from taskbank.verify.compare import compare
from taskbank.verify.subject import Subject
from taskbank.verify.verdict import Evidence, Standard, judge
from tests.helpers.rows import ROWS, write_jsonl

pytestmark = pytest.mark.slow  # a task of every kind is trained first

KINDS = plugins.names("kinds")
QUICK: dict[str, Any] = {
    "options": {"size": 4},
    "training": {"epochs": 12, "learning_rate": 0.02, "batch_size": 16, "max_length": 48},
}
# An input that may be predicted, as the command line has it, and the keys of its answer.
INPUTS: dict[str, tuple[list[str], set[str]]] = {
    "single": (["a good day"], {"probabilities"}),
    "pair": (["it was good", "sweet day"], {"text_pair", "probabilities"}),
    "regression": (["good great day"], {"value"}),
    "multilabel": (["bad and good day"], {"labels", "probabilities"}),
    "span": (["was it", "the film was good"], {"text_pair", "answer", "start", "end"}),
    "tagging": (["the sad, happy film"], {"entities", "words", "tags"}),
}


@pytest.fixture(scope="module", params=KINDS)
def stored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, folder: Path
) -> tuple[str, str, Path]:
    """A kind, the URL of a bank with a task of it, and its data; nothing of it may be changed."""
    place = tmp_path_factory.mktemp(request.param)
    data = Path(write_jsonl(place / "train.jsonl", ROWS[request.param](120, seed=1)))
    test = write_jsonl(place / "test.jsonl", ROWS[request.param](20, seed=2))
    url = f"sqlite:///{place}/bank.db"
    # All but numbers withhold half of their answers; the other tests have tasks that withhold none.
    abstain = None if request.param == "regression" else "coverage=0.5"
    chosen = {"kind": request.param, "abstain": abstain, "backbone": str(folder)}
    add_task(url, "it", str(data), test=test, **chosen, **QUICK)
    return request.param, url, data


def test_a_task_of_every_kind_is_recorded_and_verifies(stored: tuple[str, str, Path]) -> None:
    """The record has its metric on both splits, and predicting again changes nothing at all."""
    name, url, _ = stored
    with Bank(url) as bank:
        record = bank["it"]
        kind: Kind = plugins.load("kinds", name)
        assert (record.kind, record.metric) == (name, kind.metric)
        assert {m.split for m in record.metrics if m.name == record.metric} == {
            "validation",
            "test",
        }
        report = taskbank.verify_all(bank)
        assert report.ok, report.findings
        (result,) = report.tasks
        assert (result.status, result.flips, result.shift) == ("ok", 0, 0.0)


def test_every_kind_predicts_on_the_command_line(
    stored: tuple[str, str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From arguments and from a file, as a table and as JSON with the keys of its kind."""
    name, url, data = stored
    texts, keys = INPUTS[name]
    assert run(["--bank", url, "predict", "it", *texts, "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    withheld = {"candidates"} if answer["label"] is None else set()
    assert set(answer) == {"text", "label", "score", "truncated"} | keys | withheld
    assert run(["--bank", url, "predict", "it", *texts, *texts]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert run(["--bank", url, "predict", "it", "--file", str(data), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 120
    if len(texts) == 2:
        assert run(["--bank", url, "predict", "it", texts[0]]) == 2
        assert "it takes 2 per input" in capsys.readouterr().err
    assert run(["--bank", url, "predict", "it", *(" " for _ in texts)]) == 2
    assert "input 1" in capsys.readouterr().err
    assert run(["--bank", url, "show", "it"]) == 0
    assert run(["--bank", url, "trials"]) == 0


def test_every_kind_withholds_what_it_is_not_sure_of(
    stored: tuple[str, str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As often as recorded, with null and candidates on the command line, in files and Python."""
    name, url, data = stored
    if name == "regression":
        return
    with Bank(url) as bank:
        record = bank["it"]
        kind: Kind = plugins.load("kinds", name)
        columns = bank.examples(record, "test").columns
        fields = [field.name for field in input_fields(kind, record.definition)]
        rows = list(zip(*(columns[field] for field in fields), strict=True))
        inputs = [row[0] for row in rows] if len(fields) == 1 else rows
        found = taskbank.predict(bank, "it", inputs)
    metrics = {m.name: m.value for m in record.metrics if m.split == "test"}
    given = [one for one in found if one.label is not None]
    assert len(given) / len(found) == metrics["coverage"]
    assert {"log_loss", "brier", "ece", "precision"} <= metrics.keys()
    for one in found:
        if one.label is None:
            first = one.details["candidates"][0]
            assert (first["label"], first["probability"]) == (one.best_label, one.score)
        else:
            assert "candidates" not in one.details
            assert one.best_label == one.label
    assert run(["--bank", url, "show", "it"]) == 0
    assert "abstains" in capsys.readouterr().out
    for ending in ("csv", "parquet", "jsonl"):
        output = str(tmp_path / f"out.{ending}")
        assert run(["--bank", url, "predict", "it", "--file", str(data), "--output", output]) == 0
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    nulls = [line["label"] is None for line in lines]
    assert any(nulls)
    assert not all(nulls)
    table = parquet.read_table(tmp_path / "out.parquet")
    assert [label is None for label in table["label"].to_pylist()] == nulls


def test_places_in_an_answer_are_places_in_the_text(stored: tuple[str, str, Path]) -> None:
    """A span and an entity stand in the given text where they say they do."""
    name, url, data = stored
    if name not in ("span", "tagging"):
        return
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    with Bank(url) as bank:
        if name == "span":
            inputs = [(row["question"], row["context"]) for row in rows]
            for (_, context), found in zip(
                inputs, taskbank.predict(bank, "it", inputs), strict=True
            ):
                if found.details["start"] is not None:
                    start, end = found.details["start"], found.details["end"]
                    assert context[start:end] == found.details["answer"]
        else:
            texts = ["(" + ", ".join(row["words"]) + ")" for row in rows]
            for text, found in zip(texts, taskbank.predict(bank, "it", texts), strict=True):
                for one in found.details["entities"]:
                    assert text[one["start"] : one["end"]] == one["text"]


def test_every_kind_moves_to_another_bank(stored: tuple[str, str, Path], tmp_path: Path) -> None:
    """Exported and imported it has equal bytes, thresholds and predictions, and verifies."""
    name, url, _ = stored
    texts = INPUTS[name][0]
    given = [texts[0] if len(texts) == 1 else tuple(texts)]
    with Bank(url) as bank, create_bank(f"sqlite:///{tmp_path}/other.db") as other:
        export_adapter(bank, "it", tmp_path / "out")
        (backbone,) = bank.backbones()
        record = import_adapter(other, tmp_path / "out", backbone=backbone.identity.spec)
        assert record.digest == bank["it"].digest
        assert record.definition == bank["it"].definition
        assert taskbank.verify_all(other).ok
        assert taskbank.predict(other, "it", given) == taskbank.predict(bank, "it", given)


@pytest.mark.parametrize("name", KINDS)
def test_an_ensemble_of_every_kind_lives_like_any_version(
    name: str, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It verifies, withholds as often as recorded, predicts on the command line, in one batch with
    another version and in another bank, and an alias may name it."""
    rows = ROWS[name](40, seed=1)
    given: dict[str, Any] = {"kind": name, "verify": "none", "options": {"size": 4}}
    given["training"] = {"epochs": 1, "learning_rate": 0.02, "max_length": 32, "ensemble": 2}
    url = f"sqlite:///{tmp_path}/bank.db"
    if name != "regression":
        given["abstain"] = "coverage=0.5"
    add_task(url, "it", rows, backbone=str(folder), alias="live", **given)
    texts = INPUTS[name][0]
    inputs = [texts[0] if len(texts) == 1 else tuple(texts)]
    with Bank(url) as bank, create_bank(f"sqlite:///{tmp_path}/other.db") as other:
        record = bank["it@live"]
        assert (record.ensemble, len(record.course["members"])) == (2, 2)
        report = taskbank.verify_all(bank)
        assert report.ok, report.findings
        assert report.tasks[0].shift == 0.0
        (training,) = (one for one in version_page(bank, "it").groups if one.title == "Training")
        assert dict(training.values)["trainings"].startswith("2 trainings, validation")
        export_adapter(bank, "it", tmp_path / "out")
        moved = import_adapter(other, tmp_path / "out", backbone=str(folder))
        assert (moved.digest, moved.training) == (record.digest, record.training)
        assert taskbank.verify_all(other).ok
        alone = taskbank.predict(other, "it", inputs)
        asked = [("it", inputs), ("it@live", inputs)]
        for together in taskbank.Predictor(bank).predict_many(asked):
            assert together[0].best_label == alone[0].best_label
            assert together[0].score == pytest.approx(alone[0].score, abs=1e-4)
    assert run(["--bank", url, "predict", "it", *texts]) == 0
    assert run(["--bank", url, "show", "it"]) == 0
    assert f"2 trainings, validation {record.metric}" in capsys.readouterr().out


Change = Callable[[np.ndarray], np.ndarray]


@pytest.mark.parametrize(
    "change",
    [
        lambda reference: np.roll(reference, 1, axis=0),
        lambda reference: np.full_like(reference, np.nan),
        lambda reference: -reference,
    ],
)
def test_other_predictions_are_a_regression_of_every_kind(
    stored: tuple[str, str, Path], change: Change
) -> None:
    """Predictions of other examples, no numbers, and the opposite never pass for the same."""
    _, url, _ = stored
    with Bank(url) as bank:
        record = bank["it"]
        split = record.splits[1]
        examples, reference = bank.examples(record, "test"), bank.reference(record, "test")
        same = compare(record, split, examples, reference, reference.copy(), 1e-4)
        assert (same.flips, same.shift, same.disagreements) == ((), 0.0, ())
        found = compare(record, split, examples, reference, change(reference), 1e-4)
        assert found.moved > 0
        assert found.real_flips > 0
        assert found.effects["worse"] > 0
        assert "row" in found.describe()
        findings, (result,) = judge([Evidence(Subject.of(record), (found,))], Standard(0))
        assert (result.status, findings[0].check) == ("regressed", "regression")


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("span", {"answers": {"text": ["film"], "answer_start": [3]}}, "not at character 3"),
    ("span", {"answers": {"text": ["film"], "answer_start": []}}, "not a list of answers"),
    ("span", {"answers": "film"}, "not a list of answers"),
    ("span", {"context": " "}, "no text"),
    ("tagging", {"tags": ["O"]}, "1 tags"),
    ("tagging", {"tags": "O O"}, "not a list of tags"),
    ("tagging", {"words": []}, "no word"),
    ("multilabel", {"labels": "praise"}, "not a list of labels"),
    ("multilabel", {"labels": ["praise", "praise"]}, "repeats a label"),
    ("multilabel", {"labels": None}, "not a list of labels"),
    ("regression", {"label": float("nan")}, "not a finite number"),
    ("regression", {"label": "much"}, "not a finite number"),
    ("regression", {"label": None}, "not a finite number"),
]


@pytest.mark.parametrize(("kind", "wrong", "says"), BAD)
def test_a_bad_row_of_any_kind_is_named_before_training(
    kind: str,
    wrong: dict[str, Any],
    says: str,
    tmp_path: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error has the row and what is wrong with it, exit code 2, and no bank is made."""
    monkeypatch.setattr(
        "taskbank.training.trainer.train", lambda *a, **k: pytest.fail("training started")
    )
    rows = ROWS[kind](40)
    rows[6] = rows[6] | wrong
    # As CSV, where lists are JSON: a column of JSON lines has one type, which is another error.
    path = tmp_path / "bad.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in row.items()}
            writer.writerow(texts)
    with pytest.raises(DataError, match=says) as caught:
        add_task(f"sqlite:///{tmp_path}/bank.db", "x", str(path), kind=kind, backbone=str(folder))
    assert "row 7" in str(caught.value)
    assert caught.value.exit_code == 2
    assert not (tmp_path / "bank.db").exists()
