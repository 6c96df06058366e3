"""What users install: the built wheel, somewhere else, without the repository."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_wheel

ROOT = Path(__file__).parents[1]
# Runs commands one after the other, and prints what each printed as a JSON list.
COMMANDS = """
import contextlib, io, json, sys
import taskbank
from taskbank.cli.main import run

site, commands = json.loads(sys.argv[1])
assert taskbank.__file__.startswith(site), taskbank.__file__
texts = []
for command in commands:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert run(command) == 0, command
    texts.append(printed.getvalue())
print(json.dumps(texts))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel."""
    place = tmp_path_factory.mktemp("wheel")
    with contextlib.chdir(ROOT):  # as pip calls it
        return place / build_wheel(str(place))


def test_the_wheel_holds_the_package_and_its_migrations_only(wheel: Path) -> None:
    """Migrations and the pages' templates are in it; tests and scripts are not."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "taskbank/migrations/env.py" in names
    assert any(name.startswith("taskbank/migrations/versions/0001") for name in names)
    assert "taskbank/pages/templates/verification.html" in names
    folders = {name.split("/")[0] for name in names}
    assert {f for f in folders if not f.endswith(".dist-info")} == {"taskbank"}


@pytest.mark.process
def test_the_installed_wheel_makes_and_uses_a_bank(
    wheel: Path, folder: Path, data: Path, tmp_path: Path
) -> None:
    """In a folder of its own, with this environment's libraries, the wheel makes a bank with its
    own migrations, adds a task and verifies it."""
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", site, wheel], check=True, capture_output=True)
    commands = [
        ["init", "--backbone", str(folder), "--json"],
        ["add-task", "mood", "--train", str(data / "train.jsonl"), "--epochs", "1", "--json"],
        ["verify-all", "--json", "--report", "r.html"],
        ["list", "--json"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps([str(site), commands])],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site), "TASKBANK_BANK": "sqlite:///bank.db"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    _, _, verified, listed = map(json.loads, json.loads(done.stdout))
    assert verified["ok"]
    assert listed[0]["task"] == "mood"
    assert (tmp_path / "r.html").exists()
