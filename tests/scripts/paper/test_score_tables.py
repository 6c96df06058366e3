"""Tests of scripts/paper/score_tables.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.paper.score_tables import write_scores
from taskbank.specs import BackboneIdentity
from tests.helpers.score_rows import Row, score_row

BACKBONE = BackboneIdentity("./tiny", "bert", "mean", 1000, 32, 2, 64, "w", "c", "t")


def written(folder: Path, rows: list[Row]) -> str:
    """Return the tables of some rows."""
    write_scores(folder / "scores.md", rows, BACKBONE)
    return (folder / "scores.md").read_text(encoding="utf-8")


def cells(text: str, first: str) -> list[str]:
    """Return the cells of the first table row with this first cell."""
    line = next(one for one in text.splitlines() if one.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_papers_scores_stand_beside_ours(tmp_path: Path) -> None:
    """A task's row has our methods in order, then the paper's scores for the same metric."""
    methods = ("houlsby", "full", "layernorm", "top-k", "houlsby-64")
    text = written(
        tmp_path, [score_row(t, m) for m in methods for t in ("cola", "airline", "trec")]
    )
    assert cells(text, "task")[4:9] == ["full", "top-k", "layernorm", "houlsby-64", "houlsby"]
    assert cells(text, "cola")[1:5] == ["matthews", "test", "3", "80.0 ± 1.0"]
    assert cells(text, "cola")[9:] == ["60.5 ¹", "", "56.9 ¹", "59.5 ¹"]
    assert cells(text, "airline")[9:] == ["83.6 ± 0.3 ²", "84.0 ± 0.1 ²", "", "84.5 ± 0.2 ²"]
    assert cells(text, "trec")[9:] == [""] * 4
    assert "another backbone on another test set" in text


def test_a_score_for_another_metric_is_not_quoted(tmp_path: Path) -> None:
    """The paper's Matthews correlation does not stand beside an accuracy."""
    assert "60.5" not in written(tmp_path, [score_row("cola", "full", metric="accuracy")])


def test_the_summary_counts_the_storage_for_all_tasks(tmp_path: Path) -> None:
    """Full fine-tuning stores a model per task, adapters the backbone once and a share per task."""
    rows = [score_row(t, "full", 0.8) for t in ("a", "b", "sst2")]
    rows += [score_row(t, "houlsby", 0.79) for t in ("a", "b")]
    text = written(tmp_path, rows)
    assert "## Mean over the 2 of 3 tasks" in text
    assert cells(text, "full")[1:] == ["2", "80.0", "", "100 %", "2 x"]
    assert cells(text, "houlsby")[1:] == ["2", "79.0", "-1.0", "2 %", "1.04 x"]
    assert "paper, table" not in text  # which has neither a nor b
    theirs = written(tmp_path, [score_row("sst2", "full"), score_row("sms_spam", "full")])
    assert cells(theirs, "paper, table 1: houlsby")[2:] == ["80.0", "-0.4", "3.6 %", "1.3 x"]
    assert cells(theirs, "paper, table 2: houlsby")[2:] == ["73.3", "-0.4", "1.14 %", "1.19 x"]


def test_the_tables_name_unstable_and_collapsed_runs(tmp_path: Path) -> None:
    """Standard errors are compared with those of full fine-tuning, and collapses are counted."""
    rows = [score_row("a", "full"), score_row("b", "full"), score_row("a", "houlsby")]
    rows.append(score_row("b", "houlsby", standard_error=0.02, collapsed=1))
    text = written(tmp_path, rows)
    assert "- `houlsby`: 1 of 2 (a); larger on b" in text
    assert "- b, `houlsby`: 1 of 3" in text


@pytest.mark.parametrize("count", range(5))
def test_missing_scores_have_a_dash(tmp_path: Path, count: int) -> None:
    """The tables can be written after every score, from none to all."""
    rows = [score_row(t, m, seeds=1) for m in ("full", "houlsby") for t in ("cola", "sms_spam")]
    text = written(tmp_path, rows[:count])
    assert ("| – |" in text) == (count == 3)
    assert text.count("| cola | full |") == min(count, 1)
