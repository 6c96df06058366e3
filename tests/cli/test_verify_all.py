"""`taskbank verify-all` and what belongs to it."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.cli.main import run
from tests.helpers.tampering import nudge, replica


@pytest.mark.slow
def test_the_command_line_has_it_all(mood: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    """Levels, trying out, accepting and tolerances, with what they say."""
    mood.put(replica(mood, "other", nudge))
    base = ["--bank", mood.url]
    assert run([*base, "verify-all", "--level", "changed"]) == 0
    assert "1 changed, but no worse than chance explains" in capsys.readouterr().out
    number = mood.verification_log.verifications()[-1].id
    assert run([*base, "verify-all", "--level", "changed"]) == 0
    out = capsys.readouterr().out
    assert f"nothing they depend on has changed since verification {number}" in out
    assert "1 changed, but no worse than chance explains" in out
    assert run([*base, "verify-all", "--level", "canary", "--task", "mood"]) == 0
    assert "canaries detect every change that affects all outputs" in capsys.readouterr().out
    assert run([*base, "verify-all", "--what-if", "dtype=bfloat16"]) == 0
    assert run([*base, "verify-all", "--what-if", "dtype"]) == 2
    accept = [*base, "accept", "other", "--verification", str(number), "--reason", "new torch"]
    assert run(accept) == 0
    assert run([*base, "verify-all", "--strict", "--resume"]) == 0
    assert run([*base, "tolerance"]) == 0
    assert "no task has" in capsys.readouterr().out
    assert run([*base, "tolerance", "mood", "0.02"]) == 0
    assert "mood" in capsys.readouterr().out
    assert mood.tolerances() == {"mood": 0.02}
    assert run([*base, "tolerance", "mood", "--drop"]) == 0
    assert run([*base, "tolerance", "--drop"]) == 2
    assert mood.tolerances() == {}
