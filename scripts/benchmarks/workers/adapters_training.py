"""Trains a double bottleneck with `adapters`.

Its classification head is one linear layer on the first token's state; taskbank's is on the mean
over all tokens.
"""

from __future__ import annotations

import torch
from adapters import AdapterTrainer, AutoAdapterModel, DoubleSeqBnConfig

from scripts.benchmarks.workers.transformers_training import train
from scripts.benchmarks.workers.worker import Job, Run, answer_with_torch


def work(job: Job) -> Run:
    """Train and score one task."""
    torch.manual_seed(job["seed"])
    model = AutoAdapterModel.from_pretrained(job["backbone"])
    reduction = model.config.hidden_size / job["size"]
    model.add_adapter("task", config=DoubleSeqBnConfig(reduction_factor=reduction))
    model.add_classification_head("task", num_labels=job["classes"], layers=1)
    model.train_adapter("task")
    return train(model, AdapterTrainer, job)


if __name__ == "__main__":
    answer_with_torch(work)
