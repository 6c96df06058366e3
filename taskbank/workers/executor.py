"""Chooses where the jobs of a command run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from taskbank.errors import MissingExtraError
from taskbank.workers.address import RayAddress
from taskbank.workers.in_process import InProcess
from taskbank.workers.job import Executor, Job, Result
from taskbank.workers.worker import Worker

if TYPE_CHECKING:
    from taskbank.backbone.backbone import Backbone
    from taskbank.bank.bank import Bank


def check_place(where: str | None) -> RayAddress | None:
    """Return the cluster that a place is, before any other work is done.

    Args:
        where: `ray` or `ray://HOST:PORT`; None means this process.

    Returns:
        the address of the cluster; None for this process.

    Raises:
        InputError: if there is no such place.
        MissingExtraError: if Ray is not installed.
    """
    if where is None:
        return None
    address = RayAddress.parse(where)
    if find_spec("ray") is None:
        raise MissingExtraError(
            "Ray is not installed: run pip install 'taskbank[ray]', or leave out --on"
        )
    return address


@contextmanager
def executor_for(
    where: str | None, bank: Bank, *, device: str | None = None, backbone: Backbone | None = None
) -> Iterator[Executor]:
    """Give the executor for a place, for the duration of a `with` block.

    Args:
        where: `ray` or `ray://HOST:PORT`; None means this process.
        bank: the bank that the jobs work on, open.
        device: the device that was asked for; None means the best one that workers have.
        backbone: the backbone, if it is loaded here.

    Raises:
        InputError: if there is no such place, or it has no room for a worker.
        MissingExtraError: if Ray is not installed.
        UnreachableError: if the cluster cannot be reached.
    """
    address = check_place(where)
    if address is None:
        yield InProcess(Worker(bank, backbone))
        return
    from taskbank.workers.ray_cluster import RayCluster

    identities = [record.identity for record in bank.backbones()]
    if backbone is not None:
        identities.append(backbone.identity)
    largest = max((identity.parameters for identity in identities), default=0)
    with RayCluster(address, bank.url, largest, device) as cluster:
        yield cluster


def run_one(executor: Executor, job: Job[Result]) -> Result:
    """Run a single job, and return what it returns.

    Args:
        executor: where to run it.
        job: the job.

    Raises:
        TaskbankError: if it failed.
    """
    (finished,) = executor.run([job], caption=job.name, unit="job", progress=False)
    return finished.get()
