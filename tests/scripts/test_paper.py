"""The paper's experiments: its numbers, suites, tables and pictures, and the driver itself."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import paper_figures
import paper_numbers
import paper_tables
import pictures
import pytest
from real_bank import as_new

from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.digests import digest_bytes
from taskbank.errors import MissingExtraError
from taskbank.pipeline.suite_file import read_suite
from taskbank.specs import BackboneIdentity
from tests.helpers.backbones import make_backbone
from tests.helpers.rows import questions, sentences, write_jsonl

SCRIPTS = Path(__file__).parents[2] / "scripts"
BACKBONE = BackboneIdentity("./tiny", "bert", "mean", 1000, 32, 2, 64, "w", "c", "t")
GLUE = {"cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte"}
EPOCHS = {  # of the paper's adapters, where they are not 20
    **dict.fromkeys(("newsgroups", "corporate_messaging", "disasters", "global_warming"), 50),
    **dict.fromkeys(("political_bias", "political_message"), 50),
    **dict.fromkeys(("primary_emotions", "progressive_opinion", "progressive_stance"), 100),
}

Row = dict[str, Any]


def row(task: str, method: str, value: float = 0.8, **changes: Any) -> Row:
    """Return a row of the table of scores."""
    share = {"full": 1.001, "top-k": 0.5}.get(method, 0.02)
    made = {
        "task": task,
        "method": method,
        "metric": paper_numbers.GLUE_METRICS.get(task, "accuracy"),
        "split": "test",
        "seeds": 3,
        "mean": value,
        "standard_error": 0.01 if method == "full" else 0.004,
        "parameters": int(1000 * share),
        "share": share,
        "learning_rate": 3e-4,
        "options": {"size": 64} if "houlsby" in method else {},
        "collapsed": 0,
        "scores": [value - 0.01, value, value + 0.01],
    }
    return made | changes


def written(folder: Path, rows: list[Row]) -> str:
    """Return the tables of some rows."""
    paper_tables.write_scores(folder / "scores.md", rows, BACKBONE)
    return (folder / "scores.md").read_text(encoding="utf-8")


def line(text: str, start: str) -> list[str]:
    """Return the cells of the first row of a table that begins with a cell."""
    found = next(one for one in text.splitlines() if one.startswith(f"| {start} |"))
    return [cell.strip() for cell in found.strip("|").split("|")]


# Numbers and suites


def test_the_numbers_give_the_papers_averages() -> None:
    """The average of each column of table 2 is the one that the paper prints."""
    for method, average in paper_numbers.ADDITIONAL_AVERAGE.items():
        found = mean(values[method][0] for values in paper_numbers.ADDITIONAL.values())
        assert found == pytest.approx(average, abs=0.1)
    without = mean(paper_numbers.ADDITIONAL_WITHOUT_BERT.values())
    assert without == pytest.approx(72.7, abs=0.05)
    assert paper_numbers.ADDITIONAL.keys() == paper_numbers.ADDITIONAL_WITHOUT_BERT.keys()


def test_the_suite_of_glue_has_the_papers_eight_tasks(tmp_path: Path) -> None:
    """They have its metrics and its sweep, and nothing is chosen on what is scored."""
    entries = {entry.name: entry.values for entry in read_suite(suite("glue"), tmp_path)}
    assert entries.keys() == paper_numbers.GLUE.keys() == GLUE
    for name, values in entries.items():
        assert values.get("metric", "accuracy") == paper_numbers.GLUE_METRICS[name]
        assert values["train"] == f"hf:nyu-mll/glue/{name}:train"
        assert values["test"].startswith(f"hf:nyu-mll/glue/{name}:validation")
        assert "validation" not in values
        assert ("positive" in values) == (values.get("metric") == "f1")
        assert values["search"] == {
            "learning_rate": [3e-5, 3e-4, 3e-3],
            "size": [8, 64, 256],
            "epochs": [3, 20],
        }


def test_the_suite_of_the_further_tasks_has_all_seventeen(tmp_path: Path) -> None:
    """They are those of table 2, with the epochs of its adapters and three files each."""
    entries = {entry.name: entry.values for entry in read_suite(suite("paper17"), tmp_path)}
    assert len(entries) == 17
    assert entries.keys() == paper_numbers.ADDITIONAL.keys()
    for name, values in entries.items():
        assert values["epochs"] == EPOCHS.get(name, 20)
        for split in ("train", "validation", "test"):
            assert values[split] == str(tmp_path / name / f"{split}.csv")


def test_every_suite_can_be_read(tmp_path: Path) -> None:
    """Those that are here have no unknown key."""
    for path in (SCRIPTS / "suites").glob("*.toml"):
        assert read_suite(path, tmp_path), path


def suite(name: str) -> Path:
    """Return the path of a suite."""
    return SCRIPTS / "suites" / f"{name}.toml"


# Tables


def test_the_table_sets_the_papers_numbers_beside_ours(tmp_path: Path) -> None:
    """Each task has our methods in order, then the paper's numbers of the same metric."""
    methods = ("houlsby", "full", "layernorm", "top-k", "houlsby-64")
    text = written(tmp_path, [row(t, m) for m in methods for t in ("cola", "airline", "trec")])
    assert line(text, "task")[4:9] == ["full", "top-k", "layernorm", "houlsby-64", "houlsby"]
    assert line(text, "cola")[1:5] == ["matthews", "test", "3", "80.0 ± 1.0"]
    assert line(text, "cola")[9:] == ["60.5 ¹", "", "56.9 ¹", "59.5 ¹"]
    assert line(text, "airline")[9:] == ["83.6 ± 0.3 ²", "84.0 ± 0.1 ²", "", "84.5 ± 0.2 ²"]
    assert line(text, "trec")[9:] == [""] * 4
    assert "another backbone and another test set" in text


def test_a_number_of_another_metric_is_not_quoted(tmp_path: Path) -> None:
    """The paper's Matthews' correlation is not put beside an accuracy."""
    assert "60.5" not in written(tmp_path, [row("cola", "full", metric="accuracy")])


def test_the_summary_counts_what_is_kept_of_all_tasks(tmp_path: Path) -> None:
    """Full fine-tuning keeps a model a task, adapters the backbone once and a share a task."""
    rows = [row(t, "full", 0.8) for t in ("a", "b", "sst2")]
    rows += [row(t, "houlsby", 0.79) for t in ("a", "b")]
    text = written(tmp_path, rows)
    assert "## Mean over the 2 of 3 tasks" in text
    assert line(text, "full")[1:] == ["2", "80.0", "", "100 %", "2 x"]
    assert line(text, "houlsby")[1:] == ["2", "79.0", "-1.0", "2 %", "1.04 x"]
    assert "paper, table" not in text  # which has neither a nor b
    theirs = written(tmp_path, [row("sst2", "full"), row("sms_spam", "full")])
    assert line(theirs, "paper, table 1: houlsby")[2:] == ["80.0", "-0.4", "3.6 %", "1.3 x"]
    assert line(theirs, "paper, table 2: houlsby")[2:] == ["73.3", "-0.4", "1.14 %", "1.19 x"]


def test_the_tables_name_unsteady_and_collapsed_runs(tmp_path: Path) -> None:
    """Standard errors are compared with those of full fine-tuning, and collapses are counted."""
    rows = [row("a", "full"), row("b", "full"), row("a", "houlsby")]
    rows.append(row("b", "houlsby", standard_error=0.02, collapsed=1))
    text = written(tmp_path, rows)
    assert "- `houlsby`: 1 of 2 (a); larger on b" in text
    assert "- b, `houlsby`: 1 of 3" in text


@pytest.mark.parametrize("count", range(5))
def test_the_tables_cope_with_what_is_not_there_yet(tmp_path: Path, count: int) -> None:
    """They can be written after every cell, from none to all."""
    rows = [row(t, m, seeds=1) for m in ("full", "houlsby") for t in ("cola", "sms_spam")]
    text = written(tmp_path, rows[:count])
    assert ("| – |" in text) == (count == 3)
    assert text.count("| cola | full |") == min(count, 1)


def test_rows_are_written_as_csv(tmp_path: Path) -> None:
    """Lists and tables become JSON; no rows give an empty file."""
    paper_tables.write_csv(tmp_path / "a.csv", [row("cola", "houlsby")])
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        (found,) = csv.DictReader(file)
    assert found["options"] == '{"size": 64}'
    paper_tables.write_csv(tmp_path / "b.csv", [])
    assert (tmp_path / "b.csv").read_bytes() == b""


# Pictures

CURVE = [
    {"task": t, "method": m, "value": v, "parameters": 100 * v, "score": 0.7 + v / 100}
    for t in "ab"
    for m, values in (("houlsby", (2, 16)), ("top-k", (1, 2)))
    for v in values
]
ABLATION = [
    {"task": t, "metric": "f1", "first": i, "last": j, "change": -0.1 * (j - i)}
    for t in "abc"
    for i in range(3)
    for j in range(i, 3)
]
SCALES = [
    {"task": "a", "metric": "f1", "init_std": 10.0**n, "score": None if n == 0 else 0.8}
    for n in range(-7, 1)
]
SQUAD = [
    row("xquad", "houlsby", size=2),
    row("xquad", "houlsby", size=64, parameters=900),
    row("xquad", "full", size=0, standard_error=0.0, seeds=1),
]
PICTURES: list[tuple[Callable[..., None], list[Row]]] = [
    (paper_figures.draw_curve, CURVE),
    (paper_figures.draw_ablation, ABLATION),
    (paper_figures.draw_initial_scale, SCALES),
    (paper_figures.draw_squad, SQUAD),
]


@pytest.mark.parametrize(("draw", "rows"), PICTURES)
def test_a_picture_has_the_same_bytes_each_time(
    tmp_path: Path, draw: Callable[..., None], rows: list[Row]
) -> None:
    """Each is a PNG and an SVG without a date or chance in it."""
    pytest.importorskip("matplotlib")
    found = []
    for name in ("one", "two"):
        draw(tmp_path / name, rows, "the backbone")
        found.append([(tmp_path / f"{name}.{end}").read_bytes() for end in ("png", "svg")])
    assert found[0] == found[1]
    assert found[0][0].startswith(b"\x89PNG")
    assert b"</svg>" in found[0][1]


@pytest.mark.parametrize(("draw", "rows"), PICTURES)
def test_without_rows_there_is_no_picture(
    tmp_path: Path, draw: Callable[..., None], rows: list[Row]
) -> None:
    """Nothing to draw is no error: a suite may have no task for it."""
    draw(tmp_path / "none", [])
    assert not list(tmp_path.iterdir())


def test_tasks_without_fine_tuning_are_left_out_of_the_curve() -> None:
    """What cannot be compared is not drawn, and the rest is in points."""
    partial = [one for one in CURVE if (one["task"], one["value"]) != ("b", 2)]
    partial = [one for one in partial if (one["task"], one["method"]) != ("b", "top-k")]
    found = list(paper_figures._compared(partial))
    assert {one["task"] for one in found} == {"a"}
    differences = {(one["method"], one["value"]): one["difference"] for one in found}
    assert differences["top-k", 2] == 0
    assert differences["houlsby", 16] == pytest.approx(14)


def test_pictures_name_the_extra_that_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without matplotlib the error says what to install."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"taskbank\[plots\]"):
        pictures.check_matplotlib()


# The driver


def test_every_experiment_runs_and_is_trained_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All stages give their tables and pictures; a second run trains nothing more."""
    pytest.importorskip("matplotlib")
    import paper

    backbone = make_backbone(tmp_path / "tiny", num_hidden_layers=3)
    write_jsonl(tmp_path / "moods.jsonl", sentences(40, seed=1))
    write_jsonl(tmp_path / "moods_test.jsonl", sentences(20, seed=2))
    write_jsonl(tmp_path / "answers.jsonl", questions(30, seed=1))
    write_jsonl(tmp_path / "answers_test.jsonl", questions(10, seed=2))
    (tmp_path / "two.toml").write_text(
        """
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
    )
    output = tmp_path / "output"
    command = [str(SCRIPTS / "paper.py"), str(tmp_path / "two.toml"), "--quick"]
    command += ["--backbone", str(backbone), "--output", str(output), "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, *command],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    drawn = ("curve", "ablation", "initial_scale", "squad")
    names = {f"{name}.{end}" for name in drawn for end in ("csv", "png", "svg")}
    assert names | {"scores.csv", "scores.md"} <= {path.name for path in output.iterdir()}
    once = recorded(output)
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr(
        "taskbank.training.trainer.train", lambda *a, **k: pytest.fail("trained again")
    )
    paper.main()
    assert recorded(output) == once > 0


def recorded(output: Path) -> int:
    """Return how many trials there are in the bank of the experiments."""
    with Bank(f"sqlite:///{output / 'bank.db'}") as bank:
        return len(bank.trials())


def test_the_adapter_of_a_trial_is_the_one_of_the_same_rows(mood: Bank, folder: Path) -> None:
    """Of two adapters with the same setting, that which was trained on other data is not taken."""
    import paper

    (trial,) = mood.trials("mood")
    train = {"train": {"digest": digest_bytes(b"other rows")}}
    new = as_new(mood, mood["mood"])
    mood.put(replace(new, environment=dict(new.environment) | train), new_version=True)
    other = replace(trial, data=dict(trial.data) | train)
    experiment = paper.Experiment(mood, load_backbone(str(folder)), (), 1, {}, folder, False)
    found = [experiment.adapter(one) for one in (trial, other)]
    assert [one.ref for one in found if one] == ["mood@1", "mood@2"]


def test_the_ablation_takes_off_the_layers_it_says(mood: Bank, folder: Path) -> None:
    """Without any layer a score is the recorded one; without all of them the predictions are
    those of the backbone with the trained LayerNorms and head alone."""
    import paper

    from taskbank.model.load import load_model
    from taskbank.training.plan import plan_task
    from taskbank.training.task_data import Sources

    record, backbone = mood["mood"], load_backbone(str(folder))
    examples = mood.examples(record, "validation")
    path = write_jsonl(folder.parent / "ablation.jsonl", list(examples.rows()))
    plan = plan_task("mood", Sources(path, validation=path))
    experiment = paper.Experiment(mood, backbone, (), 1, {}, folder, False)
    encoded = plan.kind.encode(
        backbone.tokenizer, examples.columns, record.definition, 64, labelled=False
    )
    recorded = next(m.value for m in record.metrics if (m.split, m.name)[0] == "validation")
    scores = [paper._without(experiment, plan, record, encoded, range(count)) for count in range(3)]
    assert scores[0] == recorded
    assert scores[2] < scores[0]
    model = load_model(record, backbone)
    assert any(tensor.any() for name, tensor in model.trained_tensors().items() if ".up." in name)


def test_defaults_are_measured_on_rows_that_are_not_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rate and number of epochs of a method is in the table, and the best is marked; what
    is scored is the same for every size and in no part that is learned."""
    import defaults

    backbone = make_backbone(tmp_path / "tiny")
    write_jsonl(tmp_path / "moods.jsonl", sentences(60, seed=1))
    (tmp_path / "one.toml").write_text('[[task]]\nname = "moods"\ntrain = "moods.jsonl"\n')
    monkeypatch.setattr(defaults, "EPOCHS", (1, 2))
    monkeypatch.setattr(defaults, "SCORED", 20)
    output = tmp_path / "output"
    command = ["defaults.py", str(tmp_path / "one.toml"), "--rows", "10", "20"]
    command += ["--methods", "layernorm", "--backbone", str(backbone), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", command)
    defaults.main()
    table = (output / "defaults.md").read_text()
    assert table.count("| layernorm |") == 2 * 3 * 2
    assert table.count("**") >= 2 * 2
    parts = {
        (rows, name): (output / "data" / f"moods.{rows}.{name}.jsonl").read_text().splitlines()
        for rows in (10, 20)
        for name in ("train", "validation")
    }
    assert parts[10, "validation"] == parts[20, "validation"]
    assert [len(parts[rows, "train"]) for rows in (10, 20)] == [10, 20]
    assert not set(parts[20, "train"]) & set(parts[20, "validation"])
