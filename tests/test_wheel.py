"""What users install: the built wheel, somewhere else, without the repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel."""
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", place, ROOT],
        check=True,
        capture_output=True,
    )
    (built,) = place.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_its_migrations_only(wheel: Path) -> None:
    """Migrations and the page template are in it; tests and scripts are not."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "taskbank/migrations/env.py" in names
    assert any(name.startswith("taskbank/migrations/versions/0001") for name in names)
    assert "taskbank/verify/page.html" in names
    folders = {name.split("/")[0] for name in names}
    assert {f for f in folders if not f.endswith(".dist-info")} == {"taskbank"}


def test_the_installed_wheel_makes_and_uses_a_bank(
    wheel: Path, folder: Path, data: Path, tmp_path: Path
) -> None:
    """In a folder of its own, with this environment's libraries, the wheel makes a bank with its
    own migrations, adds a task and verifies it."""
    site = tmp_path / "site"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--target",
            site,
            wheel,
        ],
        check=True,
        capture_output=True,
    )
    environment = os.environ | {"PYTHONPATH": str(site), "TASKBANK_BANK": "sqlite:///bank.db"}
    start = "import sys, taskbank; from taskbank.cli.main import run; "

    def taskbank(*arguments: str) -> str:
        code = (
            start + f"assert {str(site)!r} in taskbank.__file__; sys.exit(run({list(arguments)}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environment,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    taskbank("init", "--backbone", str(folder), "--json")
    taskbank("add-task", "mood", "--train", str(data / "train.jsonl"), "--epochs", "1")
    assert json.loads(taskbank("verify-all", "--json", "--report", "r.html"))["ok"]
    assert json.loads(taskbank("list", "--json"))[0]["task"] == "mood"
