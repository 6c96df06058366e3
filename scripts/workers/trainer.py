"""Trains a model of transformers with its Trainer, as the documentation of the peers has it.

Runs in the environments of `adapters` and of `peft`. Tokenised once with `datasets.map`, padded in
each batch by `DataCollatorWithPadding`; of the Trainer, all is at its defaults but what both sides
must have in common (rate, epochs, batch, seed), and that nothing is logged, saved or evaluated in
the meantime.
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
from worker import Found, Job


def train(model: Any, trainer: Any, job: Job) -> Found:
    """Train a model, and score it on the test split.

    Args:
        model: with a head for classes; what is to be trained is trainable.
        trainer: the class to train it with.
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
    tokenising = time.perf_counter() - started
    lengths = np.array([len(ids) for ids in rows["input_ids"]])
    running = trainer(
        model=model,
        args=_arguments(job),
        train_dataset=rows,
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    started = time.perf_counter()
    done = running.train()
    taken = time.perf_counter() - started
    test = encoded("test")
    answers = running.predict(test).predictions.argmax(axis=1)
    return {
        "seconds": taken,
        "tokenising": tokenising,
        "rows": len(rows),
        "tokens": int(lengths.sum()),
        "squares": int((lengths**2).sum()),
        "steps": done.global_step,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "scored": len(test),
        "accuracy": float((answers == np.array(test["label"])).mean()),
    }


def _arguments(job: Job) -> Any:
    grouped: dict[str, Any] = {}
    if job["grouped"]:
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
