"""Trains a peer's model with the Trainer of transformers, as the peers' documentation does.

The texts are tokenized once with `datasets.map` and padded per batch by `DataCollatorWithPadding`.
The Trainer keeps its defaults, except for what both sides must have in common (learning rate,
epochs, batch size, seed); it does not log, save or evaluate during training.
"""

from __future__ import annotations

import json
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import AutoTokenizer, DataCollatorWithPadding, TrainingArguments

from scripts.benchmarks.workers.worker import Job, Run


def train(model: Any, trainer_class: Any, job: Job) -> Run:
    """Train a model, and score it on the test split.

    Args:
        model: with a classification head; the trainable parameters are trained.
        trainer_class: `Trainer` or a subclass.
        job: see `training_speed.py`.
    """
    data: Any = json.loads(Path(job["texts"]).read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(job["backbone"])

    def encoded(split: str) -> Any:
        columns = {
            "text": data[split]["text"],
            "label": [data["labels"].index(label) for label in data[split]["label"]],
        }
        return Dataset.from_dict(columns).map(
            lambda rows: tokenizer(rows["text"], truncation=True, max_length=job["max_length"]),
            batched=True,
            remove_columns=["text"],
        )

    started = time.perf_counter()
    rows = encoded("train")
    tokenizing = time.perf_counter() - started
    lengths = np.array([len(ids) for ids in rows["input_ids"]])
    trainer = trainer_class(
        model=model,
        args=_arguments(job),
        train_dataset=rows,
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    started = time.perf_counter()
    outcome = trainer.train()
    taken = time.perf_counter() - started
    test = encoded("test")
    predicted = trainer.predict(test).predictions.argmax(axis=1)
    return {
        "seconds": taken,
        "tokenizing": tokenizing,
        "rows": len(rows),
        "tokens": int(lengths.sum()),
        "squares": int((lengths**2).sum()),
        "steps": outcome.global_step,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "scored": len(test),
        "accuracy": float((predicted == np.array(test["label"])).mean()),
    }


def _arguments(job: Job) -> Any:
    grouped: dict[str, Any] = {}
    if job["grouped"]:  # the option's name depends on the version of transformers
        older = "group_by_length" in {field.name for field in fields(TrainingArguments)}
        grouped = (
            {"group_by_length": True} if older else {"train_sampling_strategy": "group_by_length"}
        )
    return TrainingArguments(
        output_dir=job["folder"],
        per_device_train_batch_size=job["batch_size"],
        per_device_eval_batch_size=64,
        learning_rate=job["learning_rate"],
        num_train_epochs=job["epochs"],
        seed=job["seed"],
        bf16=job["precision"] == "bfloat16",
        use_cpu=True,
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **grouped,
    )
