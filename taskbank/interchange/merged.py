"""What exports of merged weights share: the head in the units of answers, and the tokenizer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taskbank.bank.records import AdapterRecord
from taskbank.kinds.calibration import temperature_of

PROBLEMS = {  # what transformers calls the kinds that read one vector per input
    "single": "single_label_classification",
    "pair": "single_label_classification",
    "multilabel": "multi_label_classification",
    "regression": "regression",
}


def unit_of(record: AdapterRecord) -> tuple[float, float]:
    """Return factor and offset that turn outputs of a task's head into those of an exported head.

    Logits are divided by the temperature, so that their softmax or sigmoid is the probability that
    the version tells; a number is in its own unit. The scores of spans stay as they are.
    """
    if record.kind == "regression":
        return record.settings["std"], record.settings["mean"]
    return (1.0, 0.0) if record.kind == "span" else (1 / temperature_of(record.definition), 0.0)


def exported_head(record: AdapterRecord, head: Any) -> tuple[torch.Tensor, ...]:
    """Return weight and bias of a head that gives answers in their unit, computed in float64.

    Args:
        record: the adapter.
        head: its linear head.
    """
    factor, offset = unit_of(record)
    weight, bias = (tensor.detach().double() for tensor in (head.weight, head.bias))
    return (weight * factor).float(), (bias * factor + offset).float()


def own_outputs(
    record: AdapterRecord, exported: Callable[[Any], np.ndarray]
) -> Callable[[Any], np.ndarray]:
    """Return a function that gives the outputs of the task's own head.

    Args:
        record: the adapter.
        exported: returns the outputs of the exported head.
    """
    factor, offset = unit_of(record)
    return lambda inputs: ((exported(inputs).astype(np.float64) - offset) / factor).astype("f4")


def labelled_config(record: AdapterRecord, config: Any) -> Any:
    """Return the configuration of an encoder with a task's labels, in place of those of another.

    Args:
        record: the adapter. Its settings are added under the name `taskbank`.
        config: the encoder's configuration; it stays as it is.
    """
    values = config.to_dict()
    for name in ("id2label", "label2id", "num_labels"):
        values.pop(name, None)
    values["problem_type"] = PROBLEMS.get(record.kind)
    names = list(record.labels) or (["value"] if record.kind == "regression" else [])
    if names:
        values["id2label"] = dict(enumerate(names))
        values["label2id"] = {name: number for number, name in enumerate(names)}
    version = {"version": record.ref, "digest": record.digest, "kind": record.kind}
    values["taskbank"] = version | {"settings": dict(record.settings)}
    values["dtype"] = "float32"
    return type(config).from_dict(values)


def saved_tokenizer(tokenizer: Any, max_length: int, folder: Path) -> None:
    """Save a tokenizer that cuts inputs at the length that a version reads.

    Args:
        tokenizer: the backbone's tokenizer; it stays as it is.
        max_length: the version's maximum number of tokens per input.
        folder: where to.
    """
    own = copy.deepcopy(tokenizer)
    own.model_max_length = max_length
    own.save_pretrained(folder)


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the content of every file in a folder, by its path there, in the order of names."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
