"""Trains low-rank updates of the query and value projections with `peft`.

It uses the sequence classifier of transformers, whose head is on the pooler; taskbank's is on the
mean over all tokens.
"""

from __future__ import annotations

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, Trainer

from scripts.benchmarks.workers.transformers_training import train
from scripts.benchmarks.workers.worker import Job, Run, answer_with_torch


def work(job: Job) -> Run:
    """Train and score one task."""
    torch.manual_seed(job["seed"])
    model = AutoModelForSequenceClassification.from_pretrained(
        job["backbone"], num_labels=job["classes"]
    )
    config = LoraConfig(
        task_type="SEQ_CLS", r=job["rank"], lora_alpha=16, target_modules=["query", "value"]
    )
    return train(get_peft_model(model, config), Trainer, job)


if __name__ == "__main__":
    answer_with_torch(work)
