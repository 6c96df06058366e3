"""The command `taskbank suggest`."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.rows import pairs, write_jsonl
from tests.helpers.terminal import Terminal


def test_the_command_says_what_to_start_from_or_none(terminal: Terminal, tmp_path: Path) -> None:
    """A row per version and one for the bare backbone, and the options of a start; with --json
    all of it; where nothing can be compared, one sentence."""
    rows = write_jsonl(tmp_path / "rows.jsonl", pairs(200, seed=11))
    shown = terminal("suggest", "--kind", "pair", "--train", rows)
    assert "mood@1" in shown
    assert "(bare backbone)" in shown
    assert "--from mood@1 --method houlsby --option size=8" in shown
    assert (
        terminal.json("suggest", "--kind", "pair", "--train", rows)["versions"][0]["ref"]
        == "mood@1"
    )
    none = terminal("suggest", "--kind", "pair", "--train", rows, "--task", "other-*")
    assert none.startswith("none: the bank has no version of a task that matches 'other-*'")
