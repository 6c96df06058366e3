"""Trains a double bottleneck with `adapters`.

With a head of one linear layer on the first token's state, as `adapters` has it; taskbank's is on
the mean of all.
"""

from __future__ import annotations

import torch
from adapters import AdapterTrainer, AutoAdapterModel, DoubleSeqBnConfig
from trainer import train
from worker import Found, Job, answer


def work(job: Job) -> Found:
    """Train and score one task."""
    torch.manual_seed(job["seed"])
    model = AutoAdapterModel.from_pretrained(job["backbone"])
    reduction = model.config.hidden_size / job["size"]
    model.add_adapter("task", config=DoubleSeqBnConfig(reduction_factor=reduction))
    model.add_classification_head("task", num_labels=job["classes"], layers=1)
    model.train_adapter("task")
    return train(model, AdapterTrainer, job)


if __name__ == "__main__":
    answer(work)
