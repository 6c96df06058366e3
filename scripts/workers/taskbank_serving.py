"""Serves many tasks with taskbank: verifies a bank of them, computes mixed batches, switches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save
from serving import bare_forward, beside_bare, padded, read, sizes_of
from worker import Found, Job, answer, medians, seconds

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter, NewSplit
from taskbank.bank.open import create_bank
from taskbank.data.encoded import Encoded
from taskbank.data.examples import Examples
from taskbank.interchange.export_folder import with_canaries
from taskbank.kinds.definition import Definition
from taskbank.model.mixed_batch import Asked, predict_mixed
from taskbank.model.predict import predict_examples, predict_outputs
from taskbank.model.task_model import TaskModel, task_model
from taskbank.specs import MethodSpec, TrainingSpec
from taskbank.training.evaluation import measure
from taskbank.verify.verify import verify_all

KIND = plugins.load("kinds", "single")


def fill(job: Job) -> Found:
    """Make the bank that is verified: untrained tasks, and what they predict."""
    backbone = load_backbone(job["backbone"])
    bank_file = Path(job["bank"])
    bank_file.unlink(missing_ok=True)
    with create_bank(f"sqlite:///{bank_file}") as bank:
        for number, columns in enumerate(read(job)["tasks"]):
            model = _model(backbone, job, number)
            bank.put(_adapter(f"task-{number}", model, job, _tuples(columns)))
    return {"tasks": number + 1}


def verify(job: Job) -> Found:
    """Verify the bank, the backbone at hand."""
    backbone = load_backbone(job["backbone"])
    with Bank(f"sqlite:///{job['bank']}") as bank:
        records = bank.adapters()
        reports = []
        taken = seconds(lambda: reports.append(verify_all(bank, level="full", backbone=backbone)))
        encoded = [_encoded(backbone, job, columns["text"]) for columns in read(job)["tasks"]]
    (report,) = reports
    if not report.ok or any(task.status != "ok" for task in report.tasks):
        raise SystemExit(f"the tasks are not as they were: {report}")
    return {
        "seconds": taken,
        "tasks": len(records),
        "rows": sum(task.examples or 0 for task in report.tasks),
        "tokens": sum(int(one.lengths.sum()) for one in encoded),
        "squares": sum(int((one.lengths**2).sum()) for one in encoded),
    }


@torch.inference_mode()
def mixed(job: Job) -> Found:
    """Compute a batch of rows of many tasks, and the bare backbone for the same, padded."""
    backbone = load_backbone(job["backbone"])
    rows = read(job)["mixed"]
    asked = _asked(backbone, job, rows)
    batch = padded(job, rows["text"])
    bare = bare_forward(job)
    for one, outputs in zip(asked, predict_mixed(backbone, asked), strict=True):
        for row, found in enumerate(outputs):
            alone = one.model.outputs(one.encoded.batch(np.array([row])))
            if not torch.allclose(torch.from_numpy(found), alone[0], 1e-3, 1e-4):
                raise SystemExit("a mixed batch does not give what each row gives alone")
    taken = medians(
        {"bare": lambda: bare(batch), "mixed": lambda: predict_mixed(backbone, asked)},
        job["times"],
    )
    return sizes_of(_encoded(backbone, job, rows["text"]).lengths.tolist()) | beside_bare(taken)


@torch.inference_mode()
def uneven(job: Job) -> Found:
    """Compute rows of uneven length and many tasks."""
    backbone = load_backbone(job["backbone"])
    rows = read(job)["uneven"]
    asked = _asked(backbone, job, rows)
    taken = medians({"it": lambda: predict_mixed(backbone, asked)}, job["times"])
    return sizes_of(_encoded(backbone, job, rows["text"]).lengths.tolist()) | {
        "seconds": taken["it"]
    }


@torch.inference_mode()
def fanout(job: Job) -> Found:
    """Compute one text with many tasks that adapt the top layers, at once and one by one."""
    backbone = load_backbone(job["backbone"])
    top = job | {"layers": job["fanout_layers"]}
    models = [_model(backbone, top, number) for number in range(job["fanout_tasks"])]
    encoded = _encoded(backbone, job, read(job)["mixed"]["text"][:1])
    asked = [Asked(model, encoded) for model in models]
    taken = medians(
        {
            "together": lambda: predict_mixed(backbone, asked),
            "separately": lambda: [predict_outputs(model, encoded) for model in models],
        },
        job["times"],
    )
    return {
        "tasks": len(models),
        "seconds": taken["together"],
        "separately": taken["separately"],
        "share": taken["together"] / taken["separately"],
    }


@torch.inference_mode()
def switch(job: Job) -> Found:
    """Compute one text with one of many loaded tasks, again and again, and with another each."""
    backbone = load_backbone(job["backbone"])
    models = [_model(backbone, job, number).eval() for number in range(job["loaded"])]
    encoded = _encoded(backbone, job, read(job)["mixed"]["text"][:1])
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


def _tuples(columns: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(values) for name, values in columns.items()}


def _definition() -> Definition:
    return Definition(("no", "yes"), {"positive": "yes"})


def _options(job: Job) -> dict[str, Any]:
    given = {"size": job["size"]} if job["method"] == "houlsby" else {"rank": job["rank"]}
    given |= {"layers": job["layers"]} if "layers" in job else {}
    options: dict[str, Any] = plugins.load("methods", job["method"]).complete(given)
    return options


def _model(backbone: Backbone, job: Job, number: int) -> TaskModel:
    """Return a task whose weights no other has, and which changes what is computed."""
    model = task_model(backbone, KIND, _definition(), job["method"], _options(job), seed=number)
    generator = torch.Generator().manual_seed(number)
    with torch.no_grad():
        for tensor in model.trained().values():
            tensor.add_(0.01 * torch.randn(tensor.shape, generator=generator))
    return model.eval()


def _encoded(backbone: Backbone, job: Job, texts: Sequence[str]) -> Encoded:
    columns = {"text": tuple(texts), "label": ("no",) * len(texts)}
    encoded: Encoded = KIND.encode(
        backbone.tokenizer, columns, _definition(), job["max_length"], labelled=False
    )
    return encoded


def _adapter(name: str, model: TaskModel, job: Job, columns: dict[str, tuple[str, ...]]) -> Any:
    encoded = _encoded(model.backbone, job, columns["text"])
    predictions = predict_examples(model, KIND, encoded)
    examples = Examples(columns, "made")
    tensors = {key: tensor.numpy().copy() for key, tensor in model.trained().items()}
    new = NewAdapter(
        task=name,
        kind=KIND.name,
        backbone=model.backbone.identity,
        method=MethodSpec(job["method"], _options(job)),
        training=replace(TrainingSpec(), max_length=job["max_length"]),
        definition=_definition(),
        metric="accuracy",
        split="test",
        metrics=tuple(measure(KIND, "test", predictions, columns, _definition())),
        splits=(
            NewSplit(
                "test", "made", len(examples), examples.to_bytes(), save({"logits": predictions})
            ),
        ),
        parameters=sum(tensor.size for tensor in tensors.values()),
        weights=save(tensors),
        environment={},
    )
    return with_canaries(new)


def _asked(backbone: Backbone, job: Job, rows: dict[str, list[Any]]) -> list[Asked]:
    """Return every task with its rows."""
    texts: dict[int, list[str]] = defaultdict(list)
    for text, task in zip(rows["text"], rows["task"], strict=True):
        texts[task].append(text)
    return [
        Asked(_model(backbone, job, task), _encoded(backbone, job, own))
        for task, own in texts.items()
    ]


PARTS = {
    "fill": fill,
    "evaluation": verify,
    "mixed": mixed,
    "uneven": uneven,
    "fanout": fanout,
    "switch": switch,
}


if __name__ == "__main__":
    answer(lambda job: PARTS[job["part"]](job))
