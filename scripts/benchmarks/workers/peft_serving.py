"""Serves many tasks with `peft`: low-rank updates, mixed in a batch by `adapter_names`."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification

from scripts.benchmarks.workers.transformers_serving import Served, Tensors, serve
from scripts.benchmarks.workers.worker import Job


def load(job: Job) -> Served:
    """Return a model with untrained tasks, each with different weights."""
    torch.manual_seed(0)
    base = AutoModelForSequenceClassification.from_pretrained(job["backbone"], num_labels=2)
    config = LoraConfig(
        task_type="SEQ_CLS",
        r=job["rank"],
        lora_alpha=16,
        target_modules=["query", "value"],
        init_lora_weights=False,  # the usual initial weights change no output
    )
    model = get_peft_model(base, config, adapter_name="task-0")
    for number in range(1, job["tasks"]):
        model.add_adapter(f"task-{number}", config)

    def mix(tasks: list[int], batch: Tensors) -> Any:
        return model(**batch, adapter_names=[f"task-{task}" for task in tasks])

    return Served(model.eval(), model.set_adapter, mix, lambda output: output.logits)


if __name__ == "__main__":
    serve(load, separate=True)
