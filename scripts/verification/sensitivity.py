"""Measures sensitivity: which changes a verification detects, and what it reports of them.

    python scripts/verification/sensitivity.py SUITE --backbone SPEC --output FOLDER
        [--data FOLDER]

Adds the tasks of a suite to a bank. For each change below, makes a copy of the bank with that
change and verifies all of it. Prints one row per change: the changed tasks, the tasks that the
verification names, its verdict and its figures. Exits with 1 if the named tasks are not the
changed ones.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save
from safetensors.torch import load_file, save_file

from scripts.shared.arguments import suite_parser
from scripts.shared.tables import markdown_header, markdown_row
from scripts.verification.suite_bank import Change, copy_bank, train_suite
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter
from taskbank.data.examples import Examples
from taskbank.runtime.device import pick_device
from taskbank.verify.report import Report, TaskResult
from taskbank.verify.verify import verify_all

Tensors = dict[str, np.ndarray]


def main() -> None:
    """Verify the bank with each change, and print the table."""
    arguments = suite_parser(__doc__).parse_args()
    bank = train_suite(arguments)
    backbone = load_backbone(arguments.backbone, pick_device(None))
    tasks = [record.task for record in bank.adapters()]
    if len(tasks) < 2:
        raise SystemExit("the suite needs at least two tasks")
    changed = tasks[0]
    print(markdown_header(["change", "changed", "named", "verdict", "figures"]))
    as_expected = True
    for name, change in adapter_changes(bank, backbone, changed).items():
        with copy_bank(bank, arguments.output / "copy.db", {changed: change}) as copy:
            report = verify_all(copy, backbone=backbone)
        as_expected &= print_row(name, [changed], report)
    for name, alter in BACKBONE_CHANGES.items():
        folder = copy_backbone(arguments.backbone, arguments.output / "backbone")
        alter(folder)
        report = verify_all(bank, what_if={"backbone": str(folder)})
        as_expected &= print_row(f"{name} (what if)", tasks, report)
    sys.exit(not as_expected)


# Changes of a stored adapter


def adapter_changes(bank: Bank, backbone: Backbone, task: str) -> dict[str, Change]:
    """Return the changes to make to a task's adapter, by description."""
    pretrained = {
        name: tensor.numpy()
        for name, tensor in backbone.model.state_dict().items()
        if "LayerNorm" in name
    }
    other = load(bank.weights(bank[similar_task(bank, task)]))
    return {
        "one adapter weight scaled by 1.5": change_weights(scale_weight),
        "two label names swapped": swap_labels,
        "a LayerNorm left at its pretrained values": change_weights(
            partial(reset_layernorm, pretrained=pretrained)
        ),
        "the head of another task": change_weights(partial(replace_head, other=other)),
        "the split's rows shuffled against the references": shuffle_rows,
        "one reference logit changed by 1": change_reference,
    }


def change_weights(alter: Callable[[Tensors], None]) -> Change:
    """Return a change that alters an adapter's tensors in place."""

    def change(new: NewAdapter) -> NewAdapter:
        tensors = load(new.weights)
        alter(tensors)
        return replace(new, weights=save(tensors))

    return change


def scale_weight(tensors: Tensors) -> None:
    """Scale the largest weight of the first adapter by 1.5."""
    name = min(name for name in tensors if name.startswith("adapter") and tensors[name].ndim == 2)
    largest = np.unravel_index(np.abs(tensors[name]).argmax(), tensors[name].shape)
    tensors[name] = tensors[name].copy()
    tensors[name][largest] *= 1.5


def reset_layernorm(tensors: Tensors, pretrained: Mapping[str, np.ndarray]) -> None:
    """Give the first trained LayerNorm its pretrained values."""
    for name in sorted(tensors):
        inner = name.removeprefix("layernorm.")
        if inner != name and inner in pretrained:
            tensors[name] = pretrained[inner].copy()
            return
    raise SystemExit("the task has no trained LayerNorm")


def replace_head(tensors: Tensors, other: Tensors) -> None:
    """Replace the head by another task's."""
    for name in ("head.weight", "head.bias"):
        tensors[name] = other[name]


def swap_labels(new: NewAdapter) -> NewAdapter:
    """Swap the names of the first two classes."""
    first, second, *rest = new.definition.labels
    return replace(new, definition=replace(new.definition, labels=(second, first, *rest)))


def shuffle_rows(new: NewAdapter) -> NewAdapter:
    """Shuffle the examples of the scored split, but not their reference predictions."""
    splits = []
    for split in new.splits:
        examples = Examples.from_bytes(split.examples, split.origin)
        order = np.random.default_rng(0).permutation(len(examples)).tolist()
        mixed = examples.select(order, split.origin).to_bytes()
        splits.append(replace(split, examples=mixed if split.name == new.split else split.examples))
    return replace(new, splits=tuple(splits))


def change_reference(new: NewAdapter) -> NewAdapter:
    """Change one logit of the reference predictions by 1."""
    splits = []
    for split in new.splits:
        logits = load(split.logits)["logits"].copy()
        if split.name == new.split:
            logits[0, 0] += 1
        splits.append(replace(split, logits=save({"logits": logits})))
    return replace(new, splits=tuple(splits))


def similar_task(bank: Bank, task: str) -> str:
    """Return another task with the same number of classes."""
    classes = len(bank[task].labels)
    others = (r.task for r in bank.adapters() if r.task != task and len(r.labels) == classes)
    other = next(others, None)
    if other is None:
        raise SystemExit(f"the suite needs another task with {classes} classes, as {task} has")
    return other


# Changes of the backbone


def copy_backbone(spec: str, folder: Path) -> Path:
    """Return a folder with a copy of a backbone's files."""
    from taskbank.backbone.load import _locate

    location, _, _ = _locate(spec)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(location, folder)
    return folder


def disable_lowercasing(folder: Path) -> None:
    """Configure a backbone's tokenizer to keep capital letters."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        path = folder / name
        if path.exists():
            text = path.read_text()
            text = text.replace('"lowercase": true', '"lowercase": false')
            path.write_text(text.replace('"do_lower_case": true', '"do_lower_case": false'))


def scale_matrix(folder: Path) -> None:
    """Scale one matrix of a backbone by 1.01."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    name = next(n for n in sorted(tensors) if "layer.2" in n and n.endswith("output.dense.weight"))
    tensors[name] = tensors[name] * 1.01
    save_file(tensors, path, {"format": "pt"})


BACKBONE_CHANGES: dict[str, Callable[[Path], None]] = {
    "the tokenizer no longer lower-cases": disable_lowercasing,
    "one backbone layer's matrix changed by 1 %": scale_matrix,
}

# The table


def print_row(name: str, changed: list[str], report: Report) -> bool:
    """Print the row of a change; return whether the report names exactly the changed tasks."""
    named = [task for task in report.tasks if task.status != "ok"]
    # The most and the least significant: those between add nothing.
    ordered = sorted(named, key=lambda task: (task.p_value or 1.0, -(task.shift or 0.0)))
    shown = ordered if len(ordered) < 3 else [ordered[0], ordered[-1]]
    cells = [
        name,
        _list_tasks(changed),
        _list_tasks([task.task for task in named]),
        ", ".join(sorted({task.status for task in named})),
        "; ".join(_figures(task) for task in shown),
    ]
    print(markdown_row(cells), flush=True)
    return sorted(changed) == sorted(task.task for task in named)


def _list_tasks(tasks: list[str]) -> str:
    return ", ".join(tasks) if len(tasks) < 4 else f"all {len(tasks)}"


def _figures(task: TaskResult) -> str:
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
