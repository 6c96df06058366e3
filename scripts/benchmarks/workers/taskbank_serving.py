"""Serves many tasks with taskbank: verifies a bank, computes mixed batches, switches tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scripts.benchmarks.synthetic_bank import DEFINITION, single_split_adapter
from scripts.benchmarks.workers.transformers_serving import (
    bare_forward,
    compared_with_bare,
    input_size,
    padded_batch,
    read_texts,
)
from scripts.benchmarks.workers.worker import Job, Run, answer_part, medians, seconds
from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter
from taskbank.bank.open import create_bank
from taskbank.data.encoded import Encoded
from taskbank.interchange.export_folder import with_canaries
from taskbank.kinds.single import SINGLE
from taskbank.model.mixed_batch import PredictionRequest, predict_mixed
from taskbank.model.predict import predict_examples, predict_outputs
from taskbank.model.task_model import TaskModel, task_model
from taskbank.specs import MethodSpec, TrainingSpec
from taskbank.verify.verify import verify_all

# The parts


def fill(job: Job) -> Run:
    """Make the bank to verify: untrained tasks and their predictions."""
    backbone = load_backbone(job["backbone"])
    bank_file = Path(job["bank"])
    bank_file.unlink(missing_ok=True)
    tasks = read_texts(job)["tasks"]
    with create_bank(f"sqlite:///{bank_file}") as bank:
        for number, columns in enumerate(tasks):
            model = _model(backbone, job, number)
            bank.put(_adapter(f"task-{number}", model, job, columns))
    return {"tasks": len(tasks)}


def evaluation(job: Job) -> Run:
    """Verify the bank with a loaded backbone."""
    backbone = load_backbone(job["backbone"])
    with Bank(f"sqlite:///{job['bank']}") as bank:
        records = bank.adapters()
        reports = []
        taken = seconds(lambda: reports.append(verify_all(bank, level="full", backbone=backbone)))
    (report,) = reports
    if not report.ok or any(task.status != "ok" for task in report.tasks):
        raise SystemExit(f"the verification did not confirm every task: {report}")
    texts = [text for columns in read_texts(job)["tasks"] for text in columns["text"]]
    return _size(backbone, job, texts) | {
        "seconds": taken,
        "tasks": len(records),
        "rows": sum(task.examples or 0 for task in report.tasks),
    }


@torch.inference_mode()
def mixed(job: Job) -> Run:
    """Compute one batch of rows of many tasks; the bare backbone computes the same rows, padded."""
    backbone = load_backbone(job["backbone"])
    rows = read_texts(job)["mixed"]
    asked = _asked(backbone, job, rows)
    batch = padded_batch(job, rows["text"])
    bare = bare_forward(job)
    for one, outputs in zip(asked, predict_mixed(backbone, asked), strict=True):
        for row, together in enumerate(outputs):
            alone = one.model.members[0].outputs(one.encoded.batch(np.array([row])))
            if not torch.allclose(torch.from_numpy(together), alone[0], 1e-3, 1e-4):
                raise SystemExit("a mixed batch gives other logits than each row alone")
    taken = medians(
        {"bare": lambda: bare(batch), "mixed": lambda: predict_mixed(backbone, asked)},
        job["times"],
    )
    return _size(backbone, job, rows["text"]) | compared_with_bare(taken)


@torch.inference_mode()
def uneven(job: Job) -> Run:
    """Compute rows of uneven length and many tasks."""
    backbone = load_backbone(job["backbone"])
    rows = read_texts(job)["uneven"]
    asked = _asked(backbone, job, rows)
    taken = medians({"all": lambda: predict_mixed(backbone, asked)}, job["times"])
    return _size(backbone, job, rows["text"]) | {"seconds": taken["all"]}


@torch.inference_mode()
def fanout(job: Job) -> Run:
    """Compute one text with many tasks that adapt the top layers, at once and one by one."""
    backbone = load_backbone(job["backbone"])
    top = job | {"layers": job["fanout_layers"]}
    models = [_model(backbone, top, number) for number in range(job["fanout_tasks"])]
    encoded = _encoded(backbone, job, read_texts(job)["mixed"]["text"][:1])
    asked = [PredictionRequest(model, encoded) for model in models]
    taken = medians(
        {
            "at once": lambda: predict_mixed(backbone, asked),
            "one by one": lambda: [predict_outputs(model, encoded) for model in models],
        },
        job["times"],
    )
    return {
        "tasks": len(models),
        "seconds": taken["at once"],
        "separately": taken["one by one"],
        "ratio": taken["at once"] / taken["one by one"],
    }


@torch.inference_mode()
def switch(job: Job) -> Run:
    """Compute one text with the same task repeatedly, and with another task each time."""
    backbone = load_backbone(job["backbone"])
    models = [_model(backbone, job, number) for number in range(job["loaded"])]
    encoded = _encoded(backbone, job, read_texts(job)["mixed"]["text"][:1])
    batch = encoded.batch(np.array([0]))
    order = iter(np.random.default_rng(0).permutation(len(models)).tolist() * 10)
    calls: dict[str, Callable[[], Any]] = {
        "same": lambda: models[0].outputs(batch),
        "another": lambda: models[next(order)].outputs(batch),
    }
    taken = medians(calls, min(200, job["loaded"]))
    return {
        "loaded": len(models),
        "seconds": taken["another"] - taken["same"],
        "compute": taken["same"],
    }


PARTS = {
    "fill": fill,
    "evaluation": evaluation,
    "mixed": mixed,
    "uneven": uneven,
    "fanout": fanout,
    "switch": switch,
}

# Tasks


def _options(job: Job) -> dict[str, Any]:
    given = {"size": job["size"]} if job["method"] == "houlsby" else {"rank": job["rank"]}
    given |= {"layers": job["layers"]} if "layers" in job else {}
    options: dict[str, Any] = plugins.load("methods", job["method"]).complete(given)
    return options


def _model(backbone: Backbone, job: Job, number: int) -> TaskModel:
    """Return an untrained task whose weights are unique and change the outputs."""
    model = task_model(backbone, SINGLE, DEFINITION, job["method"], _options(job), seed=number)
    generator = torch.Generator().manual_seed(number)
    with torch.no_grad():
        for tensor in model.trained_tensors().values():
            tensor.add_(0.01 * torch.randn(tensor.shape, generator=generator))
    return model.eval()


def _adapter(name: str, model: TaskModel, job: Job, columns: dict[str, list[str]]) -> NewAdapter:
    new = single_split_adapter(
        name,
        model.backbone.identity,
        MethodSpec(job["method"], _options(job)),
        {column: tuple(values) for column, values in columns.items()},
        predict_examples(model, SINGLE, _encoded(model.backbone, job, columns["text"])),
        {key: tensor.numpy().copy() for key, tensor in model.trained_tensors().items()},
        training=replace(TrainingSpec(), max_length=job["max_length"]),
    )
    return with_canaries(new)


def _asked(backbone: Backbone, job: Job, rows: dict[str, list[Any]]) -> list[PredictionRequest]:
    """Return every task with its rows."""
    texts: dict[int, list[str]] = defaultdict(list)
    for text, task in zip(rows["text"], rows["task"], strict=True):
        texts[task].append(text)
    return [
        PredictionRequest(_model(backbone, job, task), _encoded(backbone, job, own))
        for task, own in texts.items()
    ]


# Texts


def _encoded(backbone: Backbone, job: Job, texts: Sequence[str]) -> Encoded:
    columns = {"text": tuple(texts), "label": ("no",) * len(texts)}
    return SINGLE.encode(backbone.tokenizer, columns, DEFINITION, job["max_length"], labelled=False)


def _size(backbone: Backbone, job: Job, texts: Sequence[str]) -> Run:
    return input_size(_encoded(backbone, job, texts).lengths.tolist())


if __name__ == "__main__":
    answer_part(PARTS)
