"""Kills and interrupts commands at random moments, and checks that every bank stays whole.

    python -m scripts.verification.attacks.kills [--attempts 440] [--seed 0] [--no-postgresql]

Each attempt runs one command in a fork of this process, which has imported everything, and sends it
SIGKILL, SIGTERM or SIGINT at a random moment of the time that the command takes. Afterwards the
bank must open and pass the integrity check; a task must be whole or absent; an export and a copy
must be whole or absent, and a report whole, absent or what it was; an unfinished file may be left
only by SIGKILL; the exit code must be that of the signal or of a command that had ended; and
nothing may print a traceback. Banks are in SQLite and in PostgreSQL, on a server of the script's
own. The backbone is tiny and random.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import taskbank
from scripts.shared.arguments import script_parser
from scripts.verification.attacks.outcomes import Outcomes
from scripts.verification.faults import FAULTS
from taskbank.backbone.load import load_backbone
from taskbank.runtime.device import pick_device
from taskbank.runtime.files import UNFINISHED
from tests.helpers.backbones import make_backbone
from tests.helpers.rows import sentences, write_jsonl
from tests.helpers.servers import Server

KILL = signal.SIGKILL
SIGNALS = (KILL, signal.SIGTERM, signal.SIGINT)
ENDED = (0, 1, 2)  # exit codes of commands that had ended before the signal
PREPARED = 0.02  # seconds after a fork in which the command line takes charge of signals
PATIENCE = 60.0  # seconds that a command may take to end after a signal
OLD_BANK = Path("tests/data/previous/bank.sqlite")
OLD_SCHEMA = "0004"
TRAINING = ("--epochs", "1", "--size", "4", "--batch-size", "16")


@dataclass
class Place:
    """What the commands work on.

    Attributes:
        folder: the folder of all files.
        url: the bank.
        backbone: the folder of the backbone.
        number: number of the attempt, for names that no attempt has used.
    """

    folder: Path
    url: str
    backbone: Path
    number: int = 0

    @property
    def name(self) -> str:
        """The name of the attempt's task."""
        return f"task-{self.number}"

    def path(self, name: str) -> str:
        """Return the path of a file of the attempt."""
        return str(self.folder / f"{self.number}-{name}")


def commands() -> dict[str, Callable[[Place], list[str]]]:
    """Return the commands to attack: each a function from the place to its arguments."""
    return {
        "add-task": lambda p: ["add-task", p.name, "--train", f"{p.folder}/data.jsonl", *TRAINING],
        "add-tasks": _add_tasks,
        "verify-all": lambda p: ["verify-all", "--junit", p.path("r.xml"), "--report", p.path("r")],
        "predict": lambda p: ["predict", "first", "--file", f"{p.folder}/data.jsonl"],
        "import": lambda p: ["import", f"{p.folder}/exported", "--name", p.name],
        "export": lambda p: ["export", "first", "--output", p.path("export")],
        "gc": _gc,
        "accept": _accept,
        "score": _score,
        "remove": _remove,
        "backup": lambda p: ["backup", p.path("backup.db")],
        "alias": lambda p: ["alias", "first@1", f"alias-{p.number}"],
        "db upgrade": _upgrade,
    }


def main() -> int:
    """Run the attack and return the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--attempts", type=int, default=440, help="number of signals")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-postgresql", action="store_true", help="attack SQLite only")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    generator, outcomes = random.Random(arguments.seed), Outcomes()
    folder = Path(tempfile.mkdtemp())
    _import_everything()
    server = None if arguments.no_postgresql else Server(folder / "server")
    try:
        places = list(_places(folder, server))
        durations = {name: _duration(name, places[0]) for name in commands()}
        for number in range(1, arguments.attempts + 1):
            place = places[number % len(places)]
            place.number = number
            name = list(commands())[number // len(places) % len(commands())]
            _attack(name, place, durations[name], generator, outcomes)
    except KeyboardInterrupt:
        print("stopped early")
    finally:
        if server is not None:
            server.close()
        shutil.rmtree(folder, ignore_errors=True)
    return outcomes.finish()


def _attack(
    name: str, place: Place, duration: float, generator: random.Random, outcomes: Outcomes
) -> None:
    arguments = commands()[name](place)
    number, moment = generator.choice(SIGNALS), generator.uniform(0, 1.1 * duration)
    code, said = _run(arguments, place, number, moment)
    attempt = f"{' '.join(arguments)}: {number.name} after {moment:.3f} s, exit {code}"
    problems = []
    unprepared = moment < PREPARED and code == -number  # the process had not begun to be ours
    if not unprepared and code not in (-number if number == KILL else 128 + number, *ENDED):
        problems.append("wrong exit code")
    if "Traceback" in said or "Exception ignored" in said:
        problems.append(f"traceback: {said[-300:]}")
    problems += _damage(name, place)
    left = unfinished(place.folder)
    if number != KILL:
        problems += [f"left {file.name}" for file in left]
    ended = "ended" if code in ENDED else number.name
    outcomes.add(f"{name} {ended}", attempt, broken=False)
    for problem in problems:
        outcomes.add(problem, attempt, broken=True)


def _damage(name: str, place: Place) -> Iterator[str]:
    """Yield what is wrong after an attempt."""
    url = f"sqlite:///{place.path('old.db')}" if name == "db upgrade" else place.url
    try:
        if name == "db upgrade" and taskbank.schema_of(url) == OLD_SCHEMA:  # as it was before
            _expect(["--bank", url, "db", "upgrade"], place)
        with taskbank.open(url) as bank:
            report = taskbank.verify_all(bank, level="integrity")
    except taskbank.TaskbankError as error:
        yield f"the bank does not open: {error}"
        return
    yield from (f"finding: {finding.message}" for finding in report.findings)
    copy = Path(place.path("backup.db"))
    if copy.exists():
        with taskbank.open(f"sqlite:///{copy}") as bank:
            report = taskbank.verify_all(bank, level="integrity")
        yield from (f"finding in the copy: {finding.message}" for finding in report.findings)
    exported = Path(place.path("export"))
    if exported.exists() and not (exported / "adapter.json").exists():
        yield "half an export"
    junit, page = Path(place.path("r.xml")), Path(place.path("r"))
    if junit.exists():
        ET.parse(junit)  # noqa: S314 - written by this attack
    if page.exists() and not page.read_text().rstrip().endswith(">"):
        yield "half a page"


def unfinished(folder: Path) -> list[Path]:
    """Remove and return the unfinished files and folders in a folder."""
    found = list(folder.glob(f".*{UNFINISHED}"))
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return found


def _run(
    arguments: list[str], place: Place, number: int | None = None, moment: float = 0.0
) -> tuple[int, str]:
    """Run a command in a fork, send it a signal, and return its exit code and its messages."""
    errors = Path(place.path("errors.txt"))
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))  # it must not end the fork as us
    child = os.fork()
    if child == 0:
        _become(arguments, place, errors)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    if number is not None:
        time.sleep(moment)
        os.kill(child, number)  # one that has ended waits for `waitpid`, and nothing reaches it
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status), errors.read_text() if errors.exists() else ""
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 256, "it did not end"


def _become(arguments: list[str], place: Place, errors: Path) -> None:
    """Be a process of the command line until the end."""
    code = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which `&` lets a shell ignore
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
        for stream, path in ((1, os.devnull), (2, str(errors))):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
        sys.argv = ["taskbank", *arguments]
        os.environ["TASKBANK_BANK"] = place.url
        os.environ["TASKBANK_CACHE"] = str(place.folder / "cache")
        from taskbank.cli.main import main as command_line

        command_line()
    except SystemExit as end:
        code = int(end.code or 0)
    except KeyboardInterrupt:  # the signal came before the command line was prepared for it
        code = 130
    finally:
        os._exit(code)


def _places(folder: Path, server: Server | None) -> Iterator[Place]:
    """Yield a bank with one task for each database."""
    backbone = make_backbone(folder / "backbone")
    for name, url in (
        ("sqlite", f"sqlite:///{folder}/bank.db"),
        ("postgresql", server.url if server else ""),
    ):
        if not url:
            continue
        place = Place(folder / name, url, backbone)
        place.folder.mkdir()
        write_jsonl(place.folder / "data.jsonl", sentences(80, seed=1))
        _expect(["init", "--backbone", str(backbone)], place)
        _expect(["add-task", "first", "--train", f"{place.folder}/data.jsonl", *TRAINING], place)
        _expect(["export", "first", "--output", f"{place.folder}/exported"], place)
        yield place


def _expect(arguments: list[str], place: Place) -> None:
    code, said = _run(arguments, place)
    if code != 0:
        raise SystemExit(f"{' '.join(arguments)} fails without any signal: {said}")


def _duration(name: str, place: Place) -> float:
    """Return how many seconds a command takes."""
    place.number -= 1
    arguments = commands()[name](place)
    started = time.monotonic()
    _run(arguments, place)
    return time.monotonic() - started


def _add_tasks(place: Place) -> list[str]:
    train = f'train = "{place.folder}/data.jsonl"'
    text = "[defaults]\nepochs = 1\noptions = {size = 4}\n"
    for part in ("a", "b"):
        text += f'[[task]]\nname = "{place.name}{part}"\n{train}\n'
    Path(place.path("suite.toml")).write_text(text, encoding="utf-8")
    return ["add-tasks", place.path("suite.toml")]


def _accept(place: Place) -> list[str]:
    """Let a faulty machine verify, so that there are other predictions to accept."""
    backbone = load_backbone(str(place.backbone), pick_device("cpu"))
    with taskbank.open(place.url) as bank:
        with FAULTS["LayerNorm epsilon of 0.1"].inject(backbone):
            taskbank.verify_all(bank, backbone=backbone)
        number = bank.verification_log.verifications()[-1].id
    return ["accept", "first", "--verification", str(number), "--reason", "an attack"]


def _score(place: Place) -> list[str]:
    data = f"{place.folder}/data.jsonl"
    return ["score", "first", "--data", data, "--record", f"split-{place.number}"]


def _remove(place: Place) -> list[str]:
    with taskbank.open(place.url) as bank:
        records = list(bank)
    return ["remove", records[-1].ref if len(records) > 1 else f"{place.name}@1"]


def _gc(place: Place) -> list[str]:
    with taskbank.open(place.url) as bank:
        for record in list(bank)[1:3]:
            if not any(step.version for step in bank.aliases(record.task)):
                bank.remove(record.ref)
    return ["gc", "--confirm"]


def _upgrade(place: Place) -> list[str]:
    copy = place.path("old.db")
    shutil.copy(OLD_BANK, copy)
    return ["--bank", f"sqlite:///{copy}", "db", "upgrade"]


def _import_everything() -> None:
    """Import what the commands need, on one thread: forks have no other."""
    import torch
    import tqdm

    torch.set_num_threads(1)
    tqdm.tqdm.monitor_interval = 0
    from taskbank.cli import commands as _commands  # noqa: F401
    from taskbank.pages import verification  # noqa: F401
    from taskbank.pipeline import suite  # noqa: F401
    from taskbank.serve import predictor  # noqa: F401
    from taskbank.verify import predictions  # noqa: F401


if __name__ == "__main__":
    sys.exit(main())
