"""Hands commands to the job server of a Ray cluster, and asks it what became of them."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import re
import shlex
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from taskbank.errors import InputError, MissingExtraError, NotFoundError, UnreachableError
from taskbank.redaction import redacted

FORMS = "write http://HOST:PORT, where Ray's dashboard is, or https://HOST"
ADVICE = "name the address of the dashboard of a running Ray cluster with --address"
PATIENCE = 60.0  # seconds to wait for an answer
MOST_WORKERS = 10_000  # that are looked at to say where they run
ENDED = ("stopped", "succeeded", "failed")
_ID = re.compile(r"[\w.-]{1,200}", re.ASCII)
Result = TypeVar("Result")


@dataclass(frozen=True)
class ServedJob:
    """A command as Ray's job server knows it. Anyone on the cluster may have submitted it.

    Attributes:
        id: the id that it was given when it was submitted.
        state: `pending`, `running`, `stopped`, `succeeded` or `failed`.
        entrypoint: the command for the shell.
        metadata: what was submitted with it.
        submitted_at: when it was submitted.
        ended_at: when it ended; None if it has not.
        exit_code: the command's exit code; None if it has not ended by itself.
        message: what Ray says about its state.
        ray_id: what Ray calls its driver; None if that has not joined the cluster.
    """

    id: str
    state: str
    entrypoint: str
    metadata: Mapping[str, str]
    submitted_at: datetime
    ended_at: datetime | None
    exit_code: int | None
    message: str
    ray_id: str | None

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.state in ENDED


class JobServer:
    """The job server of a Ray cluster. With RAY_AUTH_MODE=token, Ray adds the token to requests.

    Args:
        address: the URL of Ray's dashboard.

    Raises:
        InputError: if it is no such URL, or the server refuses the token.
        MissingExtraError: if Ray's client is not installed.
        UnreachableError: if there is no job server.
    """

    def __init__(self, address: str) -> None:
        self.address = check_address(address)
        client = _import_client()
        os.environ["RAY_API_SERVER_ADDRESS"] = self.address  # Ray prefers this to its argument
        self._client: Any = self._ask(lambda: client(self.address))

    def submit(
        self, words: Sequence[str], metadata: Mapping[str, str], package: Path | None = None
    ) -> str:
        """Submit a command, and return its id.

        Args:
            words: the command and its arguments, which whoever may list jobs can read.
            metadata: what to keep with it, likewise.
            package: a zip archive that is unpacked where the command runs.
        """
        settings = {} if package is None else {"working_dir": str(package)}
        return str(
            self._ask(
                lambda: self._client.submit_job(
                    entrypoint=shlex.join(words), metadata=dict(metadata), runtime_env=settings
                )
            )
        )

    def jobs(self) -> list[ServedJob]:
        """Return all jobs that were submitted to the cluster, oldest first."""
        jobs = self._ask(
            lambda: [_served(each) for each in self._client.list_jobs() if each.submission_id]
        )
        return sorted(jobs, key=lambda job: (job.submitted_at, job.id))

    def job(self, name: str) -> ServedJob:
        """Return one job.

        Raises:
            NotFoundError: if there is none with this id.
        """
        return self._ask(lambda: _served(self._client.get_job_info(self._checked(name))), name)

    def log(self, name: str) -> str:
        """Return what a job has printed; what Ray says in it, too."""
        return str(self._ask(lambda: self._client.get_job_logs(self._checked(name)), name))

    def stop(self, name: str) -> bool:
        """Stop a job; return False if it had ended."""
        return bool(self._ask(lambda: self._client.stop_job(self._checked(name)), name))

    def follow(self, name: str, show: Callable[[str], object]) -> ServedJob:
        """Show what a job prints until it has ended, and return it.

        Args:
            name: the job's id.
            show: called with every piece of its log.

        Raises:
            UnreachableError: if the connection is lost; the job goes on.
        """

        async def tail() -> None:
            async for text in self._client.tail_job_logs(self._checked(name)):
                show(text)

        self._ask(lambda: asyncio.run(tail()), name)
        job = self.job(name)
        if not job.ended:
            raise UnreachableError(
                f"the job server {self.address} has closed the connection, and the command goes "
                f"on: taskbank jobs {name} shows how far it is"
            )
        return job

    def machines(self, job: ServedJob) -> dict[str, int]:
        """Return how many workers of a job run on each machine, by the machine's address."""
        if job.ray_id is None:
            return {}
        from ray.util.state import list_actors, list_nodes

        filters: list[Any] = [("job_id", "=", job.ray_id), ("state", "=", "ALIVE")]
        given: dict[str, Any] = {
            "address": self.address,
            "limit": MOST_WORKERS,
            "raise_on_missing_output": False,
        }
        actors = self._ask(lambda: list_actors(filters=filters, **given))
        nodes = self._ask(lambda: list_nodes(**given)) if actors else []
        places = {node.node_id: node.node_ip for node in nodes}
        return dict(Counter(places.get(str(actor.node_id), "?") for actor in actors))

    def _checked(self, name: str) -> str:
        if not _ID.fullmatch(name):
            raise self._no_job(name)
        return name

    def _no_job(self, name: str) -> NotFoundError:
        return NotFoundError(
            f"the job server {self.address} has no job {name!r}: taskbank jobs lists them"
        )

    def _ask(self, ask: Callable[[], Result], job: str | None = None) -> Result:
        """Return an answer of the server, or raise what its errors mean.

        Args:
            ask: asks.
            job: the id of the job that the question is about.
        """
        from ray.exceptions import AuthenticationError

        try:
            return ask()
        except InputError:
            raise
        except AuthenticationError:
            raise InputError(
                f"the job server {self.address} refuses the token, or got none: set "
                "RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to the cluster's token"
            ) from None
        except ConnectionError:  # the client could not connect at all
            raise UnreachableError(f"there is no job server at {self.address}: {ADVICE}") from None
        except Exception as error:  # of requests, aiohttp, JSON, pydantic and Ray
            text = str(error).strip() or type(error).__name__
            if job is not None and "status code 404" in text:
                raise self._no_job(job) from None
            raise UnreachableError(
                f"the job server {self.address} failed: {redacted(text.splitlines()[0])}; {ADVICE}"
            ) from None


def check_address(address: str) -> str:
    """Return the URL of a job server, without a slash at its end.

    Raises:
        InputError: if it is not a URL of HTTP, or it has credentials or options.
    """
    try:
        url = urlsplit(address)
        host, _ = url.hostname, url.port
    except ValueError:
        url, host = urlsplit(""), None
    plain = address.isascii() and address.isprintable() and " " not in address
    if url.scheme not in ("http", "https") or not host or not plain:
        raise InputError(f"{redacted(address)!r} is no address of a job server: {FORMS}")
    if "@" in url.netloc or url.query or url.fragment:
        raise InputError(
            f"the address {redacted(address)!r} has a user, a password or options: {FORMS}; the "
            "token is taken from RAY_AUTH_TOKEN"
        )
    if url.scheme == "http" and not _is_loopback(host):
        warnings.warn(
            f"the connection to {address} is not encrypted: whoever can listen learns the token "
            "and the data; use https, or an SSH tunnel to the cluster",
            stacklevel=3,
        )
    return address.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _import_client() -> type[Any]:
    """Import Ray's client, and return its class, which here does not wait without end."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    try:
        import aiohttp  # noqa: F401 - of the extra ray[default], without which the client fails
        from ray.job_submission import JobSubmissionClient
    except ImportError:
        raise MissingExtraError(
            "Ray with its job client is not installed: run pip install 'taskbank[ray]'"
        ) from None
    for module in ("dashboard_sdk", "job.sdk"):  # they tell of every request
        logging.getLogger(f"ray.dashboard.modules.{module}").setLevel(logging.ERROR)

    class Client(JobSubmissionClient):
        def _do_request(self, *given: Any, **more: Any) -> Any:
            return super()._do_request(*given, timeout=PATIENCE, **more)

    return Client


def _served(details: Any) -> ServedJob:
    return ServedJob(
        str(details.submission_id),
        str(details.status.value).lower(),
        details.entrypoint,
        details.metadata or {},
        _time(details.start_time or 0),
        None if details.end_time is None else _time(details.end_time),
        details.driver_exit_code,
        details.message or "",
        details.job_id,
    )


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
