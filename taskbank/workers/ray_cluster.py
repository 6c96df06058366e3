"""Runs jobs on a Ray cluster: every worker is an actor that holds the encoder and takes jobs.

Ray places the workers, carries jobs and results, and notices when a worker dies. A job whose
worker died goes to another one, a few times at most. That nothing is in the bank twice is up to
the jobs and the bank, so a driver that died is simply started again.
"""

from __future__ import annotations

import math
import os
import secrets
import signal
import socket
import sys
import time
import warnings
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from tqdm import tqdm

from taskbank.bank.url import parse_url
from taskbank.errors import InputError, ResourceError, UnreachableError
from taskbank.redaction import redacted
from taskbank.runtime.threads import WAITING
from taskbank.version import __version__
from taskbank.workers.address import RayAddress
from taskbank.workers.job import Finished, Job, Result

TRIES = 3  # times that a job is started if its worker dies, or a server cannot be reached
PATIENCE = 30.0  # seconds without a worker after which the user hears what is waited for
LOOK = 5.0  # seconds between looks at whether the cluster is still there
OVERHEAD = 1 << 30  # bytes of a worker besides its encoder: torch, the data of a job
COPIES = 3  # encoders that fit into what a worker asks for: its own, and what training adds
OBJECT_STORE = 256 << 20  # bytes of a cluster that is started here: jobs and results are small


class RayCluster:
    """Runs jobs on a Ray cluster: the one that this process has joined already, if it has.

    Args:
        address: where the cluster is.
        bank: the bank's URL, which the workers open.
        parameters: number of parameters of the largest backbone, for how much memory a worker gets.
        device: `cpu` or `cuda`; None means a GPU if the cluster has one.

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
        server = address.server or os.environ.get("RAY_ADDRESS")
        self._ray = _import_ray(starts=server is None)
        file = parse_url(bank).file
        # Workers have another working directory.
        self._bank = bank if file is None else str(file)
        self._address, self._parameters = address, parameters
        self._idle: list[Any] = []
        self._joined = self._ray.is_initialized()  # by the program that calls this
        if not self._joined:
            self._connect(server)
        self._head: tuple[str, str] | None = None  # a client has only its server, and asks that
        self._looked = time.monotonic()
        self._lost = False
        try:
            if not self._ray.util.client.ray.is_connected():
                address_of_head = self._ray.get_runtime_context().gcs_address
                host, _, port = address_of_head.rpartition(":")
                self._head = host.strip("[]"), port
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
        self._kill(self._idle)
        self._idle.clear()
        if not self._joined:
            with suppress(Exception):
                self._ray.shutdown()

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
        waiting = deque(range(len(jobs)))
        tries: Counter[int] = Counter()
        running: dict[Any, tuple[Any, int | None]] = {}  # by the reference of what will be returned
        for _ in range(min(self.workers, len(jobs)) - len(self._idle)):
            self._start(running)
        idle, self._idle = self._idle, []
        for actor in idle:
            self._assign(actor, jobs, waiting, tries, running)
        left = len(jobs)
        with tqdm(
            total=sum(job.size for job in jobs),
            desc=caption,
            unit=unit,
            disable=None if progress else True,
        ) as bar:
            try:
                while left:
                    for actor, index, outcome in self._wait(running):
                        finished = self._judge(outcome, index, tries)
                        if finished is None and index is not None:
                            waiting.append(index)
                        if isinstance(outcome, Exception):  # the worker is gone
                            if index is None:
                                self._raise_if_none_starts(outcome, tries)
                            if waiting and self._idle:
                                self._assign(self._idle.pop(), jobs, waiting, tries, running)
                            elif waiting:
                                self._start(running)
                        else:
                            if index is None:
                                tries[-1] = 0
                            self._assign(actor, jobs, waiting, tries, running)
                        if finished is not None:
                            left -= 1
                            finished.tell(jobs[finished.index])
                            yield finished
                            bar.update(jobs[finished.index].size)
            finally:
                self._kill([actor for actor, _ in running.values()])  # after an interrupt

    def _connect(self, server: str | None) -> None:
        given: dict[str, Any] = {"address": server}
        if server is None:
            given = {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with _secrets_hidden(self._ray):
                self._ray.init(log_to_driver=False, logging_level="error", **given)
        except Exception as error:
            raise UnreachableError(
                f"the Ray cluster {server or 'on this machine'} cannot be reached: "
                f"{_first_line(error)}"
            ) from None
        finally:
            with suppress(ValueError):  # outside the main thread there are none to restore
                for number, handler in handlers.items():
                    signal.signal(number, handler)

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

    def _start(self, running: dict[Any, tuple[Any, int | None]]) -> None:
        """Start a worker, which runs no job before it has answered."""
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
        running[actor.check.remote()] = (actor, None)

    def _assign(
        self,
        actor: Any,
        jobs: Sequence[Job[Result]],
        waiting: deque[int],
        tries: Counter[int],
        running: dict[Any, tuple[Any, int | None]],
    ) -> None:
        """Give a worker the next job; without one it stays idle."""
        if not waiting:
            self._idle.append(actor)
            return
        index = waiting.popleft()
        pause = min(math.expm1(tries[index]), 15.0)  # 0, 1.7, 6.4 seconds
        tries[index] += 1
        running[actor.run.remote(jobs[index], index, pause)] = (actor, index)

    def _wait(
        self, running: dict[Any, tuple[Any, int | None]]
    ) -> Iterator[tuple[Any, int | None, Any]]:
        """Yield what has ended: the worker, the job's position, and its outcome or the error."""
        began = time.monotonic()
        warned = False
        while True:
            self._check_alive()
            try:
                ready, _ = self._ray.wait(list(running), num_returns=1, timeout=LOOK)
            except ConnectionError as error:  # of the client
                raise self._lose(_first_line(error).rstrip(".")) from None
            if ready:
                break
            idle = all(index is None for _, index in running.values())
            if idle and not warned and time.monotonic() - began > PATIENCE:
                warnings.warn(
                    "no worker has started yet: the cluster may be busy with other work",
                    stacklevel=3,
                )
                warned = True
        for reference in ready:
            actor, index = running.pop(reference)
            try:
                outcome = self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                outcome = error
            yield actor, index, outcome

    def _check_alive(self) -> None:
        """Raise if the cluster's head is gone, which Ray waits for, and then ends this process.

        Raises:
            UnreachableError: if the head does not answer, or Ray has ended on this machine.
        """
        if time.monotonic() < self._looked + LOOK:
            return
        if self._head is not None:
            try:
                socket.create_connection(self._head, timeout=LOOK).close()
            except OSError as error:
                raise self._lose(f"its head does not answer ({error.strerror or error})") from None
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        if self._ray.get_runtime_context().get_node_id() not in alive:
            raise self._lose("Ray has ended on the machine that it was reached by")
        self._looked = time.monotonic()

    def _lose(self, reason: str) -> UnreachableError:
        """Give the cluster up, and return the error to raise."""
        self._lost = True
        return UnreachableError(
            f"the Ray cluster was lost: {reason}; run the command again once it is there: what is "
            "stored is not done again"
        )

    def _kill(self, actors: Sequence[Any]) -> None:
        if self._lost:
            return
        for actor in actors:
            with suppress(Exception):  # it may have died
                self._ray.kill(actor)

    def _judge(self, outcome: Any, index: int | None, tries: Counter[int]) -> Any:
        """Return a finished job; None if it is not finished, or is to be run again."""
        if index is None:
            return None
        if isinstance(outcome, Exception):
            if tries[index] < TRIES:
                return None
            problem = ResourceError(
                f"the worker that ran it ended unexpectedly, {TRIES} times: {_reason(outcome)}"
            )
            return Finished(index, error=problem)
        if isinstance(outcome.error, UnreachableError) and tries[index] < TRIES:
            return None
        return outcome

    def _raise_if_none_starts(self, error: Exception, tries: Counter[int]) -> None:
        """Raise if one worker after the other dies before it has run anything."""
        cause = getattr(error, "cause", None)
        if isinstance(cause, InputError):
            raise cause
        tries[-1] += 1
        if tries[-1] >= TRIES:
            raise ResourceError(f"no worker starts on the cluster: {_reason(error)}")


def _import_ray(*, starts: bool) -> Any:
    """Import Ray, which reads these settings when it is imported.

    Args:
        starts: whether a cluster is started here.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    if starts and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        # Ray listens on every network: nobody else may run code here.
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    import ray
    import ray.exceptions

    return ray


@contextmanager
def _secrets_hidden(ray: Any) -> Iterator[None]:
    """Let Ray record this command, which it shows to all who see the cluster, without secrets."""
    utils = ray._private.utils
    recorded = getattr(utils, "get_entrypoint_name", lambda: "taskbank")
    utils.get_entrypoint_name = lambda: redacted(recorded())
    try:
        yield
    finally:
        utils.get_entrypoint_name = recorded


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):  # what follows says why, in its last line
        return f"{lines[0]} {lines[-1]}"
    return lines[0] if lines else type(error).__name__


def _reason(error: Exception) -> str:
    """Return why a worker died, from Ray's message of many lines."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "exit detail" in line or "because" in line or "OOM" in line]
    return (told or lines or [type(error).__name__])[-1][:300]
