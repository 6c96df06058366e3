"""`taskbank keys` makes, lists and removes keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskbank.cli.main import run
from taskbank.serve.http.keys import Keys


def test_a_key_is_made_listed_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key is printed once; the list has names and scopes, and never a key or its hash."""
    path = tmp_path / "keys"
    assert run(["keys", "add", "web", "--keys", str(path)]) == 0
    secret = capsys.readouterr().out.strip()
    assert run(["keys", "add", "ops", "--scope", "admin", "--keys", str(path), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["name"], made["scope"]) == ("ops", "admin")
    found = Keys(path).find(secret)
    assert found is not None
    assert run(["keys", "list", "--keys", str(path)]) == 0
    listed = capsys.readouterr().out
    assert "web" in listed
    assert "admin" in listed
    assert secret not in listed
    assert found.sha256 not in listed
    assert run(["keys", "remove", "web", "--keys", str(path)]) == 0
    capsys.readouterr()
    assert run(["keys", "list", "--keys", str(path), "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["ops"]


def test_what_cannot_be_done_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An invalid name, one that is taken, and a file that is missing are errors with words."""
    path = str(tmp_path / "keys")
    assert run(["keys", "add", "a b", "--keys", path]) == 2
    assert "key name 'a b' is invalid" in capsys.readouterr().err
    assert run(["keys", "list", "--keys", path]) == 2
    assert "taskbank keys add" in capsys.readouterr().err
    assert run(["keys", "add", "a", "--keys", path]) == 0
    assert run(["keys", "add", "a", "--keys", path]) == 2
    assert run(["keys", "remove", "b", "--keys", path]) == 2
