"""Serves many tasks with a library on top of transformers: what `adapters` and `peft` share.

The parts of `serving_speed.py` for a peer, and the inputs, which taskbank's side takes as well.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import AutoModel, AutoTokenizer, DataCollatorWithPadding

from scripts.benchmarks.workers.worker import Job, Run, answer_part, medians

BATCH = 64
SWITCHES = 100  # timed repetitions

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Served:
    """A peer's model with many tasks.

    Attributes:
        model: called with a batch, gives `logits` of the active task.
        activate: makes a task the active one, by its name.
        mix: computes a batch of many tasks, given the task of each row, in task order.
        logits: the logits in what `mix` returns, rows x classes.
    """

    model: Any
    activate: Callable[[str], Any]
    mix: Callable[[list[int], Tensors], Any]
    logits: Callable[[Any], torch.Tensor]


def serve(load: Callable[[Job], Served], *, separate: bool = False) -> None:
    """Do the part that a job names.

    Args:
        load: loads the model with a job's tasks.
        separate: whether the part `mixed` also times one task at a time.
    """
    answer_part(
        {
            "evaluation": lambda job: evaluation(job, load(job)),
            "mixed": lambda job: mixed(job, load(job), separate=separate),
            "uneven": lambda job: uneven(job, load(job)),
            "switch": lambda job: switch(job, load(job)),
        }
    )


# The parts


def evaluation(job: Job, served: Served) -> Run:
    """Evaluate one task after the other, with a DataLoader each, as a user would."""
    tokenizer = AutoTokenizer.from_pretrained(job["backbone"])
    collate = DataCollatorWithPadding(tokenizer)

    def tokenize(rows: dict[str, Any]) -> Any:
        return tokenizer(rows["text"], truncation=True, max_length=job["max_length"])

    tasks = read_texts(job)["tasks"]
    tokenizing, computing, correct = 0.0, 0.0, 0
    lengths: list[int] = []
    for number, columns in enumerate(tasks):
        started = time.perf_counter()
        labels = [("no", "yes").index(label) for label in columns["label"]]
        encoded = Dataset.from_dict({"text": columns["text"], "label": labels}).map(
            tokenize, batched=True, remove_columns=["text"]
        )
        tokenizing += time.perf_counter() - started
        started = time.perf_counter()
        served.activate(f"task-{number}")
        predicted = []
        with torch.inference_mode():
            for batch in DataLoader(encoded, batch_size=BATCH, collate_fn=collate):
                batch.pop("labels")
                predicted.append(served.model(**batch).logits.argmax(dim=1))
        correct += int((torch.cat(predicted) == torch.tensor(labels)).sum())
        computing += time.perf_counter() - started
        lengths += [len(ids) for ids in encoded["input_ids"]]
    return input_size(lengths) | {
        "seconds": tokenizing + computing,
        "computing": computing,
        "tasks": len(tasks),
        "correct": correct,
    }


@torch.inference_mode()
def mixed(job: Job, served: Served, *, separate: bool) -> Run:
    """Compute one batch of rows of many tasks; compare it with one task at a time."""
    ((tasks, batch),), size = mixed_batches(job, "mixed")
    bare = bare_forward(job)
    rows_of = {task: [i for i, one in enumerate(tasks) if one == task] for task in set(tasks)}

    def one_at_a_time() -> list[torch.Tensor]:
        logits = []
        for task, rows in sorted(rows_of.items()):
            served.activate(f"task-{task}")
            own = {key: tensor[rows] for key, tensor in batch.items()}
            logits.append(served.model(**own).logits)
        return logits

    together = served.logits(served.mix(tasks, batch))
    if not torch.allclose(together, torch.cat(one_at_a_time()), 1e-3, 1e-4):
        raise SystemExit("a mixed batch gives other logits than one task at a time")
    calls: dict[str, Callable[[], Any]] = {
        "bare": lambda: bare(batch),
        "mixed": lambda: served.mix(tasks, batch),
    }
    if separate:
        calls["separate"] = one_at_a_time
    taken = medians(calls, job["times"])
    run = size | compared_with_bare(taken)
    if separate:
        run["separate"] = taken["separate"]
        run["separate_times_bare"] = taken["separate"] / taken["bare"]
    return run


@torch.inference_mode()
def uneven(job: Job, served: Served) -> Run:
    """Compute rows of uneven length and many tasks, in batches in the order given."""
    batches, size = mixed_batches(job, "uneven")

    def compute_all() -> None:
        for tasks, batch in batches:
            served.mix(tasks, batch)

    return size | {"seconds": medians({"all": compute_all}, job["times"])["all"]}


@torch.inference_mode()
def switch(job: Job, served: Served) -> Run:
    """Compute one text with the same task repeatedly, and with another task each time."""
    ((_, batch),), _ = mixed_batches(job, "mixed")
    text = {key: tensor[:1] for key, tensor in batch.items()}
    names = cycle([f"task-{number}" for number in range(job["tasks"])])

    def another() -> None:
        served.activate(next(names))
        served.model(**text)

    taken = medians({"same": lambda: served.model(**text), "another": another}, SWITCHES)
    return {
        "loaded": job["tasks"],
        "seconds": taken["another"] - taken["same"],
        "compute": taken["same"],
    }


# Inputs


def read_texts(job: Job) -> Any:
    """Return the texts of a job."""
    return json.loads(Path(job["texts"]).read_text(encoding="utf-8"))


def padded_batch(job: Job, texts: Sequence[str]) -> Tensors:
    """Return some texts as one batch, padded to the longest."""
    tokenizer = AutoTokenizer.from_pretrained(job["backbone"])
    encoded = tokenizer(
        list(texts),
        truncation=True,
        max_length=job["max_length"],
        padding=True,
        return_tensors="pt",
    )
    return dict(encoded)


def mixed_batches(job: Job, name: str) -> tuple[list[tuple[list[int], Tensors]], Run]:
    """Return rows of many tasks in batches in the order given.

    Args:
        job: see `serving_speed.py`.
        name: `mixed` or `uneven`.

    Returns:
        the batches, each with its rows in task order and the task of each row; the input's size.
    """
    rows = read_texts(job)[name]
    batches, lengths = [], []
    for start in range(0, len(rows["text"]), BATCH):
        texts, tasks = (rows[key][start : start + BATCH] for key in ("text", "task"))
        order = np.argsort(tasks, kind="stable")
        batch = padded_batch(job, [texts[row] for row in order])
        batches.append(([tasks[row] for row in order], batch))
        lengths += batch["attention_mask"].sum(dim=1).tolist()
    return batches, input_size(lengths)


def input_size(lengths: Sequence[int]) -> Run:
    """Return the size of some inputs, given their lengths in tokens."""
    return {
        "rows": len(lengths),
        "tokens": sum(lengths),
        "squares": sum(length**2 for length in lengths),
    }


# The bare backbone


def bare_forward(job: Job) -> Callable[[Tensors], Any]:
    """Return the forward pass of the backbone in transformers, without any task."""
    model = AutoModel.from_pretrained(job["backbone"], attn_implementation="sdpa").eval()
    return lambda batch: model(**batch)


def compared_with_bare(taken: Mapping[str, float]) -> Run:
    """Return the time of a mixed batch, and its ratio to the bare backbone's."""
    return {
        "seconds": taken["mixed"],
        "bare": taken["bare"],
        "times_bare": taken["mixed"] / taken["bare"],
    }
