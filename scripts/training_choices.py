"""What training on a CPU does, beside what it could do: one choice at a time, all else the same.

    python scripts/training_choices.py --backbone SPEC --data FOLDER --output FOLDER
        [--rows N] [--length N] [--repeats N] [--threads N] [--only TEXT ...]

FOLDER of the data holds `train.parquet`. Each side trains the same new task for one epoch, in turn,
in one process that was warm before. Printed is how long each takes, and how many times as long as
what taskbank does where nothing is said. Larger batches are there for what several trials in one
pass could gain at most: the same products on as many rows at once. Then: where the time goes.
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
from side_by_side import Found, in_turn, ratios, shown, table, values, write

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
from taskbank.runtime.device import usual_precision
from taskbank.specs import TrainingSpec
from taskbank.training.loop import train
from taskbank.training.prepared import Prepared
from taskbank.training.task_data import Sources, read_task_data

VALIDATION = 8  # rows; an epoch ends with a score
WORK = {
    "matrix products": ("mm", "addmm", "bmm"),
    "copies, casts, gathering": ("copy_", "cat", "index_select", "fill_"),
    "additions, factors": ("add", "add_", "mul", "mul_", "sum"),
    "activation": ("gelu", "gelu_backward"),
    "softmax": ("_softmax", "_softmax_backward_data"),
    "LayerNorm": ("native_layer_norm", "native_layer_norm_backward"),
    "dropout, attention besides": (
        "_Dropped",
        "_DroppedBackward",
        "_Attention",
        "_AttentionBackward",
    ),
}


@dataclass(frozen=True)
class Task:
    """What is trained."""

    backbone: Backbone
    kind: Kind
    definition: Definition
    rows: Prepared
    validation: Prepared


Chosen = Callable[[Backbone], AbstractContextManager[None]]


def main() -> None:
    """Time every side in turn."""
    given = _arguments()
    torch.set_num_threads(given.threads)
    task = _task(given)
    usual = TrainingSpec(epochs=1, max_length=given.length, precision=usual_precision("cpu"))
    sides: dict[str, tuple[TrainingSpec, Chosen]] = {
        f"as it is ({usual.precision})": (usual, lambda _: nullcontext()),
        "attention and dropout of torch": (usual, _of_torch),
        "feed-forward compiled": (usual, _compiled),
        "one thread": (usual, _one_thread),
        "batches of 64": (replace(usual, batch_size=64), lambda _: nullcontext()),
        "batches of 128": (replace(usual, batch_size=128), lambda _: nullcontext()),
    }
    if usual.precision != "float32":
        plain = replace(usual, precision="float32")
        sides["frozen weights cast beforehand"] = usual, _cast
        sides["float32"] = plain, lambda _: nullcontext()
        sides["in float32, attention and dropout of torch"] = plain, _of_torch
    wanted = {
        name: partial(_trained, task, spec, chosen)
        for name, (spec, chosen) in sides.items()
        if not given.only or any(text in name for text in given.only) or name == next(iter(sides))
    }
    for side in wanted.values():
        side()
    found = in_turn(wanted, given.repeats, given.data.name)
    write(given.output, f"choices-{given.data.name}", found)
    first = next(iter(found))
    lengths = task.rows.encoded.lengths
    print(
        f"{given.data.name}, {len(lengths):,} rows of {lengths.mean():.0f} tokens, "
        f"{given.threads} threads, {given.repeats} runs each"
    )
    print(
        table(
            [
                {
                    "side": name,
                    "seconds": shown(values(runs, "seconds")),
                    "tokens/s": f"{lengths.sum() / median(values(runs, 'seconds')):,.0f}",
                    "times as long": shown(ratios(runs, found[first])),
                }
                for name, runs in found.items()
            ]
        )
    )
    print(f"\nwhere the time goes, {first}:")
    print(table(_profile(wanted[first])))


def _profile(side: Callable[[], Found]) -> list[dict[str, str]]:
    """Return the shares of what is computed of a side's time."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        side()
    taken = dict.fromkeys([*WORK, "the rest, and Python"], 0.0)
    for one in profile.key_averages():
        name = one.key.removeprefix("aten::")
        which = next((work for work, names in WORK.items() if name in names), None)
        taken[which or "the rest, and Python"] += one.self_cpu_time_total
    whole = sum(taken.values())
    return [{"work": work, "share": f"{spent / whole:.0%}"} for work, spent in taken.items()]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--backbone", required=True, metavar="SPEC")
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--rows", type=int, default=512, metavar="N")
    parser.add_argument("--length", type=int, default=128, metavar="N")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument("--only", nargs="+", default=[], metavar="TEXT", help="parts of sides")
    return parser.parse_args()


def _task(given: argparse.Namespace) -> Task:
    backbone = load_backbone(given.backbone)
    kind: Kind = plugins.load("kinds", "single")
    data = read_task_data(kind, Sources(str(given.data / "train.parquet")), {}, seed=0)

    def prepared(examples: Examples, rows: int) -> Prepared:
        columns = sample(examples, kind.strata(examples.columns), rows, 0).columns
        encoded = kind.encode(
            backbone.tokenizer, columns, data.definition, given.length, labelled=True
        )
        return Prepared(encoded, columns)

    rows, validation = prepared(data.train, given.rows), prepared(data.validation, VALIDATION)
    return Task(backbone, kind, data.definition, rows, validation)


def _trained(task: Task, spec: TrainingSpec, chosen: Chosen) -> Found:
    model = task_model(task.backbone, task.kind, task.definition, "houlsby", {}, spec.seed)
    with chosen(task.backbone):
        started = time.perf_counter()
        train(model, task.kind, task.definition, task.rows, task.validation, spec, "accuracy")
        return {"seconds": time.perf_counter() - started}


# Choices


@contextmanager
def _of_torch(backbone: Backbone) -> Iterator[None]:
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
def _cast(backbone: Backbone) -> Iterator[None]:
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
def _one_thread(backbone: Backbone) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
