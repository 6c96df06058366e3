"""Rows are predicted in this process or on workers, with the same answers."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import pytest

import taskbank
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.cli.main import run
from taskbank.cli.prediction_source import BankSource
from taskbank.errors import BackboneMismatchError, DataError, InputError
from taskbank.serve import predict_rows as module
from taskbank.serve import predictor
from taskbank.serve.predict_rows import predict_rows
from taskbank.serve.prediction import Prediction
from taskbank.serve.predictor import Predictor
from tests.helpers.adapters import put_model
from tests.helpers.backbones import make_backbone
from tests.helpers.jobs import DieOnce
from tests.helpers.models import moved, put_moved, texts
from tests.helpers.rows import write_jsonl


@pytest.fixture
def three(own: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> Bank:
    """A bank with three tasks, predicted in blocks of 8 rows of 2 tasks."""
    for where in (predictor, module):
        monkeypatch.setattr(where, "BLOCK", 8)
        monkeypatch.setattr(where, "TASKS", 2)
    for name in ("a", "b", "c"):
        put_moved(own, backbone, name)
    own.alias("b@1", "live")
    return own


def alike(one: list[Prediction], other: list[Prediction]) -> bool:
    """Return whether predictions are equal, to the last bit of every number."""
    return json.dumps([p.to_json() for p in one]) == json.dumps([p.to_json() for p in other])


def test_rows_are_predicted_as_a_predictor_does(three: Bank) -> None:
    """Every version once, however often it is asked for, in the order that was asked."""
    given = [(text,) for text in texts(20)]
    records = [three[ref] for ref in ("c", "b@live", "a", "b")]
    found = predict_rows(three, records, given)
    expected = Predictor(three).predict_many([(ref, given) for ref in ("c", "b", "a")])
    for one, other in zip(found, [*expected, expected[1]], strict=True):
        assert alike(one, other)


def test_another_backbone_is_refused_by_the_names_of_both(
    three: Bank, backbone: Backbone, tmp_path: Path
) -> None:
    """The error says where the recorded one is from, and where the given one was loaded from."""
    other = make_backbone(tmp_path / "other", seed=1)
    expected = f"at '{other}' is not the one recorded from '{backbone.identity.spec}': weights is"
    with pytest.raises(BackboneMismatchError, match=re.escape(expected)):
        predict_rows(three, [three["a"]], [("good",)], backbone=str(other))


@pytest.mark.process
@pytest.mark.slow
def test_workers_give_the_same_answers_to_the_last_bit(
    cluster: None, three: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the rows, also if a worker dies in the middle."""
    given = [(text,) for text in texts(20)]
    records = [three[ref] for ref in ("c", "a", "b")]
    here = predict_rows(three, records, given)
    mark = tmp_path / "died"
    monkeypatch.setattr(module, "PredictRows", partial(DieOnce, dies_at=8, mark=mark))
    there = predict_rows(three, records, given, executor="ray")
    assert mark.exists()
    assert all(map(alike, here, there))


@pytest.mark.process
@pytest.mark.slow
def test_a_file_is_predicted_on_a_cluster(
    cluster: None,
    three: Bank,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The file that it writes has the same bytes; a backbone is found from the folder of the
    command, and a failure says which rows it is about."""
    rows = write_jsonl(tmp_path / "in.jsonl", [{"text": text} for text in texts(20)])
    asked = ["--bank", three.url, "predict", "--task", "*", "--file", rows, "--output"]
    monkeypatch.chdir(folder.parent)
    assert run([*asked, str(tmp_path / "here.csv")]) == 0
    there = [*asked, str(tmp_path / "there.csv"), "--on", "ray", "--backbone"]
    assert run([*there, folder.name]) == 0
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()
    assert run([*there, "./gone"]) == 2
    assert re.search(r"inputs \d+ to \d+: backbone .*gone': there is no", capsys.readouterr().err)


def test_bad_inputs_are_refused_before_a_worker_starts(
    three: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the number of the input among all."""
    monkeypatch.setattr(module, "executor_for", lambda *_: pytest.fail("a worker starts"))
    with pytest.raises(DataError, match="input 12 is ' '"):
        taskbank.predict(three, "a", [*texts(11), " "], executor="ray")
    monkeypatch.undo()
    with pytest.raises(InputError, match="no place to run jobs"):
        taskbank.predict(three, "a", ["good"], executor="dask")


def test_an_alias_that_moves_does_not_mix_versions(own: Bank, backbone: Backbone) -> None:
    """Rows are predicted with the version that was found first."""
    put_moved(own, backbone, "a")
    own.alias("a@1", "live")
    source = BankSource(own)
    found = source.get("a@live")
    put_model(own, "a", moved(backbone, "houlsby", 9, size=4), {"size": 4}, new_version=True)
    own.alias("a@2", "live")
    (answers,) = source.predict([found], [("good film",)])
    assert alike(answers, Predictor(own).predict("a@1", ["good film"]))
    assert not alike(answers, Predictor(own).predict("a@live", ["good film"]))


def test_a_cluster_is_for_the_rows_of_a_file(
    mood: Bank, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The option is refused with texts and with a server; the environment is not meant for them."""
    asked = ["--bank", mood.url, "predict", "mood"]
    for rest in (["good day"], ["--file", "in.txt", "--server", "http://127.0.0.1:9"]):
        assert run([*asked, *rest, "--on", "ray"]) == 2
        assert "--on is for the rows of --file" in capsys.readouterr().err
    monkeypatch.setenv("TASKBANK_ON", "nowhere")
    assert run([*asked, "good day"]) == 0
    Path("in.txt").write_text("good day\n")
    assert run([*asked, "--file", "in.txt"]) == 2
    assert "'nowhere' is no place to run jobs" in capsys.readouterr().err
