"""Tests of scripts/paper/published_scores.py and of the suites with the paper's tasks."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import pytest

from scripts.paper import published_scores as paper
from taskbank.pipeline.suite_file import read_suite

SUITES = Path(__file__).parents[3] / "scripts" / "suites"
GLUE = {"cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte"}
EPOCHS = {  # of the paper's adapters, where they are not 20
    **dict.fromkeys(("newsgroups", "corporate_messaging", "disasters", "global_warming"), 50),
    **dict.fromkeys(("political_bias", "political_message"), 50),
    **dict.fromkeys(("primary_emotions", "progressive_opinion", "progressive_stance"), 100),
}


def test_the_scores_have_the_averages_that_the_paper_prints() -> None:
    """The mean of each column of table 2 is the paper's average within rounding."""
    for method, average in paper.ADDITIONAL_AVERAGE.items():
        found = mean(scores[method][0] for scores in paper.ADDITIONAL.values())
        assert found == pytest.approx(average, abs=0.1)
    without = mean(paper.ADDITIONAL_WITHOUT_BERT.values())
    assert without == pytest.approx(72.7, abs=0.05)
    assert paper.ADDITIONAL.keys() == paper.ADDITIONAL_WITHOUT_BERT.keys()


def test_the_glue_suite_has_the_eight_tasks_of_the_paper(tmp_path: Path) -> None:
    """The suite has the paper's metrics and search, and no task is tuned on its scored split."""
    entries = {entry.name: entry.values for entry in read_suite(SUITES / "glue.toml", tmp_path)}
    assert entries.keys() == paper.GLUE.keys() == GLUE
    for name, values in entries.items():
        assert values.get("metric", "accuracy") == paper.GLUE_METRICS[name]
        assert values["train"] == f"hf:nyu-mll/glue/{name}:train"
        assert values["test"].startswith(f"hf:nyu-mll/glue/{name}:validation")
        assert "validation" not in values
        assert ("positive" in values) == (values.get("metric") == "f1")
        assert values["search"] == {
            "learning_rate": [3e-5, 3e-4, 3e-3],
            "size": [8, 64, 256],
            "epochs": [3, 20],
        }


def test_the_paper17_suite_has_the_seventeen_additional_tasks(tmp_path: Path) -> None:
    """The suite has the tasks of table 2, with the paper's epochs and three files each."""
    entries = {entry.name: entry.values for entry in read_suite(SUITES / "paper17.toml", tmp_path)}
    assert len(entries) == 17
    assert entries.keys() == paper.ADDITIONAL.keys()
    for name, values in entries.items():
        assert values["epochs"] == EPOCHS.get(name, 20)
        for split in ("train", "validation", "test"):
            assert values[split] == str(tmp_path / name / f"{split}.csv")


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_suite_can_be_read(path: Path, tmp_path: Path) -> None:
    """The suite has tasks and no unknown key."""
    assert read_suite(path, tmp_path)
