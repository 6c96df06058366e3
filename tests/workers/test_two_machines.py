"""A Ray cluster of two nodes, of which one dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from scripts.shared.small_suite import write_suite
from taskbank.backbone.backbone import Backbone
from taskbank.bank.open import create_bank

ROOT = Path(__file__).parents[2]


@pytest.mark.process
@pytest.mark.cluster
@pytest.mark.server
@pytest.mark.slow
def test_the_jobs_of_a_machine_that_dies_go_to_the_other(
    tmp_path: Path, backbone: Backbone, new_database: Callable[[], str]
) -> None:
    """Both have a worker, and the command ends well with every task once although one of them is
    cut off in the middle."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    url = new_database()
    suite = write_suite(tmp_path, 4, rows=320, epochs=3)
    node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20, "memory": 4 << 30}
    cluster = Cluster(
        initialize_head=True, connect=False, head_node_args=node | {"include_dashboard": False}
    )
    try:
        second = cluster.add_node(**node)
        with create_bank(url) as bank:
            bank.add_backbone(backbone.identity)
            command = [sys.executable, "-m", "taskbank", "add-tasks", str(suite), "--on", "ray"]
            driver = subprocess.Popen(
                [*command, "--json", "--verify", "none", "--bank", url],
                stdout=subprocess.PIPE,
                cwd=ROOT,
                env=os.environ | {"RAY_ADDRESS": cluster.address, "RAY_worker_niceness": "0"},
            )
            while not (bank.tasks() and workers_of(second)):
                assert driver.poll() is None
                time.sleep(0.05)
            assert workers_of(cluster.head_node)
            cluster.remove_node(second, allow_graceful=False)
            report = json.loads(driver.communicate()[0])
            assert driver.returncode == 0
            names = [f"task-{number:03}" for number in range(4)]
            assert [task["ref"] for task in report["tasks"]] == [f"{name}@1" for name in names]
            assert sorted(record.ref for record in bank) == [f"{name}@1" for name in names]
    finally:
        cluster.shutdown()


def workers_of(node: Any) -> list[psutil.Process]:
    """Return the processes of workers on a node of the cluster."""
    (raylet,) = (process for name, process in node.live_processes() if name == "raylet")
    children = psutil.Process(raylet.pid).children()
    return [child for child in children if "ray::RayWorker" in " ".join(child.cmdline())]
