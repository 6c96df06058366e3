"""Sends requests to HTTP servers from a process of its own, and measures the answers.

    python scripts/benchmarks/workers/http_load.py JOB.json FIGURES.json

The job has `targets` (HOST:PORT), `requests` (a list of path, body and expected label or null),
`mode` and its numbers:

- `closed`: `clients` connections, each sending its next request when the last was answered, until
  `count` requests are answered;
- `open`: requests arrive at `rate` a second for `seconds` seconds, whether or not others are
  answered.

With several targets it acts as a balancer would: it asks each for `/ready` twice a second, sends
to those that are, and never sends a request again.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TIMING = re.compile(rb"(queue|tokenise|compute);dur=([0-9.]+)")
PROBE_SECONDS = 0.5
Request = tuple[str, str, str | None]


class Connection:
    """One connection that is kept open while the server keeps it."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: str = "") -> tuple[int, bytes, bytes]:
        """Return the status, the head and the body of an answer."""
        if self.streams is None or self.streams[1].is_closing():
            host, _, port = self.target.rpartition(":")
            self.streams = await asyncio.open_connection(host, int(port))
        reader, writer = self.streams
        content = body.encode()
        kind = "content-type: application/json"
        head = f"{method} {path} HTTP/1.1\r\nhost: {self.target}\r\n{kind}\r\n"
        writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        try:
            head_bytes = await reader.readuntil(b"\r\n\r\n")
            lower = head_bytes.lower()
            length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
            answer = await reader.readexactly(length)
        except BaseException:
            self.close()
            raise
        if b"connection: close" in lower:
            self.close()
        return int(head_bytes[9:12]), head_bytes, answer

    def close(self) -> None:
        """Close the connection."""
        if self.streams is not None:
            self.streams[1].close()
        self.streams = None


class Load:
    """The requests of one job, and what came of them."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.requests: Sequence[Request] = job["requests"]
        self.ready: list[str] = list(job["targets"])
        self.statuses: Counter[str] = Counter()
        self.seconds: list[float] = []  # of answered requests
        self.computing: list[float] = []  # of the same
        self.wrong = 0
        self.sent = 0
        self.turn = 0
        self.errors: Counter[str] = Counter()

    async def run(self) -> dict[str, Any]:
        """Send everything, and return the figures."""
        probe = asyncio.create_task(self._probe()) if len(self.ready) > 1 else None
        started = time.perf_counter()
        await (self._closed() if self.job["mode"] == "closed" else self._open())
        seconds = time.perf_counter() - started
        if probe is not None:
            probe.cancel()
        return {
            "seconds": seconds,
            "sent": self.sent,
            "answered": len(self.seconds),
            "rate": len(self.seconds) / seconds,
            "statuses": dict(self.statuses),
            "errors": dict(self.errors),
            "wrong": self.wrong,
            **{f"p{q}": percentile(self.seconds, q) * 1000 for q in (50, 95, 99)},
            **{f"over_p{q}": percentile(self._over(), q) * 1000 for q in (50, 99)},
        }

    def _over(self) -> list[float]:
        return [all_ - own for all_, own in zip(self.seconds, self.computing, strict=True)]

    async def _closed(self) -> None:
        async def client() -> None:
            connections = {target: Connection(target) for target in self.job["targets"]}
            while self.sent < self.job["count"]:
                await self._send(connections)
            for connection in connections.values():
                connection.close()

        await asyncio.gather(*(client() for _ in range(self.job["clients"])))

    async def _open(self) -> None:
        chance = random.Random(0)
        pool: list[dict[str, Connection]] = []
        tasks: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        due = loop.time()
        end = due + self.job["seconds"]

        async def one() -> None:
            own = pool.pop() if pool else {t: Connection(t) for t in self.job["targets"]}
            await self._send(own)
            pool.append(own)

        while due < end:
            due += chance.expovariate(self.job["rate"])
            await asyncio.sleep(max(0.0, due - loop.time()))
            task = asyncio.create_task(one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        while tasks:
            await asyncio.wait(tasks)

    async def _send(self, connections: dict[str, Connection]) -> None:
        path, body, expected = self.requests[self.sent % len(self.requests)]
        self.sent += 1
        self.turn += 1
        target = self.ready[self.turn % len(self.ready)]
        started = time.perf_counter()
        try:
            status, head, answer = await connections[target].ask("POST", path, body)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.errors[type(error).__name__] += 1
            return
        self.statuses[str(status)] += 1
        if status == 200:
            self.seconds.append(time.perf_counter() - started)
            self.computing.append(sum(float(ms) for _, ms in TIMING.findall(head)[2:]) / 1000)
            if expected is not None and f'"label":"{expected}"'.encode() not in answer:
                self.wrong += 1

    async def _probe(self) -> None:
        connections = {target: Connection(target) for target in self.job["targets"]}
        while True:
            ready = []
            for target, connection in connections.items():
                try:
                    status, _, _ = await connection.ask("GET", "/ready")
                except (OSError, asyncio.IncompleteReadError):
                    continue
                if status == 200:
                    ready.append(target)
            self.ready = ready or self.ready
            await asyncio.sleep(PROBE_SECONDS)


def percentile(numbers: Sequence[float], share: float) -> float:
    """Return a percentile of some numbers; 0 without any."""
    if not numbers:
        return 0.0
    return sorted(numbers)[min(len(numbers) - 1, int(len(numbers) * share / 100))]


if __name__ == "__main__":
    found = asyncio.run(Load(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))).run())
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")
