"""Which changes a verification notices, and what it says of them.

    python scripts/sensitivity.py SUITE --backbone SPEC --output FOLDER [--data FOLDER]

Adds the tasks of a suite to a bank, makes a copy with one change in it for each change below,
and verifies all of it. Prints a row a change: which tasks it concerns, which the verification
named, its verdict and its numbers. Exits with 1 if it named another set of tasks.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from real_bank import Change, bank_parser, copy_bank, real_bank
from safetensors.numpy import load, save
from safetensors.torch import load_file, save_file

from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter
from taskbank.data.examples import Examples
from taskbank.runtime.device import pick_device
from taskbank.verify.report import Report, TaskResult
from taskbank.verify.verify import verify_all

Tensors = dict[str, np.ndarray]


def of_weights(change: Callable[[Tensors], None]) -> Change:
    """Return the change of an adapter whose tensors are changed."""

    def changed(new: NewAdapter) -> NewAdapter:
        tensors = load(new.weights)
        change(tensors)
        return replace(new, weights=save(tensors))

    return changed


def scale_one_weight(tensors: Tensors) -> None:
    """Scale the largest weight of the first adapter by 1.5."""
    name = min(name for name in tensors if name.startswith("adapter") and tensors[name].ndim == 2)
    largest = np.unravel_index(np.abs(tensors[name]).argmax(), tensors[name].shape)
    tensors[name] = tensors[name].copy()
    tensors[name][largest] *= 1.5


def swap_labels(new: NewAdapter) -> NewAdapter:
    """Give two classes each other's name."""
    first, second, *rest = new.definition.labels
    return replace(new, definition=replace(new.definition, labels=(second, first, *rest)))


def shuffle_rows(new: NewAdapter) -> NewAdapter:
    """Put the examples of the split that counts into another order than their predictions."""
    splits = []
    for split in new.splits:
        examples = Examples.from_bytes(split.examples, split.origin)
        order = np.random.default_rng(0).permutation(len(examples)).tolist()
        mixed = examples.select(order, split.origin).to_bytes()
        splits.append(replace(split, examples=mixed if split.name == new.split else split.examples))
    return replace(new, splits=tuple(splits))


def change_one_reference(new: NewAdapter) -> NewAdapter:
    """Change one number of the reference predictions by 1."""
    splits = []
    for split in new.splits:
        logits = load(split.logits)["logits"].copy()
        if split.name == new.split:
            logits[0, 0] += 1
        splits.append(replace(split, logits=save({"logits": logits})))
    return replace(new, splits=tuple(splits))


def changed_backbone(spec: str, folder: Path, change: Callable[[Path], None]) -> str:
    """Return a copy of a backbone with something changed in its files."""
    from taskbank.backbone.load import _locate

    location, _, _ = _locate(spec)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(location, folder)
    change(folder)
    return str(folder)


def cased(folder: Path) -> None:
    """Let the tokenizer leave capital letters as they are."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        path = folder / name
        if path.exists():
            text = path.read_text()
            text = text.replace('"lowercase": true', '"lowercase": false')
            path.write_text(text.replace('"do_lower_case": true', '"do_lower_case": false'))


def perturbed(folder: Path) -> None:
    """Change the matrix of one layer by 1 %."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    name = next(n for n in sorted(tensors) if "layer.2" in n and n.endswith("output.dense.weight"))
    tensors[name] = tensors[name] * 1.01
    save_file(tensors, path, {"format": "pt"})


def main() -> None:
    """Print the table."""
    arguments = bank_parser(__doc__).parse_args()
    bank = real_bank(arguments)
    backbone = load_backbone(arguments.backbone, pick_device(None))
    tasks = [record.task for record in bank.adapters()]
    if len(tasks) < 2:
        raise SystemExit("the suite needs at least two tasks")
    one = tasks[0]
    norms = {
        name: tensor.numpy()
        for name, tensor in backbone.model.state_dict().items()
        if "LayerNorm" in name
    }

    def reset_norm(tensors: Tensors) -> None:
        for name in sorted(tensors):
            inner = name.removeprefix("layernorm.")
            if inner != name and inner in norms:
                tensors[name] = norms[inner].copy()
                return
        raise SystemExit("the task has no LayerNorm of its own")

    heads = load(bank[_alike(bank, one)].weights())

    def other_head(tensors: Tensors) -> None:
        for name in ("head.weight", "head.bias"):
            tensors[name] = heads[name]

    print("| change | concerned | named | verdict | numbers |")
    print("| --- | --- | --- | --- | --- |")
    failed = False
    stored: dict[str, Change] = {
        "one adapter weight scaled by 1.5": of_weights(scale_one_weight),
        "two label names swapped": swap_labels,
        "a LayerNorm left at its pretrained values": of_weights(reset_norm),
        "the head of another task": of_weights(other_head),
        "the split's rows shuffled against the references": shuffle_rows,
        "one reference logit changed by 1": change_one_reference,
    }
    for name, change in stored.items():
        with copy_bank(bank, arguments.output / "copy.db", {one: change}) as copy:
            failed |= _row(name, [one], verify_all(copy, backbone=backbone))
    places: dict[str, Callable[[Path], None]] = {
        "the tokenizer no longer lower-cases": cased,
        "one backbone layer's matrix changed by 1 %": perturbed,
    }
    for name, alter in places.items():
        other = changed_backbone(arguments.backbone, arguments.output / "backbone", alter)
        report = verify_all(bank, what_if={"backbone": other})
        failed |= _row(f"{name} (what if)", tasks, report)
    sys.exit(failed)


def _alike(bank: Bank, task: str) -> str:
    """Return another task with as many classes."""
    wanted = len(bank[task].labels)
    found = (r.task for r in bank.adapters() if r.task != task and len(r.labels) == wanted)
    other = next(found, None)
    if other is None:
        raise SystemExit(f"no other task has {wanted} classes, as {task} has")
    return other


def _row(name: str, concerned: list[str], report: Report) -> bool:
    named = [task for task in report.tasks if task.status != "ok"]
    verdicts = sorted({task.status for task in named})
    # The worst and the least: what lies between adds nothing.
    worst = sorted(named, key=lambda task: (task.p_value or 1.0, -(task.shift or 0.0)))
    shown = worst if len(worst) < 3 else [worst[0], worst[-1]]
    told = "; ".join(_numbers(task) for task in shown)
    print(
        f"| {name} | {_shown(concerned)} | {_shown([task.task for task in named])} "
        f"| {', '.join(verdicts)} | {told} |",
        flush=True,
    )
    return sorted(concerned) != sorted(task.task for task in named)


def _shown(tasks: list[str]) -> str:
    return ", ".join(tasks) if len(tasks) < 4 else f"all {len(tasks)}"


def _numbers(task: TaskResult) -> str:
    if task.observed is None:
        return task.task
    values: dict[str, Any] = {"p": task.p_value, "moved by": task.shift, "noise": task.noise}
    return (
        f"{task.task}: {task.metric} {task.recorded:.4f} → {task.observed:.4f}, "
        f"{task.flips} flips ({task.negative_flips} worse, {task.positive_flips} better), "
        + ", ".join(f"{name} {value:.2g}" for name, value in values.items() if value is not None)
    )


if __name__ == "__main__":
    main()
