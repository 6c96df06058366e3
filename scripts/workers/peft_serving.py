"""Serves many tasks with `peft`: low-rank updates, one at a time or by `adapter_names`."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from serving import (
    Tensors,
    bare_forward,
    batches,
    beside_bare,
    evaluate,
    one_after_another,
    switched,
)
from transformers import AutoModelForSequenceClassification
from worker import Found, Job, answer, medians


def evaluation(job: Job) -> Found:
    """Evaluate one task after the other."""
    model = _model(job, job["tasks"])
    return evaluate(job, model.set_adapter, model)


@torch.inference_mode()
def mixed(job: Job) -> Found:
    """Compute a batch of rows of many tasks at once, and task by task."""
    model = _model(job, job["tasks"])
    ((tasks, batch),), sizes = batches(job, "mixed")
    bare = bare_forward(job)
    turns = [
        (
            f"task-{task}",
            {key: t[[i for i, one in enumerate(tasks) if one == task]] for key, t in batch.items()},
        )
        for task in sorted(set(tasks))
    ]

    def separate() -> list[torch.Tensor]:
        return [_alone(model, *turn) for turn in turns]

    together = _mix(model, tasks, batch).logits
    if not torch.allclose(together, torch.cat(separate()), 1e-3, 1e-4):
        raise SystemExit("a mixed batch does not give what each task gives alone")
    taken = medians(
        {
            "bare": lambda: bare(batch),
            "mixed": lambda: _mix(model, tasks, batch),
            "separate": separate,
        },
        job["times"],
    )
    return (
        sizes
        | beside_bare(taken)
        | {
            "separate": taken["separate"],
            "separate_times_bare": taken["separate"] / taken["bare"],
        }
    )


@torch.inference_mode()
def uneven(job: Job) -> Found:
    """Compute rows of uneven length and many tasks; see `one_after_another`."""
    model = _model(job, job["tasks"])
    return one_after_another(job, lambda tasks, batch: _mix(model, tasks, batch))


@torch.inference_mode()
def switch(job: Job) -> Found:
    """Compute one text with one of many loaded tasks, again and again, and with another each."""
    model = _model(job, job["tasks"])
    return switched(job, model.set_adapter, model)


def _mix(model: Any, tasks: list[int], batch: Tensors) -> Any:
    """Return the outputs of a batch, each row by its task."""
    return model(**batch, adapter_names=[f"task-{task}" for task in tasks])


def _alone(model: Any, name: str, batch: Tensors) -> torch.Tensor:
    model.set_adapter(name)
    logits: torch.Tensor = model(**batch).logits
    return logits


def _model(job: Job, tasks: int) -> Any:
    """Return the model with so many tasks, each with weights of its own."""
    torch.manual_seed(0)
    base = AutoModelForSequenceClassification.from_pretrained(job["backbone"], num_labels=2)
    config = LoraConfig(
        task_type="SEQ_CLS",
        r=job["rank"],
        lora_alpha=16,
        target_modules=["query", "value"],
        init_lora_weights=False,  # else none of them changes anything
    )
    model = get_peft_model(base, config, adapter_name="task-0")
    for number in range(1, tasks):
        model.add_adapter(f"task-{number}", config)
    return model.eval()


PARTS = {"evaluation": evaluation, "mixed": mixed, "uneven": uneven, "switch": switch}


if __name__ == "__main__":
    answer(lambda job: PARTS[job["part"]](job))
