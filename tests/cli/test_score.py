"""`taskbank score` on the command line."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.rows import sentences, write_jsonl
from tests.helpers.terminal import Terminal


def test_a_score_is_printed_with_its_difference_and_its_classes(
    terminal: Terminal, tmp_path: Path
) -> None:
    """The table has metrics, the recorded score, the difference, and the confusion matrix."""
    source = write_jsonl(tmp_path / "june.jsonl", sentences(40, seed=99))
    out = terminal("score", "mood", "--data", source, "--record", "june")
    for expected in ("data accuracy", "june accuracy"):
        assert (expected in out) == (expected == "june accuracy")
    assert "difference" in out
    assert "95% interval" in out
    assert "true \\ predicted" in out
    assert "split 'june', which is verified from now on" in out
    assert "\nhead sha256:" in out
    assert "june" in terminal("show", "mood")
    terminal("score", "mood", "--data", source, "--record", "june", code=2)
    assert "already has a split 'june'" in terminal.err


def test_json_is_complete(terminal: Terminal, tmp_path: Path) -> None:
    """Every number that the table shows, and the report by class, is in the JSON."""
    source = write_jsonl(tmp_path / "june.jsonl", sentences(40, seed=99))
    found = terminal.json("score", "mood", "--data", source)
    assert found["split"] is None
    assert "head" not in found
    recorded = terminal.json("score", "mood", "--data", source, "--record", "july")
    assert recorded["head"].startswith("sha256:")
    assert found["rows"] == 40
    assert {one["name"] for one in found["metrics"]} >= {"accuracy", "matthews"}
    assert len(found["difference_interval"]) == 2
    assert found["recorded"]["split"] == "test"
    assert found["classes"]["unit"] == "examples"
    assert found["known"] == {"validation": 0, "test": 0}


def test_columns_and_bad_data_are_as_for_training(terminal: Terminal, tmp_path: Path) -> None:
    """Other column names are given, and a missing column is an error that says how."""
    rows = [{"message": row["text"], "mood": row["label"]} for row in sentences(8)]
    source = write_jsonl(tmp_path / "other.jsonl", rows)
    terminal("score", "mood", "--data", source, code=2)
    assert "--text COL" in terminal.err
    found = terminal.json("score", "mood", "--data", source, "--text", "message", "--label", "mood")
    assert found["rows"] == 8
