"""Runs jobs on a Ray cluster: every worker is an actor that holds the encoder and takes jobs.

Ray places the workers, carries jobs and results, and notices when a worker dies. A driver that died
is simply started again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from taskbank.bank.url import parse_url
from taskbank.errors import InputError
from taskbank.runtime.threads import WAITING
from taskbank.version import __version__
from taskbank.workers.address import RayAddress
from taskbank.workers.job import Finished, Job, Result, job_bar
from taskbank.workers.ray_connection import RayConnection
from taskbank.workers.ray_dispatch import RayDispatch

OVERHEAD = 1 << 30  # bytes of a worker besides its encoder: torch, the data of a job
COPIES = 3  # encoders that fit into what a worker asks for: its own, and what training adds


class RayCluster:
    """Runs jobs on a Ray cluster: the one that this process has joined already, if it has.

    Args:
        address: where the cluster is.
        bank: the bank's URL, which the workers open.
        parameters: number of parameters of the largest backbone, for how much memory a worker gets.
        device: `cpu` or `cuda`; None means a GPU if the cluster has one.

    Attributes:
        workers: number of workers that the cluster has room for.
        idle: the workers that have no job.

    Raises:
        UnreachableError: if the cluster cannot be reached.
        InputError: if the cluster has no room for a worker, or the bank is a file and the cluster
            has other machines.
    """

    in_process = False

    def __init__(
        self,
        address: RayAddress,
        bank: str,
        parameters: int = 0,
        device: str | None = None,
    ) -> None:
        file = parse_url(bank).file
        # Workers have another working directory.
        self._bank = bank if file is None else str(file)
        self._address, self._parameters = address, parameters
        self.idle: list[Any] = []
        self._connection = RayConnection(address.server or os.environ.get("RAY_ADDRESS"))
        self._ray = self._connection.ray
        try:
            self._check_reach()
            resources = self._ray.cluster_resources()
            self._gpus = 0 if device == "cpu" else int(resources.get("GPU", 0))
            self._device = self.pick_device(device)
            self.workers = self._capacity(resources)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> RayCluster:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the workers and leave the cluster; one that was started here ends."""
        self.kill(self.idle)
        self.idle.clear()
        self._connection.close()

    def pick_device(self, name: str | None) -> str:
        """Return the device that jobs compute on; see `Executor.pick_device`."""
        if name is None:
            return "cuda" if self._gpus else "cpu"
        if name == "cuda" and not self._gpus:
            raise InputError("no machine of the cluster has a GPU: use --device cpu")
        if name not in ("cpu", "cuda"):
            raise InputError(f"device {name!r} is unknown on a cluster: use cpu or cuda")
        return name

    def run(
        self, jobs: Sequence[Job[Result]], *, caption: str, unit: str, progress: bool
    ) -> Iterator[Finished[Result]]:
        """Run jobs on the workers; see `Executor.run`."""
        with job_bar(jobs, caption=caption, unit=unit, progress=progress) as bar:
            for finished in RayDispatch(self, jobs).run():
                finished.tell(jobs[finished.index])
                yield finished
                bar.update(jobs[finished.index].size)

    def start(self) -> tuple[Any, Any]:
        """Start a worker; return it, and the reference of its answer that it can take jobs."""
        from taskbank.workers.ray_actor import RayWorker

        threads = self._address.threads
        variables = {**WAITING, "OMP_NUM_THREADS": str(threads)}
        actor = (
            self._ray.remote(RayWorker)
            .options(
                num_cpus=threads,
                num_gpus=1 if self._device == "cuda" else 0,
                memory=self._memory,
                max_restarts=0,
                runtime_env={"env_vars": variables},
            )
            .remote(self._bank, threads, __version__)
        )
        return actor, actor.check.remote()

    def wait(self, references: list[Any]) -> list[Any]:
        """Return those references whose outcome is there, after some seconds at most."""
        return self._connection.wait(references)

    def outcome(self, reference: Any) -> Any:
        """Return what a worker returned, or the error that says that it is gone."""
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return error

    def kill(self, actors: Sequence[Any]) -> None:
        """End workers at once."""
        if self._connection.lost:
            return
        for actor in actors:
            with suppress(Exception):  # it may have died
                self._ray.kill(actor)

    def _check_reach(self) -> None:
        """Raise if a worker could be on a machine that cannot open the bank."""
        machines = {node["NodeManagerAddress"] for node in self._ray.nodes() if node["Alive"]}
        file = parse_url(self._bank).file
        if file is not None and (self._address.server is not None or len(machines) > 1):
            raise InputError(
                f"the bank {parse_url(self._bank).shown} is a file on this machine, which workers "
                "on other machines cannot open: use a bank on PostgreSQL"
            )

    def _capacity(self, resources: dict[str, float]) -> int:
        """Return how many workers the cluster has room for."""
        processors = int(resources.get("CPU", 0)) // self._address.threads
        room = min(processors, self._gpus) if self._device == "cuda" else processors
        largest = max(
            (node["Resources"].get("memory", 0) for node in self._ray.nodes() if node["Alive"]),
            default=0,
        )
        if largest < self._memory:
            raise InputError(
                f"a worker needs {self._memory / 1e9:.1f} GB of memory for the encoder, and the "
                f"largest machine of the cluster has {largest / 1e9:.1f} GB: add a larger one"
            )
        room = min(room, int(resources.get("memory", 0) // self._memory))
        if room < 1:
            raise InputError(
                f"the cluster has {resources.get('CPU', 0):g} processors and no room for a worker "
                f"with {self._address.threads} threads: ask for fewer with ?threads=N"
            )
        return room

    @property
    def _memory(self) -> int:
        """The bytes that a worker asks for."""
        return OVERHEAD + COPIES * 4 * self._parameters
