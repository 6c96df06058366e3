"""Trains SetFit on a few rows of each class and scores it, in an environment of its own.

SetFit's own settings: one epoch over 20 pairs of each kind for every row, in batches of 16, then
logistic regression.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from scripts.benchmarks.workers.worker import Job, Run, answer_with_torch


def train(job: Job) -> Run:
    """Return the accuracy on the test rows and the seconds that training took."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from setfit import SetFitModel, Trainer, TrainingArguments
    from sklearn.linear_model import LogisticRegression

    rows = {
        name: [json.loads(line) for line in Path(job[name]).read_text().splitlines()]
        for name in ("train", "test")
    }
    labels = sorted({row["label"] for row in rows["train"]})
    body = SentenceTransformer(job["backbone"], device="cpu")
    body.max_seq_length = job["max_length"]
    model = SetFitModel(model_body=body, model_head=LogisticRegression())
    arguments = TrainingArguments(
        output_dir=job["scratch"],
        batch_size=16,
        num_epochs=1,
        num_iterations=20,
        seed=job["seed"],
        report_to="none",
        save_strategy="no",
        show_progress_bar=False,
    )
    examples = {
        "text": [row["text"] for row in rows["train"]],
        "label": [labels.index(row["label"]) for row in rows["train"]],
    }
    trainer = Trainer(model=model, args=arguments, train_dataset=Dataset.from_dict(examples))
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    found = model.predict([row["text"] for row in rows["test"]], show_progress_bar=False)
    right = [labels[int(one)] == row["label"] for one, row in zip(found, rows["test"], strict=True)]
    return {"accuracy": sum(right) / len(right), "seconds": seconds}


if __name__ == "__main__":
    answer_with_torch(train)
