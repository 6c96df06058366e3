"""`taskbank diff`, and an alias that must not move."""

from __future__ import annotations

import json

import pytest

from taskbank.bank.bank import Bank
from taskbank.cli.main import run


def test_the_command_line_compares_and_refuses(
    versions: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    """`diff` prints what differs; an alias that must not move does not, and the code is 1."""
    base = ["--bank", versions.url]
    assert run([*base, "diff", "mood@2", "mood@3"]) == 0
    out = capsys.readouterr().out
    assert "18 for the worse" in out.replace("\n", " ")
    assert run([*base, "diff", "mood@2", "mood@3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["negative_flips"] == 18
    move = [*base, "alias", "mood@2", "production", "--require", "metric.accuracy >= 0.9"]
    assert run(move) == 0
    move = [*base, "alias", "mood@3", "production", "--require", "negative_flips <= 3"]
    assert run(move) == 1
    assert "alias 'production' was not moved" in capsys.readouterr().err
    assert versions["mood@production"].version == 2
    assert run([*base, "alias", "mood", "--require", "flips = 0"]) == 2
