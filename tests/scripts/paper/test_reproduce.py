"""Tests of scripts/paper/reproduce.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.paper import reproduce
from scripts.paper.experiment import Experiment
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.model.load import load_model
from taskbank.specs import TaskSpec
from taskbank.training.plan import plan_task
from tests.helpers.backbones import make_backbone
from tests.helpers.rows import questions, sentences, write_jsonl

ROOT = Path(__file__).parents[3]
SUITE = """
[[task]]
name = "moods"
train = "moods.jsonl"
test = "moods_test.jsonl"

[[task]]
name = "answers"
kind = "span"
train = "answers.jsonl"
test = "answers_test.jsonl"
"""


@pytest.mark.process
def test_every_stage_runs_and_trains_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All stages write their tables and figures, and a second run trains nothing."""
    pytest.importorskip("matplotlib")
    backbone = make_backbone(tmp_path / "tiny", num_hidden_layers=3)
    write_jsonl(tmp_path / "moods.jsonl", sentences(40, seed=1))
    write_jsonl(tmp_path / "moods_test.jsonl", sentences(20, seed=2))
    write_jsonl(tmp_path / "answers.jsonl", questions(30, seed=1))
    write_jsonl(tmp_path / "answers_test.jsonl", questions(10, seed=2))
    (tmp_path / "two.toml").write_text(SUITE)
    output = tmp_path / "output"
    command = ["scripts/paper/reproduce.py", str(tmp_path / "two.toml"), "--quick"]
    command += ["--backbone", str(backbone), "--output", str(output), "--device", "cpu"]
    command += ["--precision", "float32"]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = ("curve", "ablation", "initial_scale", "squad")
    files = {f"{name}.{end}" for name in figures for end in ("csv", "png", "svg")}
    assert files | {"scores.csv", "scores.md"} <= {path.name for path in output.iterdir()}
    once = recorded_trials(output)
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr(
        "taskbank.training.trainer.train", lambda *a, **k: pytest.fail("trained again")
    )
    reproduce.main()
    assert recorded_trials(output) == once > 0


def recorded_trials(output: Path) -> int:
    """Return the number of trials in the experiment's bank."""
    with Bank(f"sqlite:///{output / 'bank.db'}") as bank:
        return len(bank.trials())


def test_the_ablation_removes_the_layers_it_names(mood: Bank, folder: Path) -> None:
    """Without a removed layer the score is the recorded one; without any adapter it is lower."""
    record, backbone = mood["mood"], load_backbone(str(folder))
    examples = mood.examples(record, "validation")
    rows = list(examples.rows())
    paths = [write_jsonl(folder.parent / f"ablation-{number}.jsonl", rows) for number in (1, 2)]
    plan = plan_task(TaskSpec("mood", paths[0], validation=paths[1]))
    experiment = Experiment(mood, backbone, (), 1, {}, folder)
    encoded = plan.kind.encode(
        backbone.tokenizer, examples.columns, record.definition, 64, labelled=False
    )
    recorded = next(m.value for m in record.metrics if m.split == "validation")
    scores = [
        reproduce.score_without(experiment, plan, record, encoded, range(count))
        for count in range(3)
    ]
    assert scores[0] == recorded
    assert scores[2] < scores[0]
    # The stored adapter is not altered.
    model = load_model(mood, record, backbone)
    assert any(tensor.any() for name, tensor in model.trained_tensors().items() if ".up." in name)
