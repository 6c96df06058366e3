"""One line of JSON for everything that is logged."""

from __future__ import annotations

import json
import logging

import pytest

from taskbank.serve.http.log_lines import JsonLines, log_to_stderr


def test_lines_are_json_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    """A message has its passwords hidden, an exception only its name; requests stay as they are."""
    log = logging.getLogger("taskbank.serve")
    before = log.handlers, log.level, log.propagate
    try:
        log_to_stderr()
        log.error("no connection to %s", "postgresql://me:hunter2@host/bank")
        try:
            raise ValueError("the client's text")
        except ValueError:
            log.exception("it failed")
        logging.getLogger("taskbank.serve.requests").info('{"request": 1}')
    finally:
        log.handlers, log.level, log.propagate = before
    lines = capsys.readouterr().err.splitlines()
    first, second, third = map(json.loads, lines)
    assert first["level"] == "error"
    assert "hunter2" not in lines[0]
    assert second["error"] == "ValueError"
    assert "client's" not in lines[1]
    assert third == {"request": 1}


def test_a_line_break_in_a_message_stays_in_its_line() -> None:
    """Whoever puts a line break into a message does not make a second line."""
    record = logging.LogRecord("taskbank.serve", logging.INFO, "", 1, "a\nb", None, None)
    assert len(JsonLines().format(record).splitlines()) == 1
