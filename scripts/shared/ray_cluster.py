"""A Ray cluster of a script's own on this machine, and the processes of it."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

WORKER = "ray::RayWorker"  # how Ray titles the processes of `taskbank.workers.ray_actor`
OBJECT_STORE = 100 << 20  # bytes
MEMORY = 64 << 30  # bytes that the cluster lets workers ask for, whatever the machine has


@contextmanager
def ray_cluster(folder: Path, processors: int) -> Iterator[str]:
    """Start a cluster, which this process joins, and stop it at the end.

    Workers import what this process can import, and nobody else gets in without a random token.

    Args:
        folder: a folder for Ray's sessions, with a short path, as it has sockets in it.
        processors: the processors that the cluster shares out.

    Yields:
        the address, for RAY_ADDRESS.
    """
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # Ray reads it once
    os.environ.update(
        RAY_AUTH_MODE="token",
        RAY_USAGE_STATS_ENABLED="0",
        RAY_worker_niceness="0",  # workers get the same share of the machine as this process
    )
    import ray  # reads these settings when it is imported

    ray.init(
        address="local",
        num_cpus=processors,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=OBJECT_STORE,
        _memory=MEMORY,
        _temp_dir=str(folder),
    )
    try:
        yield ray.get_runtime_context().gcs_address
    finally:
        ray.shutdown()


def cluster_processes() -> list[Any]:
    """Return the processes of the cluster that this process has started."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if (title := process_title(process)).startswith("ray::") or "/ray/" in title
    ]


def worker_processes(*, running: bool = False) -> list[Any]:
    """Return the processes of taskbank's workers on the cluster.

    Args:
        running: whether to return only those that are running a job.
    """
    wanted = f"{WORKER}.run" if running else WORKER
    return [one for one in cluster_processes() if process_title(one).startswith(wanted)]


def process_title(process: Any) -> str:
    """Return a process's command line; empty if it has ended."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
