"""Serves many tasks with `adapters`: double bottlenecks, mixed in a batch by `BatchSplit`."""

from __future__ import annotations

from typing import Any

import torch
from adapters import AutoAdapterModel, DoubleSeqBnConfig
from adapters.composition import BatchSplit

from scripts.benchmarks.workers.transformers_serving import Served, Tensors, serve
from scripts.benchmarks.workers.worker import Job


def load(job: Job) -> Served:
    """Return a model with untrained tasks, each with different weights."""
    torch.manual_seed(0)
    model = AutoAdapterModel.from_pretrained(job["backbone"])
    reduction = model.config.hidden_size / job["size"]
    for number in range(job["tasks"]):
        name = f"task-{number}"
        model.add_adapter(name, config=DoubleSeqBnConfig(reduction_factor=reduction))
        model.add_classification_head(name, num_labels=2, layers=1)
    model.set_active_adapters("task-0")

    def mix(tasks: list[int], batch: Tensors) -> Any:
        present = sorted(set(tasks))
        names = [f"task-{task}" for task in present]
        sizes = [tasks.count(task) for task in present]
        model.active_adapters = BatchSplit(*names, batch_sizes=sizes)
        return model(**batch).head_outputs  # one output per task

    return Served(
        model.eval(),
        model.set_active_adapters,
        mix,
        lambda outputs: torch.cat([one.logits for one in outputs]),
    )


if __name__ == "__main__":
    serve(load)
