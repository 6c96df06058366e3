"""One line of JSON for everything that a server logs, on the error stream."""

from __future__ import annotations

import json
import logging

from taskbank.redaction import redacted
from taskbank.runtime.clock import now


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON; a line of a request is JSON already."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. The words of an exception are left out: they may quote a client."""
        if record.name == "taskbank.serve.requests":
            return record.getMessage()
        line = {
            "at": now(),
            "level": record.levelname.lower(),
            "message": redacted(record.getMessage()),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line)


def log_to_stderr() -> None:
    """Send what the server and uvicorn log to the error stream."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    for name, level in (("taskbank.serve", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
