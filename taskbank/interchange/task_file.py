"""The file `task.json`, which tells what an adapter in another library's format is for.

Those formats have no place for a kind, for thresholds or for the length of inputs. Other libraries
ignore the file, and `taskbank import` takes from it what it would otherwise have to be told.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from taskbank.bank.records import AdapterRecord
from taskbank.errors import InputError
from taskbank.interchange import schema
from taskbank.interchange.untrusted import read_file
from taskbank.specs import WHOLE_NUMBERS

TASK_FILE = "task.json"
FORMAT = "taskbank-task/1"
MAX_BYTES = 64 * 2**20

CHECK = schema.record(
    {
        "format": schema.one_of((FORMAT,)),
        "task": schema.name,
        "kind": schema.name,
        "labels": schema.items(schema.text(10_000)),
        "settings": schema.table(schema.name, schema.plain),
        "metric": schema.name,
        "max_length": schema.whole(*WHOLE_NUMBERS["max_length"]),
        "description": schema.text(lines=True),
        "tags": schema.table(schema.name, schema.text(lines=True)),
    }
)


def task_file(record: AdapterRecord) -> bytes:
    """Return the content of the file for a stored adapter."""
    content = {
        "format": FORMAT,
        "task": record.task,
        "kind": record.kind,
        "labels": list(record.labels),
        "settings": dict(record.settings),
        "metric": record.metric,
        "max_length": record.training["max_length"],
        "description": record.description,
        "tags": dict(record.tags),
    }
    return json_file(content)


def json_file(content: Any) -> bytes:
    """Return the bytes of a JSON file for people and programs."""
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def read_json_file(path: Path, limit: int) -> Any:
    """Return the JSON of a file from outside.

    Raises:
        InputError: if there is no regular file, it is too large, or it is not strict JSON.
    """
    try:
        return schema.parse_json(read_file(path, limit))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None


def read_task_file(folder: Path) -> dict[str, Any]:
    """Return the content of a folder's `task.json`; empty if it has none.

    Raises:
        InputError: if the file cannot be read, or a value of it is wrong.
    """
    path = folder / TASK_FILE
    if not path.exists() and not path.is_symlink():
        return {}
    content = read_json_file(path, MAX_BYTES)
    CHECK(str(path), content)
    found: dict[str, Any] = content
    return found
