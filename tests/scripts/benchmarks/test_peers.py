"""Tests of scripts/benchmarks/peers.py and of the workers that need no peer."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from scripts.benchmarks import peers
from scripts.benchmarks.workers.worker import repeated
from tests.helpers.backbones import make_backbone


@pytest.mark.process
def test_a_worker_gets_its_job_and_its_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's process reads the job and has no more threads than the job allows."""
    (tmp_path / "echo.py").write_text(
        "import json, os, pathlib, sys\n"
        "job = json.loads(pathlib.Path(sys.argv[1]).read_text())\n"
        "job['environment'] = os.environ['OMP_NUM_THREADS']\n"
        "pathlib.Path(sys.argv[2]).write_text(json.dumps(job))\n"
    )
    (tmp_path / "broken.py").write_text("raise ValueError('because of this')")
    monkeypatch.setattr(peers, "WORKERS", tmp_path)
    job = {"threads": 3, "rows": 7}
    figures = peers.run_worker(Path(sys.executable), "echo.py", job, tmp_path / "runs")
    assert figures == {**job, "environment": "3"}
    with pytest.raises(SystemExit, match="because of this"):
        peers.run_worker(Path(sys.executable), "broken.py", job, tmp_path / "runs")


@pytest.mark.process
def test_a_worker_imports_its_siblings_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real worker serves tasks of a tiny backbone, started outside the project's folder."""
    monkeypatch.chdir(tmp_path)
    texts = {"mixed": {"text": ["good day", "a bad meal"], "task": [1, 0]}}
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    job = {
        "part": "mixed",
        "backbone": str(make_backbone(tmp_path / "tiny")),
        "texts": str(tmp_path / "texts.json"),
        "method": "houlsby",
        "size": 8,
        "max_length": 16,
        "times": 1,
        "threads": 1,
    }
    run = peers.run_worker(Path(sys.executable), "taskbank_serving.py", job, Path("runs"))
    assert (run["rows"], run["tokens"]) == (2, 9)
    assert run["times_bare"] == run["seconds"] / run["bare"] > 0


@pytest.mark.process
def test_an_existing_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is created or installed where a peer's Python has its requirements."""
    python = tmp_path / "peft" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho \'{"peft": "0.21.2"}\'\n')
    python.chmod(0o755)
    assert peers.versions(python, "peft") == {"peft": "0.21.2"}
    monkeypatch.setattr(peers, "versions", lambda *_: {"peft": "0.21.2"})
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("it was created"))
    assert peers.peer_python(tmp_path, "peft") == python


def test_a_backbone_is_a_folder_for_every_library(tmp_path: Path) -> None:
    """A folder and a package give a path; a package that is not installed is named."""
    assert peers.backbone_folder(str(tmp_path)) == tmp_path
    assert peers.backbone_folder("package:taskbank/kinds").name == "kinds"
    with pytest.raises(SystemExit, match="no_such_package"):
        peers.backbone_folder("package:no_such_package/model")


def test_repetitions_follow_a_warm_up() -> None:
    """Repetition 0 is not timed, and the others are timed once each."""
    numbers: list[int] = []
    assert len(repeated(numbers.append, 3)) == 3
    assert numbers == [0, 1, 2, 3]
