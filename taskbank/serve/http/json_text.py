"""JSON from and to clients."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from taskbank.digests import Json


def json_bytes(value: Json) -> bytes:
    """Return a value as JSON. It is ASCII, so that no text of a client can break the encoding."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


def parse_json(body: bytes | bytearray) -> Any:
    """Return the value of a client's JSON.

    Raises:
        ValueError: if it is not JSON: also for numbers that JSON does not know, and for JSON that
            is nested too deeply.
    """
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
