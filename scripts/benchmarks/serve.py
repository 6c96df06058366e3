"""Measures `taskbank serve`: throughput beside its peers, latency, paging, overload, orderly ends.

    python scripts/benchmarks/serve.py --backbone SPEC --data FOLDER --environments FOLDER
        --output FOLDER [--repeats 3] [--threads 2] [--only PART ...]

Tasks are untrained, each with adapters of its own. Clients run in a process of their own. Sides
run in turns, and every ratio is one of two runs made one right after the other. The parts are:

- `throughput`: 64 clients that each send one short text and wait, 32 tasks mixed, beside
  `predict_many` on the same stream in a process, `peft` with `set_adapter` per request and 32
  pipelines of transformers, both under FastAPI;
- `single`: one short text through a warm `Predictor`, beside the bare encoder's forward;
- `latency`: one client, one text: what HTTP, queue and JSON add to the computation;
- `paging`: 1,000 tasks, asked for as Zipf's law has it, a tenth of them in memory, beside one task;
  and the memory over 100,000 requests with `--long`;
- `overload`: four times as many requests as can be answered;
- `replicas`: 10,000 requests over two servers, one of which gets SIGTERM, while aliases move;
- `mixed`: 10,000 rows of many tasks, each compared with what its task alone answers;
- `shadow`: a shadow on every request, for tasks that adapt the top two layers.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import taskbank
from scripts.benchmarks.comparison import (
    Run,
    median_and_range,
    ratios,
    run_rounds,
    values,
    write_runs,
)
from scripts.benchmarks.peers import (
    backbone_folder,
    peer_parser,
    peer_python,
    run_worker,
)
from scripts.benchmarks.untrained_bank import add_untrained, make_bank, task_name
from scripts.shared.tables import aligned
from taskbank.backbone.load import load_backbone
from taskbank.data.sources import read_examples
from taskbank.kinds.single import SINGLE

WORKERS = Path(__file__).parent / "workers"
LOAD, PEERS = WORKERS / "http_load.py", WORKERS / "http_peers.py"
CLIENTS, TASKS, WORDS = 64, 32, 9  # a text is about 12 tokens
MANY, RESIDENT = 1000, 0.1
READY_SECONDS = 180


def main() -> None:
    """Run the chosen parts and print their figures."""
    parser = peer_parser(__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--count", type=int, default=3000, metavar="N", help="requests per run")
    parser.add_argument(
        "--long", action="store_true", help="send 100,000 requests to see whether memory is flat"
    )
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    arguments.spec = str(backbone_folder(arguments.backbone))
    arguments.texts = _texts(arguments.data)
    for part in arguments.only:
        print(f"\n{part}, {arguments.threads} threads", flush=True)
        PARTS[part](arguments)
        sys.stdout.flush()


# Parts


def _throughput(arguments: Any) -> None:
    bank = _bank(arguments, "many.db", TASKS)
    rows = _rows(arguments, TASKS, arguments.count)
    job = {"bank": str(bank), "rows": rows, "clients": CLIENTS, "warm_up": 256}
    with (
        _server(arguments, bank, "--preload") as ours,
        _peer(arguments, "set_adapter") as peft,
        _peer(arguments, "pipelines") as full,
    ):

        def closed(target: Target) -> Run:
            _load(arguments, [target], rows[:256], mode="closed", clients=CLIENTS, count=256)
            found = _load(
                arguments, [target], rows, mode="closed", clients=CLIENTS, count=len(rows)
            )
            _check(found, len(rows))
            return found | {"memory": target.memory}

        sides = {
            "taskbank serve": lambda: closed(ours),
            "predict_many": lambda: _worker(arguments, "stream", job),
            "peft, set_adapter": lambda: closed(peft),
            "32 pipelines": lambda: closed(full),
        }
        runs = run_rounds(sides, arguments.repeats, "throughput")
    write_runs(arguments.output, "throughput", runs)
    own = runs["taskbank serve"]
    table = [
        {
            "side": side,
            "rows/s": median_and_range(values(found, "rate"), 1),
            "serve is × as fast": median_and_range(ratios(own, found, "rate")),
            "MiB": f"{median(values(found, 'memory')):,.0f}",
        }
        for side, found in runs.items()
    ]
    print(aligned(table))


def _single(arguments: Any) -> None:
    bank = _bank(arguments, "many.db", TASKS)
    job = {"bank": str(bank), "rows": _rows(arguments, 1, 200), "warm_up": 30, "count": 150}
    runs = [_worker(arguments, "single", job) for _ in range(arguments.repeats)]
    write_runs(arguments.output, "single", {"single": runs})
    for name in ("own", "bare", "ratio"):
        print(name, median_and_range(values(runs, name)))


def _latency(arguments: Any) -> None:
    bank = _bank(arguments, "many.db", TASKS)
    rows = _rows(arguments, TASKS, 500)
    runs = []
    with _server(arguments, bank, "--preload") as target:
        _load(arguments, [target], rows, mode="closed", clients=1, count=100)
        for _ in range(arguments.repeats):
            found = _load(arguments, [target], rows, mode="closed", clients=1, count=500)
            _check(found, 500)
            runs.append(found)
    write_runs(arguments.output, "latency", {"latency": runs})
    for name, title in (
        ("p50", "whole request, p50 ms"),
        ("p99", "whole request, p99 ms"),
        ("over_p50", "beyond the computation, p50 ms"),
        ("over_p99", "beyond the computation, p99 ms"),
    ):
        print(title, median_and_range(values(runs, name)))


def _paging(arguments: Any) -> None:
    bank = _bank(arguments, "paging.db", MANY)
    with taskbank.open(bank) as opened:
        size = opened[task_name(0)].bytes
    chance = random.Random(0)
    weights = [1 / rank for rank in range(1, MANY + 1)]
    count = arguments.count
    tasks = chance.choices(range(MANY), weights, k=count)
    zipf = [
        (task_name(t), text) for t, (_, text) in zip(tasks, _rows(arguments, 1, count), strict=True)
    ]
    one = _rows(arguments, 1, count)
    memory = str(int(size * MANY * RESIDENT))
    with _server(arguments, bank, "--memory", memory) as target:

        def run(rows: Sequence[tuple[str, str]]) -> Run:
            _load(arguments, [target], rows[:512], mode="closed", clients=CLIENTS, count=512)
            found = _load(
                arguments, [target], rows, mode="closed", clients=CLIENTS, count=len(rows)
            )
            _check(found, len(rows))
            return found | {"memory": target.memory}

        sides = {"1,000 tasks, Zipf": lambda: run(zipf), "one task": lambda: run(one)}
        runs = run_rounds(sides, arguments.repeats, "paging")
        write_runs(arguments.output, "paging", runs)
        for side, found in runs.items():
            print(side, "rows/s", median_and_range(values(found, "rate"), 1))
        shares = ratios(runs["1,000 tasks, Zipf"], runs["one task"], "rate")
        print("ratio", median_and_range(shares))
        if arguments.long:
            _print_memory(arguments, target, zipf)


def _print_memory(arguments: Any, target: Target, rows: Sequence[tuple[str, str]]) -> None:
    print("requests  MiB")
    for thousand in range(0, 101, 10):
        print(f"{thousand * 1000:8,}  {target.memory:,.0f}", flush=True)
        if thousand < 100:
            found = _load(arguments, [target], rows, mode="closed", clients=CLIENTS, count=10_000)
            _check(found, 10_000)


def _overload(arguments: Any) -> None:
    bank = _bank(arguments, "many.db", TASKS)
    rows = _rows(arguments, TASKS, 2000)
    deadline = 5.0
    with _server(arguments, bank, "--preload", "--deadline", str(deadline)) as target:
        runs = []
        for _ in range(arguments.repeats):
            capacity = _load(
                arguments, [target], rows, mode="closed", clients=CLIENTS, count=arguments.count
            )
            overload = _load(
                arguments, [target], rows, mode="open", rate=4 * capacity["rate"], seconds=20
            )
            share = overload["rate"] / capacity["rate"]
            runs.append(overload | {"capacity": capacity["rate"], "goodput": share})
    write_runs(arguments.output, "overload", {"overload": runs})
    print("statuses", [run["statuses"] for run in runs], "errors", [run["errors"] for run in runs])
    print("accepted p99 ms", median_and_range(values(runs, "p99"), 0), "of", deadline * 1000)
    print("goodput of capacity", median_and_range(values(runs, "goodput")))


def _replicas(arguments: Any) -> None:
    path = arguments.output / "replicas.db"
    path.unlink(missing_ok=True)
    bank = _bank(arguments, path.name, TASKS)
    backbone = load_backbone(arguments.spec, "cpu")
    with taskbank.open(bank) as opened:
        for number in range(TASKS):
            add_untrained(opened, backbone, task_name(number), TASKS + number)
            opened.alias(f"{task_name(number)}@1", "production")
    rows = _rows(arguments, TASKS, 2000)
    stop = threading.Event()
    moved = [0]

    def move() -> None:
        with taskbank.open(bank) as opened:
            while not stop.wait(0.2) and moved[0] < 100:
                name = task_name(moved[0] % TASKS)
                opened.alias(f"{name}@{1 + moved[0] // TASKS % 2}", "production")
                moved[0] += 1

    options = ("--alias", "production", "--drain", "5", "--preload")
    with _server(arguments, bank, *options) as first, _server(arguments, bank, *options) as second:
        mover = threading.Thread(target=move)
        mover.start()
        ender = threading.Timer(10, lambda: first.process.send_signal(signal.SIGTERM))
        ender.start()
        found = _load(arguments, [first, second], rows, mode="closed", clients=16, count=10_000)
        stop.set()
        mover.join()
        first.process.wait(60)
        print("exit code of the one that was ended:", first.process.returncode)
    write_runs(arguments.output, "replicas", {"replicas": [found]})
    failed = found["sent"] - found["statuses"].get("200", 0)
    print(
        f"{failed} of {found['sent']:,} failed, {moved[0]} aliases moved",
        found["statuses"],
        found["errors"],
    )


def _mixed(arguments: Any) -> None:
    bank = _bank(arguments, "many.db", TASKS)
    rows = _rows(arguments, TASKS, 10_000)
    with taskbank.open(bank) as opened:
        predictor = taskbank.Predictor(opened)
        by_task: dict[str, list[str]] = {}
        for task, text in rows:
            by_task.setdefault(task, []).append(text)
        alone = {
            task: {
                text: one.label
                for text, one in zip(texts, predictor.predict(task, texts), strict=True)
                if one.score > 0.5001  # closer answers may change by rounding
            }
            for task, texts in by_task.items()
        }
    expected = [(task, text, alone[task].get(text)) for task, text in rows]
    with _server(arguments, bank) as target:
        found = _load(
            arguments, [target], expected, mode="closed", clients=CLIENTS, count=len(rows)
        )
        _check(found, len(rows))
    write_runs(arguments.output, "mixed", {"mixed": [found]})
    print(f"{found['wrong']} of {len(rows):,} rows answered by another task")


def _shadow(arguments: Any) -> None:
    bank = _bank(arguments, "top.db", TASKS, layers="top:2")
    backbone = load_backbone(arguments.spec, "cpu")
    with taskbank.open(bank) as opened:
        for number in range(TASKS):
            name = task_name(number)
            if len(opened.adapters(task=name)) < 2:
                add_untrained(opened, backbone, name, TASKS + number, options={"layers": "top:2"})
                opened.alias(f"{name}@1", "production")
                opened.alias(f"{name}@2", "shadow")
    rows = _rows(arguments, TASKS, 500)
    options = ("--alias", "production", "--preload")
    with (
        _server(arguments, bank, *options) as plain,
        _server(arguments, bank, *options, "--shadow") as shadowed,
    ):

        def run(target: Target, clients: int) -> Run:
            _load(arguments, [target], rows, mode="closed", clients=clients, count=200)
            found = _load(arguments, [target], rows, mode="closed", clients=clients, count=1000)
            _check(found, 1000)
            return found

        for clients in (1, CLIENTS):
            sides = {
                "without": lambda clients=clients: run(plain, clients),
                "with": lambda clients=clients: run(shadowed, clients),
            }
            runs = run_rounds(sides, arguments.repeats, "shadow")
            write_runs(arguments.output, f"shadow-{clients}", runs)
            for figure in ("p50", "p99"):
                more = ratios(runs["with"], runs["without"], figure)
                print(f"{clients} clients, {figure} with a shadow ×", median_and_range(more))


PARTS: Mapping[str, Callable[[Any], None]] = {
    "throughput": _throughput,
    "single": _single,
    "latency": _latency,
    "paging": _paging,
    "overload": _overload,
    "replicas": _replicas,
    "mixed": _mixed,
    "shadow": _shadow,
}


# Servers and loads


class Target:
    """A server that answers."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.address = process, f"127.0.0.1:{port}"

    @property
    def memory(self) -> float:
        """The memory that the process has now, in MiB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


@contextmanager
def _server(arguments: Any, bank: Path, *options: str) -> Iterator[Target]:
    command = [sys.executable, "-m", "taskbank", "serve", "--bank", str(bank), "--no-access-log"]
    with _running(arguments, [*command, *options, "--port"], "serve") as target:
        yield target


@contextmanager
def _peer(arguments: Any, peer: str) -> Iterator[Target]:
    python = peer_python(arguments.environments, "serving")
    job = {
        "peer": peer,
        "backbone": arguments.spec,
        "tasks": [task_name(number) for number in range(TASKS)],
        "threads": arguments.threads,
        "port": _free_port(),
    }
    file = arguments.output / f"{peer}.json"
    file.write_text(json.dumps(job), encoding="utf-8")
    with _running(arguments, [str(python), str(PEERS), str(file)], peer, job["port"]) as target:
        yield target


@contextmanager
def _running(
    arguments: Any, command: list[str], name: str, port: int | None = None
) -> Iterator[Target]:
    if port is None:
        port = _free_port()
        command = [*command, str(port)]
    threads = {"OMP_NUM_THREADS": str(arguments.threads), "HF_HUB_OFFLINE": "1"}
    log = (arguments.output / f"{name}.log").open("wb")
    with (
        log,
        subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | threads) as process,
    ):
        try:
            _wait(process, port, name)
            yield Target(process, port)
        finally:
            process.terminate()


def _wait(process: subprocess.Popen[bytes], port: int, name: str) -> None:
    import httpx2

    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/ready").status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.2)
    raise SystemExit(f"{name} did not start: see its log in the output folder")


def _load(
    arguments: Any, targets: Sequence[Target], rows: Sequence[tuple[Any, ...]], **numbers: Any
) -> Run:
    job = numbers | {
        "targets": [target.address for target in targets],
        "requests": [
            (
                f"/v1/tasks/{task}/predict",
                json.dumps({"inputs": [text]}),
                *(expected or (None,)),
            )
            for task, text, *expected in rows
        ],
    }
    question, answer = (arguments.output / name for name in ("load.json", "figures.json"))
    question.write_text(json.dumps(job), encoding="utf-8")
    subprocess.run([sys.executable, str(LOAD), str(question), str(answer)], check=True)
    return dict(json.loads(answer.read_text(encoding="utf-8")))


def _check(found: Run, count: int) -> None:
    if found["statuses"].get("200", 0) < count:
        raise SystemExit(f"not every request was answered: {found['statuses']} {found['errors']}")


def _worker(arguments: Any, part: str, job: Mapping[str, Any]) -> Run:
    return run_worker(
        Path(sys.executable),
        "predict_stream.py",
        {**job, "part": part, "threads": arguments.threads},
        arguments.output / "runs" / part,
    )


def _bank(arguments: Any, name: str, tasks: int, **options: Any) -> Path:
    path: Path = arguments.output / name
    make_bank(path, arguments.spec, tasks, **options).close()
    return path


def _rows(arguments: Any, tasks: int, count: int) -> list[tuple[str, str]]:
    texts = arguments.texts
    return [(task_name(number * 7 % tasks), texts[number % len(texts)]) for number in range(count)]


def _texts(data: Path) -> list[str]:
    """Return real texts, cut to a few words."""
    file = str(data / "sms_spam" / "train.parquet")
    columns = read_examples(file, SINGLE.inputs, SINGLE.label).columns
    return [" ".join(str(text).split()[:WORDS]) for text in columns["text"]]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    main()
