"""Kills a copy of a bank again and again, and checks that it ends complete.

    python scripts/verification/copy_chaos.py [--tasks 1000] [--kills 20] [--blobs folder]
        [--seed 0]

A bank of synthetic tasks is made in a SQLite file, with every kind of record: versions, retired
ones, further splits, aliases, tolerances, trials, verifications with what they observed, accepted
predictions. `taskbank copy` copies it:

- undisturbed into a bank on PostgreSQL, with its blobs in a folder, in an object store (S3 by moto,
  on loopback) or in the catalog; then again, which must copy nothing;
- under fire into another such bank: at random moments the command gets SIGKILL, and is started
  again at once. After each kill, the target must pass the integrity check, so that no row is
  without its blob;
- from there back into a new SQLite file.

In the end all three banks must say the same, record for record, all must pass the integrity check,
and the file that was copied from must be what it was, byte for byte. Prints what happened and the
seconds, and exits with 1 if any of this does not hold.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Engine, create_engine, make_url, text

from scripts.benchmarks.synthetic_bank import make_adapter
from scripts.shared.arguments import script_parser
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewScoredSplit
from taskbank.bank.open import create_bank
from taskbank.digests import digest_bytes
from taskbank.verify.integrity import check_integrity
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_trial, record_finding
from tests.helpers.bank_content import content_of
from tests.helpers.object_stores import new_place, s3_server
from tests.helpers.servers import Server

VERSIONS = 2  # of a task
EVERY = 10  # one task in this many has further splits, trials, and what was observed of it
DELAY = 0.1  # seconds that a kill comes later than its moment, at most
MORE_RUNS = 5  # runs beyond the kills after which the copy is given up


def main() -> int:
    """Copy under fire, check what is left, and return the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--blobs", choices=("folder", "s3", "catalog"), default="folder")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        server = Server(folder / "server")
        stack.callback(server.close)
        if arguments.blobs == "s3":
            stack.enter_context(s3_server())
        source = folder / "source.db"
        with timed(f"made {arguments.tasks:,} tasks, {source.name}"):
            make_source(source, arguments.tasks)
        before = digest_bytes(source.read_bytes())
        calm, target = (
            new_target(server.url, name, arguments.blobs, folder) for name in ("calm", "fire")
        )
        with timed("undisturbed copy"):
            problems += expect(copy(str(source), calm), "versions")
        with timed("the same again"):
            problems += expect(copy(str(source), calm), "nothing to copy")
        with timed(f"copy with {arguments.kills} kills, and a check after each"):
            chance = random.Random(arguments.seed)
            problems += under_fire(str(source), target, arguments.kills, chance, folder)
        problems += expect(copy(str(source), target), "nothing to copy")
        back = folder / "back.db"
        create_bank(back).close()
        with timed("copy back into a file"):
            problems += expect(copy(target, str(back)), "versions")
        if digest_bytes(source.read_bytes()) != before:
            problems.append("the file that was copied from has changed")
        with timed("comparison and integrity checks"):
            problems += compared(source, calm, target, back)
    for problem in problems:
        print(f"BROKEN: {problem}")
    print("every promise held" if not problems else f"{len(problems)} promises broke")
    return 1 if problems else 0


class timed:
    """Prints how long what is done within took."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(self, *_error: object) -> None:
        print(f"{self._what}: {time.monotonic() - self._started:.1f} s", flush=True)


def make_source(file: Path, tasks: int) -> None:
    """Make a bank with every kind of record."""
    with create_bank(file) as bank:
        for number in range(tasks):
            name = f"task-{number:04}"
            for version in range(VERSIONS):
                new = make_adapter(VERSIONS * number + version, name)
                bank.put(new, new_version=version > 0)
            bank.alias(name, "production")
            if number % EVERY == 0:
                add_rest(bank, name, number)
        verify_all(bank, level="integrity")


def add_rest(bank: Bank, task: str, seed: int) -> None:
    """Give a task a further split, a retired version, a trial and a verification."""
    split = replace(make_adapter(seed, task).splits[0], name="june")
    metrics = tuple(
        replace(one, split="june") for one in bank[task].metrics if one.split == "validation"
    )
    bank.put_split(task, NewScoredSplit(split, metrics))
    bank.remove(f"{task}@1")
    bank.put_trial(new_trial(task, seed=seed))
    record_finding(bank, task)


def new_target(server: str, name: str, blobs: str, folder: Path) -> str:
    """Create an empty bank on a server and return its URL."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    places = {"folder": str(folder / name), "s3": new_place("s3") if blobs == "s3" else None}
    create_bank(url, places.get(blobs)).close()
    return url


def start(source: str, target: str, said: Path) -> subprocess.Popen[bytes]:
    """Start the command, which prints into a file."""
    command = [sys.executable, "-m", "taskbank", "copy", "--bank", source, "--to", target]
    with said.open("wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)


def copy(source: str, target: str) -> str:
    """Run the command to its end and return what it printed, with an exit code that is not 0."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said.txt"
        code = start(source, target, said).wait()
        return said.read_text(encoding="utf-8") + (f"exit code {code}" if code else "")


def expect(said: str, wanted: str) -> Iterator[str]:
    """Yield what is wrong with what a command printed."""
    if wanted not in said or "exit code" in said or "Traceback" in said:
        yield f"{wanted!r} was expected of a copy, which said: {said[-2000:]}"


def under_fire(
    source: str, target: str, kills: int, chance: random.Random, folder: Path
) -> Iterator[str]:
    """Run the command until it ends by itself, killing it on the way; yield what broke.

    Args:
        source: the bank to copy.
        target: the bank to copy into.
        kills: how often to kill the command.
        chance: chooses the moments.
        folder: where to keep what the command prints.
    """
    with Bank(source, only_read=True) as bank:
        whole = counted_rows(bank)
    moments = sorted(chance.uniform(0, 0.98) for _ in range(kills))
    engine = create_engine(target)
    killed = 0
    for number in range(kills + MORE_RUNS):
        said = folder / f"said-{number}.txt"
        before = copied_rows(engine)
        process = start(source, target, said)
        while process.poll() is None:
            stored = copied_rows(engine)
            if moments and before < stored >= moments[0] * whole:
                moments.pop(0)
                time.sleep(chance.uniform(0, DELAY))
                process.kill()
                break
            time.sleep(0.01)
        code = process.wait()
        if code == -9:
            killed += 1
            with Bank(target) as bank:
                for finding in check_integrity(bank).findings:
                    yield f"after kill {killed}: {finding}"
                print(f"  kill {killed}: {copied_rows(engine):,} of {whole:,} rows", flush=True)
        elif code == 0 and not moments:
            break
        else:
            yield f"exit code {code} with {len(moments)} kills to come: {said.read_text()[-2000:]}"
            if code == 0:
                break
    else:
        yield f"the copy was not done after {kills + MORE_RUNS} starts"
    engine.dispose()
    if killed != kills:
        yield f"{killed} copies were killed, and not {kills}: give more tasks"


def counted_rows(bank: Bank) -> int:
    """Return the number of rows of a bank by which the moments are chosen."""
    return sum(len(rows) for name, rows in content_of(bank).items() if name in COUNTED)


COUNTED = ("adapters", "scored_splits", "trials", "observations", "acceptances", "aliases")


def copied_rows(engine: Engine) -> int:
    """Return the number of the counted rows in a bank."""
    counts = " + ".join(f"(SELECT count(*) FROM {table})" for table in COUNTED)  # noqa: S608
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT {counts}")).scalar_one())


def compared(source: Path, *others: str | Path) -> Iterator[str]:
    """Yield what the copies do not have in common with the bank that was copied."""
    with Bank(source, only_read=True) as bank:
        content, order = content_of(bank), [record.ref for record in bank]
    for url in others:
        with Bank(url) as bank:
            found = content_of(bank)
            for name, rows in content.items():
                if found[name] != rows:
                    yield f"{url} has {len(found[name])} {name} for {len(rows)}, or others"
            if [record.ref for record in bank] != order:
                yield f"{url} has its versions in another order"
            for finding in check_integrity(bank).findings:
                yield f"{url}: {finding}"


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    raise SystemExit(main())
