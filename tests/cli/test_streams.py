"""Standard streams: any encoding, closed streams, readers that leave, and full disks."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskbank.bank.bank import Bank
from taskbank.cli.commands import cli
from taskbank.cli.main import run
from taskbank.cli.streams import encodable, prepare_streams

ODD = "prétty ± … 日本 \U0001f600"
PRINTING = [
    ["list"],
    ["show", "mood"],
    ["query", "score > 0"],
    ["trials"],
    ["alias", "mood"],
    ["history"],
    ["history", "--matrix"],
    ["verify-all", "--level", "integrity"],
    ["predict", "mood", ODD],
    ["cache", "info"],
    ["db", "current"],
    ["gc"],
    ["show", ODD],
    ["list", "--nonsense", ODD],
    *([command, "--help"] for command in sorted(cli.commands)),
]
Redirect = Callable[..., Path]


@pytest.fixture
def redirect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Redirect:
    """Redirects both standard streams to files, in an encoding, as a shell would."""

    def to(encoding: str, output: str | None = None, *, buffered: bool = True) -> Path:
        place = Path(output or tmp_path / "output.txt")
        for name, path in (("stdout", place), ("stderr", tmp_path / "errors.txt")):
            raw = io.FileIO(path, "w")
            buffer = io.BufferedWriter(raw) if buffered else raw
            stream = io.TextIOWrapper(buffer, encoding, write_through=not buffered)
            monkeypatch.setattr(sys, name, stream)
            monkeypatch.setattr(sys, f"__{name}__", stream)  # keeps it open
        prepare_streams()
        return place

    return to


@pytest.fixture
def described(mood: Bank, monkeypatch: pytest.MonkeyPatch) -> Bank:
    """The bank of `mood`, whose description has characters that few encodings have."""
    from tests.helpers.tampering import rewrite

    rewrite(mood, "UPDATE adapters SET description = ?", ODD)
    monkeypatch.setattr("taskbank.bank.catalog.adapters.check_rows", lambda *_given: None)
    monkeypatch.setenv("TASKBANK_BANK", mood.url)
    return mood


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "cp437", "utf-8", "utf-16"])
@pytest.mark.parametrize("buffered", [True, False])
def test_every_command_prints_in_any_encoding(
    described: Bank, redirect: Redirect, encoding: str, buffered: bool
) -> None:
    """No command fails for an encoding, and what it prints is text in that encoding."""
    output = redirect(encoding, buffered=buffered)
    for command in PRINTING:
        code = run(command)
        assert code == (2 if ODD in command and command[0] != "predict" else 0) or (
            command[0] == "verify-all" and code == 1  # which notices the changed description
        ), command
    text = output.read_bytes().decode(encoding)
    assert "mood@1" in text
    if encoding == "ascii":
        assert "pr\\xe9tty \\xb1 \\u2026 \\u65e5\\u672c" in text
        assert "--------" in text
    if encoding == "cp1252":
        assert "prétty ± … \\u65e5\\u672c" in text
    if encoding.startswith("utf"):
        assert ODD in text
        assert "────" in text


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "utf-8", "utf-16"])
def test_json_is_json_in_any_encoding(described: Bank, redirect: Redirect, encoding: str) -> None:
    """JSON escapes what a stream may lack, so that a text is read as it was."""
    output = redirect(encoding)
    assert run(["show", "mood", "--json"]) == 0
    assert json.loads(output.read_bytes().decode(encoding))["description"] == ODD


def test_a_table_is_aligned_by_what_is_shown(redirect: Redirect) -> None:
    """Escapes count for the width of a column."""
    from taskbank.cli.text_table import print_table

    output = redirect("ascii")
    print_table(("name", ">score"), [("é", 1), ("plain", 2)])
    lines = output.read_text().splitlines()
    assert len({len(line) for line in lines}) == 1
    assert encodable("é") == "\\xe9"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_cannot_be_written_is_an_error_after_the_work(
    mood: Bank, redirect: Redirect, tmp_path: Path
) -> None:
    """A full disk under the output exits with 5 and one line; what was to be recorded is."""
    redirect("utf-8", "/dev/full")
    assert run(["--bank", mood.url, "alias", "mood@1", "best"]) == 5
    errors = (tmp_path / "errors.txt").read_text().splitlines()
    assert len(errors) == 1
    assert "the output could not be written: No space left on device" in errors[0]
    assert mood["mood@best"].version == 1


def test_a_reader_that_leaves_does_not_change_the_exit_code(
    mood: Bank, redirect: Redirect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `| head -1` the command goes on without output, and its own exit code stands."""
    redirect("utf-8")

    def broken(*_arguments: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    output: Any = sys.stdout.buffer
    monkeypatch.setattr(output.raw._raw, "write", broken, raising=False)
    assert run(["--bank", mood.url, "list"]) == 0
    assert run(["--bank", mood.url, "show", "nothing"]) == 2


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_are_like_streams_to_nowhere(mood: Bank, closed: tuple[int, ...]) -> None:
    """With `>&-` a command works, exits with its own code, and writes nothing elsewhere."""
    command = [sys.executable, "-m", "taskbank", "--bank", mood.url, "verify-all"]

    def close() -> None:
        for number in closed:
            os.close(number)

    found = subprocess.run(
        [*command, "--level", "integrity"], preexec_fn=close, capture_output=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert not found.stderr
    assert bool(found.stdout) == (1 not in closed)
