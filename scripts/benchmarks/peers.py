"""Virtual environments of the libraries that taskbank is compared with, and workers in them.

Each peer has its own environment, because it may need other versions than taskbank does. Every
run is a process of its own: its peak memory is its own, and nothing is warm from an earlier run.
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

from scripts.shared.arguments import script_parser
from taskbank.runtime.device import fastest_precision

Job = Mapping[str, Any]

ROOT = Path(__file__).parents[2]
WORKERS = Path(__file__).parent / "workers"
TRAINING = ("accelerate", "datasets", f"torch=={version('torch')}")  # all on the same torch
REQUIREMENTS: Mapping[str, tuple[str, ...]] = {
    "adapters": ("adapters==1.3.*", "transformers==4.57.*", *TRAINING),
    "peft": ("peft==0.21.*", "transformers", *TRAINING),
    "serving": ("peft==0.21.*", "transformers", "fastapi", "uvicorn", *TRAINING),
    "mlflow": ("mlflow==3.*",),
    "setfit": ("setfit==1.2.*", "scikit-learn", *TRAINING),
}
PRINT_VERSIONS = """
import json, sys
from importlib.metadata import version
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


def peer_parser(docstring: str | None) -> argparse.ArgumentParser:
    """Return a parser for a script that compares taskbank with its peers.

    Args:
        docstring: the script's docstring; `--help` shows its first line.
    """
    parser = script_parser(docstring)
    parser.add_argument("--backbone", required=True, metavar="SPEC", help="encoder of every side")
    parser.add_argument(
        "--data", required=True, type=Path, metavar="FOLDER", help="one folder per data set"
    )
    parser.add_argument(
        "--environments",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="the peers' virtual environments; missing ones are created",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="results")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="number of rounds")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads per run")
    return parser


def peer_python(folder: Path, peer: str) -> Path:
    """Return the Python of a peer's environment; create the environment if it is missing.

    Args:
        folder: holds the environments, each named after its peer.
        peer: a key of `REQUIREMENTS`.

    Raises:
        subprocess.CalledProcessError: if the environment cannot be created.
    """
    python = folder.absolute() / peer / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", folder / peer], check=True)
    if versions(python, peer) is None:
        command = [str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS[peer]]
        subprocess.run(command, check=True)
    return python


def versions(python: Path, peer: str) -> dict[str, str] | None:
    """Return the versions of the packages a peer requires, or none if one is not installed."""
    names = [requirement.partition("==")[0] for requirement in REQUIREMENTS[peer]]
    done = subprocess.run(
        [python, "-c", PRINT_VERSIONS, *names], capture_output=True, text=True, check=False
    )
    return dict(json.loads(done.stdout)) if done.returncode == 0 else None


def run_worker(python: Path, script: str, job: Job, folder: Path) -> dict[str, Any]:
    """Run a worker in a process of its own, and return its figures.

    Args:
        python: of the environment to run in.
        script: file name in `scripts/benchmarks/workers`.
        job: the worker's input, written as JSON; `threads` bounds its threads.
        folder: receives the job, the figures and the worker's output.

    Raises:
        SystemExit: if the worker fails, with the end of its output.
    """
    folder.mkdir(parents=True, exist_ok=True)
    question, answer, log = (folder / name for name in ("job.json", "answer.json", "log.txt"))
    question.write_text(json.dumps(job), encoding="utf-8")
    answer.unlink(missing_ok=True)
    with log.open("w", encoding="utf-8") as out:
        done = subprocess.run(
            [python, WORKERS / script, question, answer],
            stdout=out,
            stderr=subprocess.STDOUT,
            env=_worker_environment(python, job["threads"]),
            check=False,
        )
    if done.returncode != 0:
        raise SystemExit(f"{script} failed:\n{log.read_text(encoding='utf-8')[-3000:]}")
    return dict(json.loads(answer.read_text(encoding="utf-8")))


def _worker_environment(python: Path, threads: int) -> dict[str, str]:
    # Workers import each other as scripts.benchmarks.workers. A peer must not see the packages
    # on this environment's path.
    inherited = os.environ.get("PYTHONPATH") if python == Path(sys.executable) else None
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *([inherited] if inherited else [])]),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
    }


def matmul_rates(threads: int, folder: Path) -> dict[str, float]:
    """Measure the machine's rate of matrix products.

    Args:
        threads: number of threads.
        folder: as for `run_worker`.

    Returns:
        the highest rate over several shapes, in FLOPs per second, by number type.
    """
    names = precisions()
    job = {"threads": threads, "precisions": names}
    figures = run_worker(Path(sys.executable), "matmul_speed.py", job, folder)
    return {name: figures[name] for name in names}


def precisions() -> tuple[str, ...]:
    """Return the number types for which this processor has instructions."""
    return tuple(dict.fromkeys(("float32", fastest_precision("cpu"))))


def format_rates(rates: Mapping[str, float]) -> str:
    """Return rates by number type as text, in GFLOP/s."""
    return ", ".join(f"{rate / 1e9:,.0f} GFLOP/s in {name}" for name, rate in rates.items())


def backbone_folder(spec: str) -> Path:
    """Return a backbone's folder, from which every library can load it.

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
