"""Sends random and hostile requests to a server, and counts what it answers.

    python -m scripts.verification.attacks.http_server [--number 20000] [--seed 0]

A real server of a bank with 20 tasks gets requests for mixed rows, which must be answered by the
right tasks as `taskbank predict` answers them; bodies of every wrong form, compressed, deep, huge
and spoiled; hostile paths and queries; and bytes that are no HTTP, or only the beginning of it.
Some clients leave at once, and the bank changes all the time. No answer may be a defect (500), no
right request may fail, and at the end nothing may be left over and the process not have grown.
"""

from __future__ import annotations

import gzip
import json
import logging
import random
import resource
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import taskbank
from scripts.shared.arguments import script_parser
from scripts.verification.attacks.outcomes import Outcomes
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.serve.predictor import Predictor
from tests.helpers.backbones import make_backbone
from tests.helpers.live_server import LiveServer
from tests.helpers.models import put_moved, texts
from tests.helpers.serving import put_nan, service_of

TASKS = [f"task-{number}" for number in range(20)]
TEXTS = texts(200, seed=7)
LIMITS: dict[str, Any] = {"max_body": 1 << 18, "max_rows": 300, "max_tokens": 20_000}
GROWTH = 64 << 20  # bytes, of which the cache of the allocator has most
VALUES: list[Any] = [
    None, True, 0, -1, 2**70, 1e308, "", " ", "x", "\x00", "\ud800", "\U0010ffff", "a" * 5000,
    "a." * 20_000, ":/" * 20_000, [], [[]], {}, {"text": "x"}, {"text": 1}, {"": ""}, ["x"],
    [["x", "y"]], [None], "\u202e\x1b[2J", "task-1@", "task-1@01", "*", "[!" * 90, "task-1",
]  # fmt: skip
WORDS = [
    b"GET ", b"POST ", b"/v1/predict", b"/live", b" HTTP/1.1\r\n", b"host: x\r\n", b"\r\n", b"\x00",
    b"content-length: ", b"5", b"-1", b"9" * 30, b"transfer-encoding: chunked\r\n", b"0\r\n\r\n",
    b"expect: 100-continue\r\n", b"connection: upgrade\r\nupgrade: websocket\r\n", b"\xff", b":",
    b"content-encoding: gzip\r\n", b"x: " + b"y" * 70_000 + b"\r\n", b"{}", b"PRI * HTTP/2.0\r\n",
]  # fmt: skip


def main() -> int:
    """Run the attack and return the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--number", type=int, default=20_000, help="number of requests")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # it warns of each invalid request
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/bank.db"
        backbone = load_backbone(str(make_backbone(Path(folder) / "backbone")))
        with taskbank.create(url) as bank:
            for task in TASKS:
                put_moved(bank, backbone, task)
            put_nan(bank, bank[TASKS[0]], "nan")
            service = service_of(bank, access_log=False, memory=100_000, **LIMITS)
            with LiveServer(service) as server:
                Attack(bank, server, random.Random(arguments.seed), outcomes).run(arguments.number)
            engine = service.engine
            outcomes.add("ended", "the engine is still there", broken=engine is not None)
    return outcomes.finish()


class Attack:
    """Attacks one server.

    Args:
        bank: the bank that it serves.
        server: the server.
        generator: chooses the attempts.
        outcomes: counts what happened.
    """

    def __init__(
        self, bank: Bank, server: LiveServer, generator: random.Random, outcomes: Outcomes
    ) -> None:
        self.bank, self.server, self.generator = bank, server, generator
        self.outcomes = outcomes
        predictor = Predictor(bank)
        asked = [(task, TEXTS) for task in TASKS]
        answers = predictor.predict_many(asked)
        self.expected = {
            (task, one.text): one
            for task, found in zip(TASKS, answers, strict=True)
            for one in found
        }

    def run(self, number: int) -> None:
        """Make a number of attempts."""
        kinds = (self.rows, self.body, self.path, self.noise, self.leave)
        size = 0
        for attempt in range(number):
            if attempt == number // 4:
                size = _peak()
            if attempt % 2000 == 1999:
                broken = len(self.outcomes.broken)
                print(f"{attempt + 1:,} requests, {broken} broken", flush=True)
            if attempt % 50 == 0:
                self.bank.alias(f"{self.generator.choice(TASKS)}@1", "moving")
            self.generator.choices(kinds, (4, 6, 2, 4, 1))[0]()
        grown = _peak() - size
        self.outcomes.add("size", f"grown by {grown:,} bytes", broken=grown > GROWTH)
        engine = self.server.service.engine
        deadline = time.monotonic() + 30
        while engine is not None and engine.waiting_rows and time.monotonic() < deadline:
            time.sleep(0.05)
        left = engine is None or engine.waiting_rows > 0
        self.outcomes.add("nothing left", "rows are left over", broken=left)

    def rows(self) -> None:
        """Ask for mixed rows, and compare the answers."""
        pick = self.generator
        rows = [
            {"task": pick.choice(TASKS), "input": pick.choice(TEXTS)}
            for _ in range(pick.choice((1, 2, 30)))
        ]
        status, body = self.ask(_post("/v1/predict", json.dumps({"rows": rows}).encode()), 30)
        if status != 200:
            self.outcomes.add(f"rows: {status}", repr(body[:200]), broken=True)
            return
        for row, one in zip(rows, json.loads(body)["predictions"], strict=True):
            wanted = self.expected[row["task"], row["input"]]
            right = one["task"] == row["task"] and one["label"] == wanted.label
            right = right and abs(one["score"] - wanted.score) < 1e-4
            self.outcomes.add("right row" if right else "wrong row", repr(row), broken=not right)

    def body(self) -> None:
        """Send a hostile body to an interface that predicts."""
        pick = self.generator
        task = pick.choice([*TASKS, "nan", "none"])
        path = pick.choice((f"/v1/tasks/{task}/predict", "/v1/predict"))
        body, headers = json.dumps(self.value()).encode(), b""
        how = pick.randrange(8)
        if how == 0:
            body = body[: pick.randrange(len(body) + 1)] + pick.randbytes(3)
        elif how == 1:
            body = pick.choice((b"[", b'{"inputs":', b"[{")) * pick.choice((10, 1000, 50_000))
        elif how == 2:
            body, headers = gzip.compress(b" " * pick.choice((10, 10_000_000)) + body), GZIP
            body = pick.choice((body, body[:-4], body + b"x" * 100_000))
        elif how == 3:
            body, headers = pick.choice((zlib.compress(body), b"x", b"")), GZIP
        elif how == 4:
            body = b" " * pick.choice((1 << 17, 1 << 19)) + body
        elif how == 5:
            body = pick.choice((b"9" * 5000, b"NaN", b"\xff", b"1e999", b"\xef\xbb\xbf{}", b""))
        self.expect_no_defect("body", _post(path, body, headers), allowed=(503,))

    def path(self) -> None:
        """Ask for a hostile path or query."""
        pick = self.generator
        part = pick.choice(
            ("%00", "%ED%A0%80", "..", "%2e%2e%2f", "a" * 20_000, "%F0%9F", "a.b-" * 2000, "[", "'",
             "task-1@%EF%BC%91", "task-1@9", '"', "%0d%0ax:y", "task-1", "nan", "")
        )  # fmt: skip
        start = pick.choice(
            ("/", "/v1/tasks/", "/v1/tasks?limit=", "/v1/tasks?query=", "//", "/live/")
        )
        method = pick.choice(("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"))
        end = pick.choice(("", "/predict", "/live", "&after=-1"))
        head = f"{method} {start}{part}{end} HTTP/1.1\r\nhost: {pick.choice('x[')}\r\n"
        self.expect_no_defect("path", head.encode() + b"connection: close\r\n\r\n")

    def noise(self) -> None:
        """Send bytes that are no request."""
        pick = self.generator
        if pick.random() < 0.3:
            data = pick.randbytes(pick.randrange(1, 300))
        elif pick.random() < 0.6:
            data = b"".join(pick.choices(WORDS, k=pick.randrange(1, 12)))
        else:
            data = _post("/v1/predict", json.dumps(self.value()).encode())
            place = pick.randrange(len(data))
            data = data[:place] + pick.choice((b"", *WORDS)) + data[place + pick.randrange(4) :]
        self.expect_no_defect("noise", data * pick.choice((1, 1, 3)), allowed=(503,), wait=0.02)

    def leave(self) -> None:
        """Ask for many rows, and close the connection at once."""
        inputs = {"inputs": self.generator.choices(TEXTS, k=200)}
        request = _post(
            f"/v1/tasks/{self.generator.choice(TASKS)}/predict", json.dumps(inputs).encode()
        )
        with self.server.connect() as connection:
            connection.sendall(request[: self.generator.choice((60, len(request), len(request)))])
            time.sleep(self.generator.choice((0, 0.005)))
        self.outcomes.add("left", "")

    def value(self, depth: int = 2) -> Any:
        """Return a body, or a part of one, that is right or wrong in some way."""
        pick = self.generator
        if depth == 0 or pick.random() < 0.2:
            return pick.choice([*VALUES, *TEXTS[:60]])
        inputs = [self.value(0) for _ in range(pick.choice((0, 1, 2, 5, 400)))]
        whole: dict[str, Any] = {
            "inputs": inputs,
            "tasks": [
                pick.choice([*TASKS, "task-*", "nan", "*"]) for _ in range(pick.randrange(4))
            ],
            "rows": [{"task": pick.choice(TASKS), "input": one} for one in inputs],
            "x": self.value(depth - 1),
        }
        chosen = pick.choice(
            (("inputs",), ("inputs", "tasks"), ("rows",), ("rows", "tasks"), ("x",))
        )
        return {one: whole[one] if pick.random() < 0.8 else self.value(0) for one in chosen}

    def expect_no_defect(
        self, kind: str, request: bytes, *, allowed: tuple[int, ...] = (), wait: float = 30
    ) -> None:
        """Send a request that need not succeed."""
        started = time.monotonic()
        status, body = self.ask(request, wait)
        late = time.monotonic() - started > 5
        defect = late or (status >= 500 and status not in allowed)
        what = f"{status}{' late' if late else ''}: {request[:200]!r}: {body[:200]!r}"
        self.outcomes.add(f"{kind}: {status or 'closed or waiting'}", what, broken=defect)

    def ask(self, request: bytes, wait: float) -> tuple[int, bytes]:
        """Return the last status and the body of what is answered to a request."""
        answer = b""
        with self.server.connect() as connection:
            connection.settimeout(wait)
            try:
                connection.sendall(request)
                while received := connection.recv(1 << 16):
                    answer += received
            except OSError:
                pass
        _, _, last = answer.rpartition(b"HTTP/1.1 ")
        head, _, body = last.partition(b"\r\n\r\n")
        return (int(head[:3]) if head[:3].isdigit() else 0), body


GZIP = b"content-encoding: gzip\r\n"


def _post(path: str, body: bytes, headers: bytes = b"") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(body)}\r\n"
    )
    return head.encode() + headers + b"\r\n" + body


def _peak() -> int:
    """Return the largest size that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
