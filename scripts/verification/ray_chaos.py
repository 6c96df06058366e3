"""Kills workers, drivers and the database while a suite is added on Ray, and checks the bank.

    python scripts/verification/ray_chaos.py [--tasks 50] [--worker-kills 20] [--driver-kills 5]
        [--database-restarts 2] [--seed 0] [--no-head]

A suite of small tasks is added to a bank on PostgreSQL by `taskbank add-tasks --on ray`, on a
cluster of the script's own with two workers. While it runs, at random moments:

- workers get SIGKILL, every second one as soon as a transaction is being written;
- the driver gets SIGKILL, and its command is started again at once;
- the database server is stopped without any order, and started again.

Before that, on a cluster of its own, the head is killed (`--no-head` leaves this out): the command
must say so and exit with 5.

A command that ends with a failed task or a server that is away is started again, too. In the end:

- the last command exits with 0, and none has said anything that is no message for a user;
- every task has one version, with the bytes and metrics of a run in one process;
- `gc` names exactly the blobs that the bank does not need, and without them it verifies in full;
- no worker lives on, and nothing that Ray or the commands wrote has the password of the bank.

Prints what happened, and exits with 1 if any of this does not hold.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
from sqlalchemy import Engine, create_engine, make_url, text

from scripts.shared.arguments import script_parser
from scripts.shared.ray_cluster import cluster_processes, ray_cluster, worker_processes
from scripts.shared.small_suite import write_suite
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.pipeline.suite import add_tasks
from taskbank.verify.verify import verify_all
from tests.helpers.backbones import make_backbone
from tests.helpers.servers import Server

PASSWORD = "Zq7hunterWx9"  # noqa: S105 - of a server that asks for none
WORKERS = 2
ROWS, EPOCHS = 320, 6  # of a task, so that it takes about as long as a worker needs to start
EARLY = 0.8  # share of the tasks that are stored by the last blow
DELAY = 2.0  # seconds that a blow comes later, at most
AWAY = 5.0  # seconds that the database is away, at most
HEADLESS = 55.0  # seconds that the command may go on without a head
LIFE = 30.0  # seconds that a worker may live without its driver
WRITING = 20.0  # seconds to wait for a transaction that writes
FAILURES = {1: "a task failed", 5: "a server was away"}  # exit codes after which to start again
MORE_RUNS = 10  # runs beyond the kills after which the suite is given up


@dataclass(frozen=True)
class Blow:
    """Something that is going to be killed.

    Attributes:
        target: `worker`, `writing worker`, `driver` or `database`.
        stored: the number of stored tasks at which it comes.
        delay: the seconds that it comes later.
    """

    target: str
    stored: int
    delay: float


@dataclass
class Run:
    """One start of the command.

    Attributes:
        process: its process.
        said: the file that has what it printed.
        started: when.
    """

    process: subprocess.Popen[bytes]
    said: Path
    started: float = field(default_factory=time.monotonic)


@dataclass
class Happened:
    """What happened.

    Attributes:
        blows: how often each target was hit.
        ends: how often the command ended in which way.
        longest: the seconds for which a worker lived longest without its driver.
        problems: the promises that broke.
    """

    blows: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    problems: list[str] = field(default_factory=list)


def main() -> int:
    """Run the suite under fire, check what is left, and return the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--tasks", type=int, default=50, help="tasks of the suite")
    parser.add_argument("--worker-kills", type=int, default=20)
    parser.add_argument("--driver-kills", type=int, default=5)
    parser.add_argument("--database-restarts", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--no-head", action="store_true", help="do not kill the head")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        os.environ.update(OMP_NUM_THREADS="1", TASKBANK_CACHE=str(folder / "cache"))
        torch.set_num_threads(1)
        backbone = load_backbone(str(make_backbone(folder / "backbone")))
        suite = str(write_suite(folder, arguments.tasks, rows=ROWS, epochs=EPOCHS))
        started = time.monotonic()
        reference = f"sqlite:///{folder}/reference.db"
        make_bank(reference, backbone, folder / "reference")
        add_tasks(reference, suite, verify="none")
        print(f"undisturbed, in one process: {time.monotonic() - started:.0f} s", flush=True)
        server = Server(folder / "server")
        try:
            url = str(make_url(server.url).set(password=PASSWORD).render_as_string(False))
            make_bank(url, backbone, folder / "blobs")
            problems = [] if arguments.no_head else list(lose_head(url, suite, folder))
            chance = random.Random(arguments.seed)
            blows = planned_blows(
                chance,
                arguments.tasks,
                workers=arguments.worker_kills,
                drivers=arguments.driver_kills,
                databases=arguments.database_restarts,
            )
            with ray_cluster(folder / "ray-2", WORKERS) as address:
                os.environ["RAY_ADDRESS"] = address
                started = time.monotonic()
                happened = Fire(url, suite, server, folder, chance, blows).run()
                print(f"disturbed, on Ray: {time.monotonic() - started:.0f} s", flush=True)
                happened.problems += [*problems, *recorded_password()]
            happened.problems += compared(reference, url)
            happened.problems += collected(url, folder)
            happened.problems += leaked(folder)
        finally:
            server.close()
    return finish(happened)


class Fire:
    """Starts the command again and again while things are killed around it.

    Args:
        url: the bank.
        suite: the suite's file.
        server: the bank's server.
        folder: where to keep what the command prints.
        chance: chooses moments and workers.
        blows: what to kill when.
    """

    def __init__(
        self,
        url: str,
        suite: str,
        server: Server,
        folder: Path,
        chance: random.Random,
        blows: Sequence[Blow],
    ) -> None:
        self._url, self._suite, self._server, self._folder = url, suite, server, folder
        self._chance, self._blows = chance, list(blows)
        self._most_runs = 1 + MORE_RUNS + sum(blow.target == "driver" for blow in blows)
        self._engine = create_engine(url, pool_pre_ping=True)
        self._happened = Happened()
        self._watches: list[threading.Thread] = []

    def run(self) -> Happened:
        """Return what happened until the command ended well, or was given up."""
        number = 0
        while (ended := self._run_once(number)) != "exit code 0":
            number += 1
            if number == self._most_runs:
                self._happened.problems.append(f"not done after {number} starts: {ended}")
                break
        if self._blows:
            self._happened.problems.append(
                f"the suite was done before {len(self._blows)} of the blows: give more tasks"
            )
        self._watch(worker_processes())
        for watch in self._watches:
            watch.join()
        self._engine.dispose()
        return self._happened

    def _run_once(self, number: int) -> str:
        """Run the command to its end, and return how it ended."""
        run = start(self._url, self._suite, self._folder / f"said-{number}.txt")
        killed = False
        while run.process.poll() is None:
            if self._blows and stored_tasks(self._engine) >= self._blows[0].stored:
                blow = self._blows.pop(0)
                time.sleep(blow.delay)
                killed = self._strike(blow, run)
            time.sleep(0.05)
        code = run.process.returncode
        ended = "killed" if killed and code == -9 else f"exit code {code}"
        seconds = time.monotonic() - run.started
        said = run.said.read_text(encoding="utf-8")
        print(f"start {number + 1}: {ended} after {seconds:.0f} s", flush=True)
        for line in said.splitlines():
            if line.startswith(("failed:", "error:", "warning:")):
                print(f"    {line}")
        self._happened.ends[f"{ended}, {FAILURES[code]}" if code in FAILURES else ended] += 1
        if ended != "killed" and code not in (0, *FAILURES):
            self._happened.problems.append(f"{ended}: {said[-1000:]}")
        if "Traceback" in said:
            self._happened.problems.append(f"a traceback: {said[:3000]}")
        return ended

    def _strike(self, blow: Blow, run: Run) -> bool:
        """Kill what a blow is for; return whether it was the driver."""
        if blow.target == "database":
            self._server.stop()
            time.sleep(self._chance.uniform(0, AWAY))
            self._server.start()
        elif blow.target == "driver":
            workers = worker_processes()
            run.process.kill()
            self._watch(workers)
            run.process.wait()
        else:
            writing = blow.target == "writing worker"
            if writing and not await_writing(self._engine, run.process):
                self._blows.insert(0, blow)  # this driver is ending: the next one has work
                return False
            while not (found := worker_processes(running=writing)):
                if run.process.poll() is not None:
                    self._blows.insert(0, blow)
                    return False
            with suppress(psutil.NoSuchProcess):
                self._chance.choice(found).kill()
        self._happened.blows[blow.target] += 1
        return blow.target == "driver"

    def _watch(self, workers: list[Any]) -> None:
        """Measure in the background how long workers live on without their driver."""
        watch = threading.Thread(target=self._await_end, args=(workers,))
        watch.start()
        self._watches.append(watch)

    def _await_end(self, workers: list[Any]) -> None:
        began = time.monotonic()
        _, alive = psutil.wait_procs(workers, timeout=LIFE)
        self._happened.longest = max(self._happened.longest, time.monotonic() - began)
        if alive:
            self._happened.problems.append(f"{len(alive)} workers live on without a driver")


def start(url: str, suite: str, said: Path) -> Run:
    """Start the command, which prints into a file."""
    command = [sys.executable, "-m", "taskbank", "add-tasks", suite, "--on", "ray"]
    command += ["--verify", "none", "--bank", url]
    with said.open("wb") as file:
        return Run(subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT), said)


def lose_head(url: str, suite: str, folder: Path) -> Iterator[str]:
    """Kill the head of a cluster under the command, and yield what is wrong about its end."""
    with ray_cluster(folder / "ray-1", WORKERS) as address:
        os.environ["RAY_ADDRESS"] = address
        run = start(url, suite, folder / "said-head.txt")
        while run.process.poll() is None and not worker_processes(running=True):
            time.sleep(0.05)
        killed = time.monotonic()
        for process in cluster_processes():
            if process.name() == "gcs_server":
                process.kill()
        try:
            code = run.process.wait(HEADLESS)
        except subprocess.TimeoutExpired:
            run.process.kill()
            code = run.process.wait()
    print(f"without a head: exit code {code} after {time.monotonic() - killed:.0f} s", flush=True)
    said = run.said.read_text(encoding="utf-8")
    if code != 5 or "the Ray cluster was lost" not in said or "Traceback" in said:
        yield f"without a head, the command exits with {code}: {said[-1000:]}"


def recorded_password() -> Iterator[str]:
    """Yield the commands that the cluster has recorded with the password of the bank."""
    import ray._private.state

    state: Any = ray._private.state
    for job in state.jobs():
        if PASSWORD in job["Entrypoint"]:
            yield f"Ray shows the command {job['Entrypoint']}"


def planned_blows(
    chance: random.Random, tasks: int, *, workers: int, drivers: int, databases: int
) -> list[Blow]:
    """Return what to kill at which moments, in their order.

    Args:
        chance: chooses the moments.
        tasks: number of tasks of the suite.
        workers: number of workers to kill.
        drivers: number of drivers to kill.
        databases: number of restarts of the database.
    """
    targets = ["worker"] * (workers - workers // 2) + ["writing worker"] * (workers // 2)
    targets += ["driver"] * drivers + ["database"] * databases
    blows = [
        Blow(target, chance.randint(0, int(EARLY * tasks)), chance.uniform(0, DELAY))
        for target in targets
    ]
    return sorted(blows, key=lambda blow: (blow.stored, blow.delay))


def make_bank(url: str, backbone: Backbone, blobs: Path) -> None:
    """Create a bank whose blobs are files in a folder."""
    with create_bank(url, str(blobs)) as bank:
        bank.add_backbone(backbone.identity)


def stored_tasks(engine: Engine) -> int:
    """Return the number of adapters in a bank."""
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM adapters")).scalar_one())


def await_writing(engine: Engine, driver: subprocess.Popen[bytes]) -> bool:
    """Wait until somebody writes to a bank; return False if nobody does before the driver ends."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
    )
    deadline = time.monotonic() + WRITING
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while driver.poll() is None and time.monotonic() < deadline:
            if connection.execute(query).scalar_one():
                return True
    return False


def compared(reference: str, url: str) -> Iterator[str]:
    """Yield how a bank differs from the reference."""
    with Bank(reference) as one, Bank(url) as other:
        if one.tasks() != other.tasks():
            yield f"the bank has the tasks {other.tasks()}"
        for name in one.tasks():
            found = other.adapters(task=name, retired=True)
            if len(found) != 1:
                yield f"{name} has {len(found)} versions"
            for record in found:
                expected = one[name]
                for what in ("digest", "metrics", "splits", "definition", "request"):
                    if getattr(record, what) != getattr(expected, what):
                        yield f"{record.ref} has another {what} than in one process"


def collected(url: str, folder: Path) -> Iterator[str]:
    """Collect the garbage of a bank, verify it, and yield what is wrong."""
    expected = {path.name for path in blob_files(folder / "reference")}
    surplus = {path.name for path in blob_files(folder / "blobs")} - expected
    with Bank(url) as bank:
        garbage = bank.gc(older_than=0)
        named = {one.removeprefix("sha256:") for one in garbage.strays}
        named |= {Path(one).name for one in garbage.unfinished}
        print(f"blobs that nothing needs: {len(surplus)}")
        if named != surplus or garbage.blobs or garbage.adapters or garbage.foreign:
            yield f"gc lists {garbage}, and the files that nothing needs are {sorted(surplus)}"
        bank.gc(confirm=True, strays=True, older_than=0)
        if {path.name for path in blob_files(folder / "blobs")} != expected:
            yield "after gc, the files are not those of the run in one process"
        report = verify_all(bank, level="full")
        if not report.ok:
            yield f"the verification finds {report.findings} {report.interrupted}"


def blob_files(folder: Path) -> list[Path]:
    """Return the files of blobs in a folder, unfinished ones too."""
    return [path for path in folder.rglob("*") if path.is_file() and path.parent != folder]


def leaked(folder: Path) -> Iterator[str]:
    """Yield the files of Ray and of the commands that have the password of the bank."""
    for path in (*folder.glob("said-*.txt"), *folder.glob("ray-*/**/*")):
        if path.is_file() and PASSWORD.encode() in path.read_bytes():
            yield f"{path.relative_to(folder)} has the password of the bank"


def finish(happened: Happened) -> int:
    """Print what happened; return 1 if a promise broke, else 0."""
    for target, count in happened.blows.items():
        print(f"  {count:4} x {target}: killed")
    for ended, count in happened.ends.items():
        print(f"  {count:4} x {ended}")
    print(f"a worker lived without its driver for at most {happened.longest:.1f} s")
    for problem in happened.problems:
        print(f"  BROKEN {problem}")
    print(f"{len(happened.problems)} broken promises")
    return int(bool(happened.problems))


if __name__ == "__main__":
    sys.exit(main())
