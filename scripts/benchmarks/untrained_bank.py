"""Banks of untrained tasks on a real encoder, each with adapters of its own, made in milliseconds.

The tasks predict nothing sensible, but compute and load exactly as trained ones do.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save
from safetensors.torch import save as save_tensors
from tqdm import tqdm

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter, NewSplit
from taskbank.bank.open import create_bank
from taskbank.data.examples import Examples
from taskbank.digests import Json
from taskbank.kinds.definition import Definition
from taskbank.kinds.single import SINGLE
from taskbank.model.task_model import task_model
from taskbank.specs import MethodSpec, TrainingSpec
from taskbank.training.evaluation import measure

ROWS = 4  # examples of the only split
MOVED = 0.02  # standard deviation of what is added to the initial values
DEFINITION = Definition(("bad", "good"))


def task_name(number: int) -> str:
    """Return the name of a task."""
    return f"task-{number:05}"


def make_bank(path: Path, spec: str, tasks: int, method: str = "houlsby", **options: Json) -> Bank:
    """Create a bank of untrained tasks, or open the one that is there.

    Args:
        path: the bank's file.
        spec: the encoder.
        tasks: number of tasks.
        method: their method.
        options: the method's options.
    """
    existed = path.exists()
    bank = create_bank(path)
    if existed and len(bank) >= tasks:
        return bank
    backbone = load_backbone(spec, "cpu")
    for number in tqdm(range(len(bank), tasks), "tasks", leave=False, disable=None):
        add_untrained(bank, backbone, task_name(number), number, method, options)
    return bank


def add_untrained(
    bank: Bank,
    backbone: Backbone,
    name: str,
    seed: int,
    method: str = "houlsby",
    options: Mapping[str, Json] = {},
) -> None:
    """Record a version of an untrained task.

    Args:
        bank: the bank.
        backbone: its encoder.
        name: the task's name.
        seed: the source of its values.
        method: its method.
        options: the method's options.
    """
    model = task_model(backbone, SINGLE, DEFINITION, method, options, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        tensor_name: (tensor + MOVED * torch.randn(tensor.shape, generator=generator)).contiguous()
        for tensor_name, tensor in model.trained_tensors().items()
    }
    texts = tuple(f"text {seed} {number}" for number in range(ROWS))
    examples = Examples({"text": texts, "label": ("bad", "good") * (ROWS // 2)}, "test.csv")
    logits = np.zeros((ROWS, 2), dtype=np.float32)
    metrics = tuple(measure(SINGLE, "test", logits, examples.columns, DEFINITION))
    stored = examples.to_bytes(), save({"logits": logits})
    split = NewSplit("test", "test.csv", ROWS, *stored, ())
    chosen = plugins.load("methods", method)
    bank.put(
        NewAdapter(
            task=name,
            kind="single",
            backbone=backbone.identity,
            method=MethodSpec(method, chosen.complete(options)),
            training=TrainingSpec(),
            definition=DEFINITION,
            metric="accuracy",
            split="test",
            metrics=metrics,
            splits=(split,),
            parameters=sum(tensor.numel() for tensor in tensors.values()),
            weights=save_tensors(tensors),
            environment={},
            course={},
            request=None,
            description="",
            tags={},
        ),
        new_version=True,
    )
