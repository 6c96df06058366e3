"""`taskbank add-task`."""

from __future__ import annotations

from pathlib import Path

import pytest

import taskbank
from taskbank.cli.main import run


@pytest.mark.slow
def test_a_version_that_is_worse_does_not_get_the_alias(
    tmp_path: Path, folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is recorded, the alias stays, and the command exits with 1; a good one gets it."""
    url = f"sqlite:///{tmp_path}/bank.db"
    command = ["--bank", url, "add-task", "mood", "--train", str(data / "train.jsonl")]
    command += ["--test", str(data / "validation.jsonl"), "--alias", "production"]
    good = ["--epochs", "8", "--learning-rate", "0.02", "--size", "8"]
    assert run([*command, *good, "--backbone", str(folder)]) == 0
    bad = ["--epochs", "1", "--learning-rate", "1e-7", "--new-version", "--must-not-regress"]
    assert run([*command, *bad]) == 1
    assert "mood@2 is worse than mood@1" in capsys.readouterr().err
    same = [*good, "--new-version", "--must-not-regress", "--seed", "1"]
    assert run([*command, *same]) == 0
    with taskbank.open(url) as bank:
        assert bank["mood@production"].version == 3
        assert bank["mood@2"].version == 2
    assert run([*command, *good, "--must-not-regress"]) == 2
    assert "--new-version" in capsys.readouterr().err
    assert run([*command, "--new-version", "--alias", "7"]) == 2
