"""The connection to a Ray cluster: lost, and without secrets."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from taskbank.errors import UnreachableError
from taskbank.workers import ray_connection
from taskbank.workers.ray_cluster import RayCluster
from tests.helpers.jobs import Sleep, results

pytestmark = [pytest.mark.process, pytest.mark.slow]


def test_a_cluster_without_a_head_is_given_up(
    workers: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before Ray waits for a minute, and then ends the process without a word of ours."""
    monkeypatch.setattr(ray_connection, "LOOK", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as head:
        port = head.getsockname()[1]
    monkeypatch.setattr(workers._connection, "_head", ("127.0.0.1", port))
    with pytest.raises(UnreachableError, match=r"was lost: its head does not answer \(Conn"):
        results(workers, [Sleep(1, place=tmp_path / "ran")])
    monkeypatch.setattr(workers._connection, "lost", False)  # so that its workers are stopped


def test_a_machine_that_has_left_the_cluster_is_given_up(
    workers: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not among the living any more, and its jobs would wait for ever."""
    import ray

    monkeypatch.setattr(ray_connection, "LOOK", 0.2)
    monkeypatch.setattr(ray, "nodes", lambda: [])
    with pytest.raises(UnreachableError, match="Ray has ended on the machine"):
        results(workers, [Sleep(1, place=tmp_path / "ran")])
    monkeypatch.setattr(workers._connection, "lost", False)


def test_the_command_is_recorded_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray shows it to everybody who sees the cluster."""
    ray = pytest.importorskip("ray")
    utils = ray._private.utils
    command = "taskbank list --bank postgresql+psycopg://me:Zq7hunter@host/bank"
    monkeypatch.setattr(utils, "get_entrypoint_name", lambda: command)
    with ray_connection._secrets_hidden(ray):
        recorded = utils.get_entrypoint_name()
    assert recorded == command.replace("Zq7hunter", "***")
    assert utils.get_entrypoint_name() == command
