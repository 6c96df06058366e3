"""Predicts in the process what the clients of a server ask for, without a server.

`stream` takes the same stream of rows, as many at once as there are clients. `single` takes one
text after another, beside the bare encoder of transformers on the same tokens.
"""

from __future__ import annotations

import time
from statistics import median

import torch

import taskbank
from scripts.benchmarks.workers.worker import Job, Run, answer_part
from taskbank.model.load import load_recorded_backbone


def stream(job: Job) -> Run:
    """Return the rows per second of `predict_many`."""
    with taskbank.open(job["bank"]) as bank:
        predictor = taskbank.Predictor(bank, memory=1 << 30)
        rows: list[tuple[str, list[str]]] = [(task, [text]) for task, text in job["rows"]]
        size = job["clients"]
        for start in range(0, job["warm_up"], size):
            predictor.predict_many(rows[start : start + size])
        started = time.perf_counter()
        for start in range(0, len(rows), size):
            predictor.predict_many(rows[start : start + size])
        return {"rate": len(rows) / (time.perf_counter() - started)}


def single(job: Job) -> Run:
    """Return the milliseconds of one text, and those of the bare encoder, in alternation."""
    with taskbank.open(job["bank"]) as bank:
        predictor = taskbank.Predictor(bank)
        backbone = load_recorded_backbone(bank, bank.backbones()[0], device="cpu")
        model = backbone.model
        model.set_attn_implementation("sdpa")
        texts = [text for _, text in job["rows"]]
        task = job["rows"][0][0]
        own: list[float] = []
        bare: list[float] = []
        for number in range(job["warm_up"] + job["count"]):
            text = texts[number % len(texts)]
            tokens = backbone.tokenizer([text], return_tensors="pt")
            started = time.perf_counter()
            with torch.inference_mode():
                model(**tokens)
            middle = time.perf_counter()
            predictor.predict(task, [text])
            if number >= job["warm_up"]:
                bare.append(1000 * (middle - started))
                own.append(1000 * (time.perf_counter() - middle))
        return {"own": median(own), "bare": median(bare), "ratio": median(own) / median(bare)}


if __name__ == "__main__":
    answer_part({"stream": stream, "single": single})
