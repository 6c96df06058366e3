"""Trains low-rank updates of queries and values with `peft`.

On the model for classes that transformers has, whose head is on the pooler; taskbank's is on the
mean of all tokens.
"""

from __future__ import annotations

import torch
from peft import LoraConfig, get_peft_model
from trainer import train
from transformers import AutoModelForSequenceClassification, Trainer
from worker import Found, Job, answer


def work(job: Job) -> Found:
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
    answer(work)
