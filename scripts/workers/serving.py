"""What every library that serves many tasks is given: padded rows, and the backbone as it is.

Runs in each of the environments.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import AutoModel, AutoTokenizer, DataCollatorWithPadding
from worker import Found, Job, medians

EVALUATION_BATCH = 64

Tensors = dict[str, torch.Tensor]


def read(job: Job) -> Any:
    """Return the texts of a job."""
    return json.loads(Path(job["texts"]).read_text(encoding="utf-8"))


def padded(job: Job, texts: Sequence[str]) -> Tensors:
    """Return one batch of some texts, padded to the longest."""
    tokenizer = AutoTokenizer.from_pretrained(job["backbone"])
    found = tokenizer(
        list(texts),
        truncation=True,
        max_length=job["max_length"],
        padding=True,
        return_tensors="pt",
    )
    return dict(found)


def bare_forward(job: Job) -> Callable[[Tensors], Any]:
    """Return what computes the backbone as transformers has it, without any task."""
    model = AutoModel.from_pretrained(job["backbone"], attn_implementation="sdpa").eval()
    return lambda batch: model(**batch)


def evaluate(job: Job, activate: Callable[[str], Any], model: Any) -> Found:
    """Evaluate one task after the other as it is usually written, and return how long it took.

    Args:
        job: see `serving_speed.py`.
        activate: puts a task on, by name.
        model: that it is put on; gives `logits`.
    """
    tokenizer = AutoTokenizer.from_pretrained(job["backbone"])
    collate = DataCollatorWithPadding(tokenizer)

    def tokenise(rows: dict[str, Any]) -> Any:
        return tokenizer(rows["text"], truncation=True, max_length=job["max_length"])

    tasks = read(job)["tasks"]
    tokenising, computing, rows, right = 0.0, 0.0, 0, 0
    lengths: list[int] = []
    for number, columns in enumerate(tasks):
        started = time.perf_counter()
        labels = [("no", "yes").index(label) for label in columns["label"]]
        encoded = Dataset.from_dict({"text": columns["text"], "label": labels}).map(
            tokenise, batched=True, remove_columns=["text"]
        )
        tokenising += time.perf_counter() - started
        started = time.perf_counter()
        activate(f"task-{number}")
        answers = []
        with torch.inference_mode():
            for batch in DataLoader(encoded, batch_size=EVALUATION_BATCH, collate_fn=collate):
                batch.pop("labels")
                answers.append(model(**batch).logits.argmax(dim=1))
        right += int((torch.cat(answers) == torch.tensor(labels)).sum())
        computing += time.perf_counter() - started
        rows += len(labels)
        lengths += [len(ids) for ids in encoded["input_ids"]]
    return sizes_of(lengths) | {
        "seconds": tokenising + computing,
        "computing": computing,
        "tasks": len(tasks),
        "right": right,
    }


def batches(job: Job, name: str) -> tuple[list[tuple[list[int], Tensors]], Found]:
    """Return rows of many tasks in batches as they come, each with its rows' tasks.

    Args:
        job: see `serving_speed.py`.
        name: of the rows, `mixed` or `uneven`.

    Returns:
        the batches, in each of them the rows by task, and how large all is.
    """
    rows = read(job)[name]
    found, lengths = [], []
    for texts, tasks in _pieces(rows["text"], rows["task"]):
        order = np.argsort(tasks, kind="stable")
        batch = padded(job, [texts[row] for row in order])
        found.append(([tasks[row] for row in order], batch))
        lengths += batch["attention_mask"].sum(dim=1).tolist()
    return found, sizes_of(lengths)


def one_after_another(job: Job, compute: Callable[[list[int], Tensors], Any]) -> Found:
    """Compute rows of uneven length and many tasks, in batches as they come.

    Args:
        job: see `serving_speed.py`.
        compute: a batch, given the task of each of its rows.
    """
    found, sizes = batches(job, "uneven")

    def everything() -> None:
        for tasks, batch in found:
            compute(tasks, batch)

    return sizes | {"seconds": medians({"it": everything}, job["times"])["it"]}


def beside_bare(taken: Mapping[str, float]) -> Found:
    """Return how long a mixed batch takes, and how many times as long as the bare backbone."""
    return {
        "seconds": taken["mixed"],
        "bare": taken["bare"],
        "times_bare": taken["mixed"] / taken["bare"],
    }


def switched(job: Job, activate: Callable[[str], Any], model: Any) -> Found:
    """Compute one text with the same task again and again, and with another each time.

    Args:
        job: see `serving_speed.py`.
        activate: puts a task on, by name.
        model: that it is put on.
    """
    ((_, batch),), _ = batches(job, "mixed")
    one = {key: tensor[:1] for key, tensor in batch.items()}
    names = cycle([f"task-{number}" for number in range(job["tasks"])])

    def another() -> None:
        activate(next(names))
        model(**one)

    taken = medians({"same": lambda: model(**one), "another": another}, 100)
    return {
        "loaded": job["tasks"],
        "seconds": taken["another"] - taken["same"],
        "compute": taken["same"],
    }


def _pieces(texts: list[str], tasks: list[int]) -> Iterator[tuple[list[str], list[int]]]:
    for start in range(0, len(texts), EVALUATION_BATCH):
        chosen = slice(start, start + EVALUATION_BATCH)
        yield texts[chosen], tasks[chosen]


def sizes_of(lengths: list[int]) -> Found:
    """Return how large some inputs are, from their lengths in tokens."""
    return {
        "rows": len(lengths),
        "tokens": sum(lengths),
        "squares": sum(length**2 for length in lengths),
    }
