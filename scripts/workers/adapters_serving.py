"""Serves many tasks with `adapters`: double bottlenecks, one at a time or by `BatchSplit`."""

from __future__ import annotations

from typing import Any

import torch
from adapters import AutoAdapterModel, DoubleSeqBnConfig
from adapters.composition import BatchSplit
from serving import (
    Tensors,
    bare_forward,
    batches,
    beside_bare,
    evaluate,
    one_after_another,
    switched,
)
from worker import Found, Job, answer, medians


def evaluation(job: Job) -> Found:
    """Evaluate one task after the other."""
    model = _model(job, job["tasks"])
    return evaluate(job, model.set_active_adapters, model)


@torch.inference_mode()
def mixed(job: Job) -> Found:
    """Compute a batch of rows of many tasks at once."""
    model = _model(job, job["tasks"])
    ((tasks, batch),), sizes = batches(job, "mixed")
    bare = bare_forward(job)
    together = torch.cat([one.logits for one in _split(model, tasks, batch)])
    alone = torch.cat(
        [
            _alone(model, f"task-{task}", {key: t[row : row + 1] for key, t in batch.items()})
            for row, task in enumerate(tasks)
        ]
    )
    if not torch.allclose(together, alone, 1e-3, 1e-4):
        raise SystemExit("a mixed batch does not give what each row gives alone")
    taken = medians(
        {"bare": lambda: bare(batch), "mixed": lambda: _split(model, tasks, batch)}, job["times"]
    )
    return sizes | beside_bare(taken)


@torch.inference_mode()
def uneven(job: Job) -> Found:
    """Compute rows of uneven length and many tasks; see `one_after_another`."""
    model = _model(job, job["tasks"])
    return one_after_another(job, lambda tasks, batch: _split(model, tasks, batch))


@torch.inference_mode()
def switch(job: Job) -> Found:
    """Compute one text with one of many loaded tasks, again and again, and with another each."""
    model = _model(job, job["tasks"])
    return switched(job, model.set_active_adapters, model)


def _split(model: Any, tasks: list[int], batch: Tensors) -> Any:
    """Return the outputs of a batch whose rows are by task, one a task."""
    there = sorted(set(tasks))
    names = [f"task-{task}" for task in there]
    model.active_adapters = BatchSplit(*names, batch_sizes=[tasks.count(task) for task in there])
    return model(**batch).head_outputs


def _alone(model: Any, name: str, batch: Tensors) -> torch.Tensor:
    model.set_active_adapters(name)
    logits: torch.Tensor = model(**batch).logits
    return logits


def _model(job: Job, tasks: int) -> Any:
    """Return the model with so many tasks, each with weights of its own."""
    torch.manual_seed(0)
    model = AutoAdapterModel.from_pretrained(job["backbone"])
    reduction = model.config.hidden_size / job["size"]
    for number in range(tasks):
        name = f"task-{number}"
        model.add_adapter(name, config=DoubleSeqBnConfig(reduction_factor=reduction))
        model.add_classification_head(name, num_labels=2, layers=1)
    model.set_active_adapters("task-0")
    return model.eval()


PARTS = {"evaluation": evaluation, "mixed": mixed, "uneven": uneven, "switch": switch}


if __name__ == "__main__":
    answer(lambda job: PARTS[job["part"]](job))
