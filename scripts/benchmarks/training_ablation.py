"""Measures training on a CPU with one implementation choice changed at a time.

    python scripts/benchmarks/training_ablation.py --backbone SPEC --data FOLDER --output FOLDER
        [--rows 512] [--length 128] [--repeats 3] [--threads 2] [--only TEXT ...]

Each side trains the same new task on FOLDER/train.parquet for one epoch, in alternation, in one
process, after a warm-up. Prints the time of each side and its ratio to taskbank's default. The
sides with larger batches show the most that training several trials in one pass could gain: the
same products on as many rows at once. Then prints a profile of the default by kind of operation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

from scripts.benchmarks.comparison import (
    Run,
    Side,
    median_and_range,
    ratios,
    run_rounds,
    values,
    write_runs,
)
from scripts.shared.arguments import script_parser
from scripts.shared.tables import aligned
from taskbank import plugins
from taskbank.backbone import attention
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.dropout import Dropout
from taskbank.backbone.load import load_backbone
from taskbank.data.examples import Examples
from taskbank.data.splits import sample
from taskbank.kinds.definition import Definition
from taskbank.kinds.kind import Kind
from taskbank.model.task_model import task_model
from taskbank.runtime.device import fastest_precision
from taskbank.specs import TaskSpec, TrainingSpec
from taskbank.training.loop import train
from taskbank.training.prepared import PreparedSplit
from taskbank.training.task_data import read_task_data

VALIDATION = 8  # rows; every epoch ends with a score
OPERATIONS = {
    "matrix products": ("mm", "addmm", "bmm"),
    "copies, casts, gathering": ("copy_", "cat", "index_select", "fill_"),
    "additions, factors": ("add", "add_", "mul", "mul_", "sum"),
    "activation": ("gelu", "gelu_backward"),
    "softmax": ("_softmax", "_softmax_backward_data"),
    "LayerNorm": ("native_layer_norm", "native_layer_norm_backward"),
    "dropout, rest of attention": (
        "_Dropped",
        "_DroppedBackward",
        "_Attention",
        "_AttentionBackward",
    ),
}
OTHER = "everything else, Python"

Variant = Callable[[Backbone], AbstractContextManager[None]]  # a changed implementation


def main() -> None:
    """Time every side in alternation, then profile the default."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    task = _read_task(arguments)
    sides = {name: partial(_train, task, *side) for name, side in _variants(arguments).items()}
    for side in sides.values():
        side()
    runs = run_rounds(sides, arguments.repeats, arguments.data.name)
    write_runs(arguments.output, f"ablation-{arguments.data.name}", runs)
    default = next(iter(runs))
    lengths = task.rows.encoded.lengths
    print(
        f"{arguments.data.name}, {len(lengths):,} rows of {lengths.mean():.0f} tokens, "
        f"{arguments.threads} threads, {arguments.repeats} rounds"
    )
    rows = [
        {
            "side": name,
            "seconds": median_and_range(values(own, "seconds")),
            "tokens/s": f"{lengths.sum() / median(values(own, 'seconds')):,.0f}",
            "times as long": median_and_range(ratios(own, runs[default])),
        }
        for name, own in runs.items()
    ]
    print(aligned(rows))
    print(f"\nprofile of {default}:")
    print(aligned(_profile(sides[default])))


def _arguments() -> argparse.Namespace:
    parser = script_parser(__doc__)
    parser.add_argument("--backbone", required=True, metavar="SPEC")
    parser.add_argument(
        "--data", required=True, type=Path, metavar="FOLDER", help="holds train.parquet"
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="results")
    parser.add_argument("--rows", type=int, default=512, metavar="N", help="training rows")
    parser.add_argument(
        "--length", type=int, default=128, metavar="N", help="tokens after which texts are cut"
    )
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="number of rounds")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="TEXT",
        help="only sides with one of these in their names; the default always runs",
    )
    return parser.parse_args()


def _variants(arguments: argparse.Namespace) -> dict[str, tuple[TrainingSpec, Variant]]:
    """Return the sides that were asked for, the default first."""
    usual = TrainingSpec(epochs=1, max_length=arguments.length, precision=fastest_precision("cpu"))
    default = f"default ({usual.precision})"
    variants: dict[str, tuple[TrainingSpec, Variant]] = {
        default: (usual, _unchanged),
        "attention and dropout of torch": (usual, _torch_attention),
        "feed-forward compiled": (usual, _compiled),
        "one thread": (usual, _one_thread),
        "batches of 64": (replace(usual, batch_size=64), _unchanged),
        "batches of 128": (replace(usual, batch_size=128), _unchanged),
    }
    if usual.precision != "float32":
        float32 = replace(usual, precision="float32")
        variants["frozen weights cast beforehand"] = usual, _cast_weights
        variants["float32"] = float32, _unchanged
        variants["float32, attention and dropout of torch"] = float32, _torch_attention
    return {
        name: variant
        for name, variant in variants.items()
        if name == default or not arguments.only or any(text in name for text in arguments.only)
    }


# The task


@dataclass(frozen=True)
class Task:
    """A task to train."""

    backbone: Backbone
    kind: Kind
    definition: Definition
    rows: PreparedSplit
    validation: PreparedSplit


def _read_task(arguments: argparse.Namespace) -> Task:
    backbone = load_backbone(arguments.backbone)
    kind: Kind = plugins.load("kinds", "single")
    data = read_task_data(kind, TaskSpec("texts", str(arguments.data / "train.parquet")))

    def prepared(examples: Examples, rows: int) -> PreparedSplit:
        columns = sample(examples, kind.strata(examples.columns), rows, 0).columns
        encoded = kind.encode(
            backbone.tokenizer, columns, data.definition, arguments.length, labelled=True
        )
        return PreparedSplit(encoded, columns)

    rows, validation = prepared(data.train, arguments.rows), prepared(data.validation, VALIDATION)
    return Task(backbone, kind, data.definition, rows, validation)


def _train(task: Task, spec: TrainingSpec, variant: Variant) -> Run:
    model = task_model(task.backbone, task.kind, task.definition, "houlsby", {}, spec.seed)
    with variant(task.backbone):
        started = time.perf_counter()
        train(model, task.kind, task.definition, task.rows, task.validation, spec, "accuracy")
        return {"seconds": time.perf_counter() - started}


def _profile(side: Side) -> list[dict[str, str]]:
    """Return each kind of operation's share of a side's time."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        side()
    taken = dict.fromkeys([*OPERATIONS, OTHER], 0.0)
    for event in profile.key_averages():
        name = event.key.removeprefix("aten::")
        kind = next((kind for kind, names in OPERATIONS.items() if name in names), OTHER)
        taken[kind] += event.self_cpu_time_total
    whole = sum(taken.values())
    return [{"operation": kind, "share": f"{spent / whole:.0%}"} for kind, spent in taken.items()]


# Variants


def _unchanged(_backbone: Backbone) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def _torch_attention(_backbone: Backbone) -> Iterator[None]:
    def attended(*given: Any) -> list[torch.Tensor]:
        query, key, value, mask, dropout, scale = given
        attend = torch.nn.functional.scaled_dot_product_attention
        return [attend(query, key, value, mask, dropout, scale=scale)]

    with (
        patch.object(attention, "_attended", attended),
        patch.object(Dropout, "forward", torch.nn.Dropout.forward),
    ):
        yield


@contextmanager
def _cast_weights(backbone: Backbone) -> Iterator[None]:
    cast = {
        layer: (layer.weight.to(torch.bfloat16), layer.bias.to(torch.bfloat16))
        for layer in backbone.model.modules()
        if isinstance(layer, torch.nn.Linear)
    }

    def forward(layer: torch.nn.Linear, states: torch.Tensor) -> torch.Tensor:
        known = torch.is_autocast_enabled("cpu") and layer in cast
        weight, bias = cast[layer] if known else (layer.weight, layer.bias)
        return torch.nn.functional.linear(states, weight, bias)

    with patch.object(torch.nn.Linear, "forward", forward):
        yield


@contextmanager
def _compiled(backbone: Backbone) -> Iterator[None]:
    up = backbone.architecture.projections["up"].rpartition(".")[0]
    paths = [f"{backbone.layer(n)}.{up}" for n in range(backbone.identity.layers)]
    halves = [backbone.model.get_submodule(path) for path in paths]
    for half in halves:
        half.compile(dynamic=True)
    try:
        yield
    finally:
        for half in halves:
            half._compiled_call_impl = None


@contextmanager
def _one_thread(_backbone: Backbone) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
