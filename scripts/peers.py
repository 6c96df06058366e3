"""Environments of the libraries that taskbank is compared with, and processes that work in them.

Each peer has an environment of its own, as it may need other versions than taskbank does. What is
measured runs in a process a run: memory is counted there, and nothing is warm from a run before.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from taskbank.runtime.device import usual_precision

Job = Mapping[str, Any]
Found = dict[str, Any]

WORKERS = Path(__file__).parent / "workers"
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "adapters": ("adapters==1.3.*", "transformers==4.57.*", "accelerate", "datasets"),
    "peft": ("peft==0.21.*", "accelerate", "datasets"),
}
VERSIONS = """
import json, sys
from importlib.metadata import version
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


def comparison_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of what every comparison needs.

    Args:
        description: docstring of the script, whose first line `--help` shows.
    """
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--backbone", required=True, metavar="SPEC")
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--environments", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    return parser


def environment(folder: Path, peer: str) -> Path:
    """Return the Python of a peer's environment, which is made if it is not there.

    Args:
        folder: where the environments are, each under its peer's name.
        peer: `adapters` or `peft`.

    Raises:
        subprocess.CalledProcessError: if it cannot be made.
    """
    python = folder.absolute() / peer / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", folder / peer], check=True)
    if versions(python, peer) is None:
        # The same torch: what is compared is what stands on it.
        packages = [*PACKAGES[peer], f"torch=={version('torch')}"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def versions(python: Path, peer: str) -> dict[str, str] | None:
    """Return the versions of what a peer's runs depend on; none if something is not installed."""
    names = [peer, "transformers", "torch", "accelerate", "datasets"]
    done = subprocess.run(
        [python, "-c", VERSIONS, *names], capture_output=True, text=True, check=False
    )
    return dict(json.loads(done.stdout)) if done.returncode == 0 else None


def run_worker(python: Path, script: str, job: Job, folder: Path) -> Found:
    """Run a worker in a process of its own, and return what it found.

    Args:
        python: of the environment that it runs in; of this one, it sees taskbank.
        script: its file in `scripts/workers`.
        job: what it is to do, as JSON; its `threads` are all that it computes with.
        folder: where job, result and what it prints are left.

    Raises:
        SystemExit: with the end of what it printed, if it failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked, found, log = (folder / name for name in ("job.json", "found.json", "log.txt"))
    asked.write_text(json.dumps(job), encoding="utf-8")
    found.unlink(missing_ok=True)
    threads = str(job["threads"])
    surroundings = os.environ | {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
    }
    if python != Path(sys.executable):
        surroundings.pop("PYTHONPATH", None)
    with log.open("w", encoding="utf-8") as out:
        done = subprocess.run(
            [python, WORKERS / script, asked, found],
            stdout=out,
            stderr=subprocess.STDOUT,
            env=surroundings,
            check=False,
        )
    if done.returncode != 0:
        raise SystemExit(f"{script} failed:\n{log.read_text(encoding='utf-8')[-3000:]}")
    return dict(json.loads(found.read_text(encoding="utf-8")))


def machine_rate(threads: int, folder: Path) -> dict[str, float]:
    """Return how many floating-point operations a second matrix products reach here.

    Args:
        threads: that they are computed with.
        folder: as for `run_worker`.

    Returns:
        the best of some shapes, for each of `precisions`.
    """
    names = precisions()
    job = {"threads": threads, "precisions": names}
    found = run_worker(Path(sys.executable), "machine.py", job, folder)
    return {name: found[name] for name in names}


def precisions() -> tuple[str, ...]:
    """Return the number types that this machine's processor has instructions for."""
    return tuple(dict.fromkeys(("float32", usual_precision("cpu"))))


def rates(machine: Mapping[str, float]) -> str:
    """Return a machine's rates in words."""
    return ", ".join(f"{rate / 1e9:,.0f} G/s in {name}" for name, rate in machine.items())


def backbone_folder(spec: str) -> Path:
    """Return the folder of a backbone, which every library can load.

    Args:
        spec: a folder, or `package:NAME/FOLDER`.
    """
    if not spec.startswith("package:"):
        return Path(spec).absolute()
    name, _, rest = spec.removeprefix("package:").partition("/")
    found = find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"the package {name!r} is not installed: pip install {name}")
    return Path(next(iter(found.submodule_search_locations))) / rest
