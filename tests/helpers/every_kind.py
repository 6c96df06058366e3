"""A bank with a task of every kind, and real servers of it in threads of the test process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from taskbank.bank.bank import Bank
from taskbank.pipeline.add_task import add_task
from taskbank.serve.http.options import serve_options
from taskbank.serve.http.service import Service
from tests.helpers.live_server import LiveServer
from tests.helpers.rows import ROWS, write_jsonl

TRAINING = {"epochs": 6, "learning_rate": 0.03, "batch_size": 16, "max_length": 48}


def add_every_kind(url: str, backbone: Path, folder: Path) -> None:
    """Train a task of every kind, named after its kind, and alias `single@1` as `live`.

    Args:
        url: the URL of the bank.
        backbone: the folder of the encoder.
        folder: a folder for the data.
    """
    for kind, rows in ROWS.items():
        data = write_jsonl(folder / f"{kind}.jsonl", rows(120, seed=1))
        options: dict[str, Any] = {"options": {"size": 4}, "training": TRAINING}
        add_task(url, kind, data, kind=kind, backbone=str(backbone), verify="integrity", **options)
    with Bank(url) as bank:
        bank.alias("single@1", "live")


def ask(url: str, ref: str, inputs: list[Any]) -> list[dict[str, Any]]:
    """Return the predictions that the server's own interface gives for some inputs."""
    found = httpx2.post(f"{url}/v1/tasks/{ref}/predict", json={"inputs": inputs})
    assert found.status_code == 200, found.text
    predictions: list[dict[str, Any]] = found.json()["predictions"]
    return predictions


@contextmanager
def serving(bank: Bank, *, keys: Path | None = None, **options: Any) -> Iterator[str]:
    """Serve a bank on a free port of this machine, in a thread, and yield the server's URL.

    Args:
        bank: an open bank with at least one task.
        keys: the keys of clients; None means that no key is needed.
        options: options of the server, as `serve_options` takes them.
    """
    with LiveServer(Service(bank, serve_options(**options), keys)) as server:
        yield f"http://127.0.0.1:{server.port}"
