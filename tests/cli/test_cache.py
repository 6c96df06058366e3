"""`taskbank cache`."""

from __future__ import annotations

import json

import pytest

from taskbank.cli.main import run
from taskbank.digests import digest_bytes
from taskbank.runtime.disk_cache import cache_folder, contents, store


def test_the_command_says_what_there_is_and_removes_it(capsys: pytest.CaptureFixture[str]) -> None:
    """`cache info` counts files and bytes; `cache clear` leaves checkpoints unless named."""
    store("tokens", digest_bytes(b"one"), 7, [b"content"])
    store("states", digest_bytes(b"other"), 6, [b"states"])
    checkpoint = cache_folder() / "checkpoints" / "one"
    checkpoint.parent.mkdir(mode=0o700)
    checkpoint.write_bytes(b"state")
    assert run(["cache", "info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["folder"] == str(cache_folder())
    assert found["parts"] == {
        "tokens": {"files": 1, "bytes": 7},
        "states": {"files": 1, "bytes": 6},
        "checkpoints": {"files": 1, "bytes": 5},
    }
    assert run(["cache", "clear"]) == 0
    assert "removed 1 files of tokens, 7" in capsys.readouterr().out
    assert [one.files for one in contents()] == [0, 0, 1]
    assert run(["cache", "clear", "checkpoints", "--json"]) == 0
    assert [one.files for one in contents()] == [0, 0, 0]
    assert run(["cache", "clear", "models"]) == 2
    assert "the cache has no part 'models': name tokens, states, checkpoints" in (
        capsys.readouterr().err
    )
