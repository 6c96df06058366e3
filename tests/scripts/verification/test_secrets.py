"""The attack on secrets in URLs."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from scripts.verification.attacks.outcomes import Outcomes
from scripts.verification.attacks.secrets import attack, judge


@pytest.mark.slow
def test_no_secret_is_shown_or_stored(tmp_path: Path) -> None:
    """A few random secrets in URLs of banks and blobs, and in errors, stay hidden."""
    outcomes, chance = Outcomes(), random.Random(5)
    for _ in range(6):
        attack(outcomes, chance, tmp_path)
    assert outcomes.broken == []
    assert outcomes.counts["hidden"] == 18


def test_the_attack_notices_a_secret(tmp_path: Path) -> None:
    """What is shown, stored or a defect is counted as broken."""
    outcomes = Outcomes()
    judge(outcomes, "password Zq7hunter", tmp_path, "shown")
    judge(outcomes, "DEFECT", tmp_path, "defect")
    (tmp_path / "file").write_text("Wx9sword")
    judge(outcomes, "", tmp_path, "stored")
    assert outcomes.counts == {"shown": 1, "defect": 1, "stored": 1}
    assert len(outcomes.broken) == 3
