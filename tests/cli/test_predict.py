"""`taskbank predict` for many tasks."""

from __future__ import annotations

import io
import json
import sys
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taskbank
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.cli.main import run
from taskbank.model.load import load_model
from taskbank.model.mixed_batch import PredictionRequest, predict_mixed
from taskbank.model.stored_model import StoredModel
from taskbank.serve import predictor
from taskbank.serve.prediction import Prediction
from tests.helpers.models import put_moved
from tests.helpers.terminal import Screen, Terminal


def test_texts_come_from_a_file_too(terminal: Terminal, tmp_path: Path) -> None:
    """`--file` predicts each line, and is refused beside texts or without any."""
    (tmp_path / "texts.txt").write_text("good day\nbad day\n")
    found = terminal.json("predict", "mood", "--file", str(tmp_path / "texts.txt"))
    assert [row["text"] for row in found] == ["good day", "bad day"]
    terminal("predict", "mood", code=2)
    terminal("predict", "mood", "x", "--file", "texts.txt", code=2)


def test_how_a_file_was_read_is_said_unless_it_is_quiet(terminal: Terminal, tmp_path: Path) -> None:
    """A column that was found by a similar name is named on the error stream, not with --quiet."""
    file = tmp_path / "texts.csv"
    file.write_text("Text,id\ngood day,1\n")
    terminal("predict", "mood", "--file", str(file))
    assert "the column 'Text' of" in terminal.err
    terminal("predict", "mood", "--file", str(file), "--quiet")
    assert terminal.err == ""


def test_truncated_inputs_are_counted(terminal: Terminal) -> None:
    """JSON says it of each input, and the error stream how many there are, unless it is quiet."""
    long = "good " * 500
    found = terminal.json("predict", "mood", "good day", long)
    assert [row["truncated"] for row in found] == [False, True]
    assert "truncated: 1 of 2 inputs of mood@1 have more than its" in terminal.err
    terminal("predict", "mood", long, "--quiet")
    assert terminal.err == ""


def test_texts_come_from_standard_input(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dash is standard input, in the format and style that options name."""

    def given(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    given(b"good day\n\nbad day\n")
    found = terminal.json("predict", "mood", "--file", "-", "--format", "txt")
    assert [row["text"] for row in found] == ["good day", "bad day"]
    assert "1 blank rows of standard input are left out: line 2" in terminal.err
    given("a#caf\xe9\n".encode("cp1252"))
    options = [
        "--format",
        "csv",
        "--delimiter",
        "#",
        "--encoding",
        "cp1252",
        "--columns",
        "id,text",
    ]
    (row,) = terminal.json("predict", "mood", "--file", "-", *options)
    assert row["text"] == "café"
    terminal("predict", "mood", "--file", "-", code=2)
    assert "add --format, one of csv, tsv" in terminal.err


@pytest.mark.slow
def test_the_command_keeps_no_more_adapters_than_it_computes_with(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many tasks are asked, those of two rounds are in memory, and one more."""
    for number in range(12):
        put_moved(bank, backbone, f"task-{number}")
    models: weakref.WeakSet[StoredModel] = weakref.WeakSet()
    loaded = threading.Condition()
    most = total = rounds = 0

    def load(
        source: Bank, record: AdapterRecord, on: Backbone, unused: StoredModel | None
    ) -> StoredModel:
        nonlocal most, total
        model = load_model(source, record, on, unused)
        with loaded:
            models.add(model)
            most, total = max(most, len(models)), total + 1
            loaded.notify()
        return model

    def predict(on: Backbone, requests: Sequence[PredictionRequest]) -> list[np.ndarray]:
        nonlocal rounds
        rounds += 1
        with loaded:  # the next round is loaded while this one is computed
            assert loaded.wait_for(lambda: total >= min(2 * (rounds + 1), 12), 60)
        return predict_mixed(on, requests)

    monkeypatch.setattr("taskbank.serve.model_cache.load_model", load)
    monkeypatch.setattr(predictor, "predict_mixed", predict)
    monkeypatch.setattr(predictor, "TASKS", 2)
    assert run(["--bank", bank.url, "predict", "--task", "*", "good day"]) == 0
    assert rounds == 6
    assert 2 * 2 <= most <= 2 * 2 + 1


@pytest.mark.slow
def test_many_tasks_are_asked_on_the_command_line(
    bank: Bank, backbone: Backbone, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`--task` takes patterns and names; answers come by text, in tables and as JSON."""
    for name in ("ticket-a", "ticket-b", "other"):
        put_moved(bank, backbone, name)

    def said(*arguments: str, code: int = 0) -> str:
        assert run(["--bank", bank.url, "predict", *arguments]) == code
        captured = capsys.readouterr()
        return captured.err if code else captured.out

    found = json.loads(said("--task", "ticket-*", "good day", "bad", "--json"))
    assert [(one["task"], one["text"]) for one in found] == [
        ("ticket-a@1", "good day"),
        ("ticket-b@1", "good day"),
        ("ticket-a@1", "bad"),
        ("ticket-b@1", "bad"),
    ]
    assert len(json.loads(said("--task", "*", "good", "--json"))) == 3
    assert len(json.loads(said("--task", "other@1", "--task", "ticket-?", "good", "--json"))) == 3
    assert "ticket-b@1" in said("--task", "*", "good day")
    (tmp_path / "texts.txt").write_text("good\nbad\n")
    assert len(json.loads(said("--task", "*", "--file", "texts.txt", "--json"))) == 6
    assert "no task matches 'x*'" in said("--task", "x*", "good", code=2)
    assert "no task is given" in said(code=2)
    assert "give either texts or a file of texts with --file" in said("--task", "*", code=2)


def test_tasks_that_take_other_inputs_are_left_out_and_named(
    mood: Bank, data: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of all tasks those that take one text are asked; a pair is left out, and it is said."""
    taskbank.add_task(
        mood, "same", str(data / "pairs.jsonl"), kind="pair", training={"epochs": 1}, verify="none"
    )
    assert run(["--bank", mood.url, "predict", "--task", "*", "good day", "--json"]) == 0
    captured = capsys.readouterr()
    assert [one["task"] for one in json.loads(captured.out)] == ["mood@1"]
    assert "skipped, because their inputs differ: same" in captured.err


def test_a_prediction_of_nothing_says_so(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, mood: Any
) -> None:
    """No label, no entity and no answer are shown as such, and not as an empty cell."""
    from taskbank.cli.main import run

    monkeypatch.setattr(
        "taskbank.serve.predictor.Predictor.predict_many",
        lambda *given, **named: [[Prediction("a day", None, "", 0.75)]],
    )
    screen.widen(60)
    assert run(["predict", "mood", "a day", "--bank", mood.url]) == 0
    assert screen.lines()[2].split() == ["(none)", "0.7500", "a", "day"]
