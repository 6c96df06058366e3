"""The command line as a user has it: output, JSON and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.tables import SCHEMA_REVISION
from taskbank.cli.commands import cli
from taskbank.cli.main import run
from tests.helpers.backbones import make_backbone
from tests.helpers.terminal import Terminal

LIST_KEYS = (
    "task",
    "version",
    "kind",
    "method",
    "metric",
    "score",
    "split",
    "parameters",
    "bytes",
    "digest",
    "backbone",
    "created_at",
)
COMMANDS = sorted(cli.commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_says_what_it_does(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Help of every command and option is there."""
    assert run([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: taskbank " + command)
    found = cli.commands[command]
    assert found.help
    assert all(p.help for p in found.params if isinstance(p, click.Option))


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints name and version."""
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == "taskbank, version 0.1.0\n"


@pytest.mark.slow
def test_a_session_from_nothing_to_verified(
    url: str, folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command in turn on a new bank, on SQLite and PostgreSQL, with the promised keys."""
    terminal = Terminal(url, capsys)
    made = terminal.json("init", "--backbone", str(folder))
    assert made["layers"] == 2
    small = ("--size", "4", "--epochs", "1", "--batch-size", "16", "--seed", "3")
    added = terminal.json(
        "add-task",
        "mood",
        "--train",
        str(data / "train.jsonl"),
        "--test",
        str(data / "test.jsonl"),
        "--tag",
        "team=search",
        "--tag",
        "tier=a=b",
        "--description",
        "good?",
        "--learning-rate",
        "0.01",
        "--max-length",
        "32",
        "--patience",
        "2",
        "--weight-decay",
        "0.01",
        "--option",
        "init_std=0.001",
        *small,
    )
    assert added["tags"] == {"team": "search", "tier": "a=b"}
    assert added["options"] == {"size": 4, "init_std": 0.001, "activation": "gelu", "layers": "all"}
    assert (added["training"]["seed"], added["training"]["weight_decay"]) == (3, 0.01)
    assert added["verification"]["ok"]
    assert added["verification"]["level"] == "changed"
    terminal("add-task", "mood", "--train", str(data / "train.jsonl"), *small, code=2)
    assert "--new-version" in terminal.err
    out = terminal(
        "add-task", "mood", "--train", str(data / "train.jsonl"), "--new-version", *small
    )
    assert "mood@2" in out
    assert "the 1 other adapter is unchanged (verified at level changed)" in out

    listed = terminal.json("list")
    assert [tuple(row) for row in listed] == [LIST_KEYS] * 2
    assert terminal.json("query", 'tag.team = "search"') == listed[:1]
    shown = terminal.json("show", "mood@1")
    assert {"labels", "training", "metrics", "splits", "environment", "classes"} <= set(shown)
    assert (
        sum(cell["count"] for cell in shown["classes"]["confusion"]) == shown["splits"][-1]["rows"]
    )
    predicted = terminal.json("predict", "mood", "a good day")
    keys = {"text", "label", "score", "probabilities", "truncated"}
    assert [set(row) for row in predicted] == [keys]
    (step,) = terminal.json("alias", "mood@1", "production")["history"]
    assert (step["alias"], step["version"]) == ("production", 1)
    assert terminal.json("show", "mood@production") == shown

    verified = terminal.json("verify-all")
    assert {"ok", "level", "checked", "findings", "tasks"} <= set(verified)
    assert verified["ok"] is True
    assert {
        "task",
        "version",
        "status",
        "metric",
        "recorded",
        "observed",
        "flips",
        "examples",
    } <= set(verified["tasks"][0])
    terminal("remove", "mood@1", code=2)
    assert "production" in terminal.err
    terminal.json("remove", "mood@2")
    assert terminal.json("gc") == {
        "confirmed": False,
        "adapters": ["mood@2"],
        "blobs": 2,  # the held-out examples are the other version's too
        "bytes": pytest.approx(0, abs=10**6),
        "strays": [],
        "unfinished": [],
        "foreign": [],
        "recent": 0,
        "head": terminal.json("db", "current")["head"],
    }
    terminal.json("gc", "--confirm")
    assert len(terminal.json("list", "--retired")) == 1
    exported = str(tmp_path / "out")
    terminal("export", "mood", "--output", exported)
    assert terminal.json("import", exported, "--name", "again")["task"] == "again"
    current = terminal.json("db", "current")
    assert (current["bank"], current["taskbank"]) == (SCHEMA_REVISION, SCHEMA_REVISION)
    assert terminal.json("db", "upgrade")["after"] == SCHEMA_REVISION


def test_tables_are_for_people(terminal: Terminal) -> None:
    """Without --json the same is printed as tables and sentences."""
    assert "mood@1" in terminal("list")
    shown = terminal("show", "mood")
    assert "Is the mood good?" in shown
    assert "tag team" in shown
    assert "no adapters" in terminal("query", "score > 2")
    assert "good" in terminal("predict", "mood", "a good sweet day")
    assert "has no aliases" in terminal("alias", "mood")
    assert "mood@1" in terminal("alias", "mood@1", "production")
    assert "nothing" in terminal("alias", "mood", "production", "--drop")
    assert "all is well" in terminal("verify-all")
    assert "would destroy 0 adapters" in terminal("gc")
    assert f"this taskbank reads {SCHEMA_REVISION}" in terminal("db", "current")
    assert "nothing to do" in terminal("db", "upgrade")


def test_quiet_prints_data_and_errors_only(terminal: Terminal) -> None:
    """Remarks go; results stay, before or after the command's name."""
    assert terminal("--quiet", "verify-all", "--level", "integrity") == ""
    assert terminal("gc", "--quiet") == ""
    assert "mood@1" in terminal("list", "--quiet")


def test_global_options_go_before_and_after_the_command(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--json` and `--bank` mean the same in both places, and the environment names a bank."""
    assert terminal("--json", "list") == terminal("list", "--json")
    assert run(["list", "--bank", terminal.bank]) == 0
    monkeypatch.setenv("TASKBANK_BANK", terminal.bank)
    assert run(["list"]) == 0
    assert run(["list", "--bank", "sqlite:///other.db"]) == 2


def test_exit_code_1_says_that_a_verification_found_something(
    terminal: Terminal, mood: Bank, tmp_path: Path
) -> None:
    """A damaged blob makes verify-all exit with 1, with reports written for people and CI."""
    from tests.helpers.tampering import rewrite

    rewrite(mood, "UPDATE blobs SET data = ? WHERE digest = ?", b"x", mood["mood"].digest)
    found = terminal.json(
        "verify-all", "--level", "integrity", "--junit", "r.xml", "--report", "r.html", code=1
    )
    assert (found["ok"], found["tasks"][0]["status"]) == (False, "damaged")
    assert (tmp_path / "r.xml").exists()
    assert (tmp_path / "r.html").exists()
    assert "mood@1: weights" in terminal("verify-all", code=1)
    terminal("predict", "mood", "x", code=3)
    assert "is damaged" in terminal.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "nothing"],
        ["show"],
        ["query", "score >"],
        ["list", "--limit", "-1"],
        ["nonsense"],
        ["list", "--nonsense"],
        ["add-task", "x"],
        ["add-task", "x", "--train", "nowhere.csv"],
        ["add-task", "x", "--train", "nowhere.csv", "--tag", "novalue"],
        ["add-task", "x", "--train", "nowhere.csv", "--tag", "a=1", "--tag", "a=2"],
        ["add-task", "x", "--train", "nowhere.csv", "--epochs", "many"],
        ["add-task", "x", "--train", "nowhere.csv", "--size", "0"],
        ["verify-all", "--level", "deep"],
        ["verify-all", "--tolerance", "3"],
        ["verify-all", "--task", "nothing"],
        ["verify-all", "--report", "/nowhere/at/all.html"],
        ["alias", "mood", "production"],
        ["alias", "mood", "--drop"],
        ["alias", "mood@1", "7"],
        ["remove", "mood"],
        ["export", "mood", "--output", "."],
        ["import", "nowhere"],
        ["init"],
        ["completion", "cmd.exe"],
        ["--bank", "mysql://u:hunter2@h/d", "list"],
        ["--bank", "postgresql://u:hunter2@127.0.0.1:9/d", "list"],
        ["--bank", "sqlite:///nowhere.db", "list"],
    ],
)
def test_exit_code_2_says_that_the_input_was_bad(terminal: Terminal, arguments: list[str]) -> None:
    """Bad usage, names, files and URLs exit with 2, print no data and no traceback."""
    Path("x").write_text("so that the folder is not empty")
    assert terminal(*arguments, code=2) == ""
    assert "Traceback" not in terminal.err
    assert "hunter2" not in terminal.err
    assert terminal.err


def test_exit_code_3_says_that_the_bank_is_of_another_schema(
    terminal: Terminal, mood: Bank
) -> None:
    """A bank from the future is refused by every command that opens it."""
    from tests.helpers.tampering import rewrite

    rewrite(mood, "UPDATE alembic_version SET version_num = '9999'")
    for command in (["list"], ["verify-all"], ["gc"], ["db", "upgrade"]):
        terminal(*command, code=3)
    assert terminal.json("db", "current") == {
        "bank": "9999",
        "taskbank": SCHEMA_REVISION,
        "head": None,
        "entries": None,
        "copies": [],
    }


def test_exit_code_4_says_that_the_backbone_does_not_match(
    terminal: Terminal, tmp_path: Path
) -> None:
    """Another model given as the backbone is refused with both digests."""
    other = str(make_backbone(tmp_path / "other", seed=1))
    terminal("predict", "mood", "x", "--backbone", other, code=4)
    assert terminal.err.count("sha256:") >= 2
    terminal("verify-all", "--backbone", other, code=4)


def test_exit_code_130_says_that_it_was_interrupted(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C leaves with 130 and says what became of the work."""

    def interrupt(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("taskbank.verify.verify.check_integrity", interrupt)
    terminal("verify-all", code=130)
    assert "interrupted" in terminal.err


def test_a_defect_is_not_mistaken_for_a_finding(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected exception exits with 70 and its traceback, never with 1."""
    monkeypatch.setattr("taskbank.bank.bank.Bank.adapters", lambda *a, **k: 1 / 0)
    terminal("list", code=70)
    assert "ZeroDivisionError" in terminal.err


LOOKING = [
    ["--help"],
    ["list", "--json"],
    ["show", "mood", "--json"],
    ["query", "score > 0", "--json"],
    ["alias", "mood"],
    ["gc"],
    ["verify-all", "--level", "integrity"],
    ["db", "current"],
]
LOOK = """
import json, sys
from taskbank.cli.main import run

for arguments in json.loads(sys.argv[2]):
    assert run(["--bank", sys.argv[1], *arguments]) == 0, arguments
    heavy = {"torch", "transformers", "alembic", "datasets", "ray"} & set(sys.modules)
    assert not heavy, (arguments, heavy)
"""


@pytest.mark.process
def test_what_only_looks_never_imports_torch(mood: Bank) -> None:
    """Commands that do not compute run without torch, transformers, alembic and datasets."""
    mood.close()
    command = [sys.executable, "-c", LOOK, mood.url, json.dumps(LOOKING)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert '"task": "mood"' in found.stdout
