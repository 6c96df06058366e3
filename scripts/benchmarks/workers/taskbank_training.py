"""Trains a task with taskbank, through the functions that its pipeline calls."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from scripts.benchmarks.workers.worker import Job, Run, answer_with_torch
from taskbank import plugins
from taskbank.backbone.load import load_backbone
from taskbank.model.predict import outputs_and_loss, predict_examples
from taskbank.model.task_model import task_model
from taskbank.specs import TrainingSpec
from taskbank.training.loop import train
from taskbank.training.prepared import PreparedSplit


def work(job: Job) -> Run:
    """Train and score one task.

    Training chooses its epoch on a few validation rows; the peers choose none, so the time spent
    on validation is subtracted.
    """
    data: Any = json.loads(Path(job["texts"]).read_text(encoding="utf-8"))
    backbone = load_backbone(job["backbone"])
    kind = plugins.load("kinds", "single")
    definition = kind.define(data["train"], "train", {})
    fields = ("epochs", "learning_rate", "batch_size", "max_length", "seed", "precision")
    spec = TrainingSpec(**{name: job[name] for name in fields})
    options = {"layers": job["layers"]}
    options |= {"size": job["size"]} if job["method"] == "houlsby" else {"rank": job["rank"]}
    model = task_model(backbone, kind, definition, job["method"], options, spec.seed)

    def prepared(split: str) -> PreparedSplit:
        columns = {name: tuple(values) for name, values in data[split].items()}
        encoded = kind.encode(
            backbone.tokenizer, columns, definition, spec.max_length, labelled=True
        )
        return PreparedSplit(encoded, columns)

    started = time.perf_counter()
    rows = prepared("train")
    tokenizing = time.perf_counter() - started
    validation = prepared("validation")
    validating: list[float] = []

    def timed_outputs_and_loss(*given: Any) -> Any:
        before = time.perf_counter()
        result = outputs_and_loss(*given)
        validating.append(time.perf_counter() - before)
        return result

    with patch("taskbank.training.loop.outputs_and_loss", timed_outputs_and_loss):
        started = time.perf_counter()
        train(model, kind, definition, rows, validation, spec, "accuracy")
        taken = time.perf_counter() - started - sum(validating)
    test = prepared("test")
    logits = predict_examples(model, kind, test.encoded)
    predicted = np.array(definition.labels)[logits.argmax(axis=1)]
    lengths = rows.encoded.lengths
    return {
        "seconds": taken,
        "tokenizing": tokenizing,
        "validating": sum(validating),
        "rows": len(lengths),
        "tokens": int(lengths.sum()),
        "squares": int((lengths**2).sum()),
        "steps": spec.epochs * -(-len(lengths) // spec.batch_size),
        "parameters": sum(tensor.numel() for tensor in model.trained_tensors().values()),
        "scored": len(logits),
        "accuracy": float((predicted == np.array(test.columns["label"])).mean()),
    }


if __name__ == "__main__":
    answer_with_torch(work)
