"""Checkpoints as peft and AdapterHub write them, ways to spoil them, and tasks to export."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save
from safetensors.torch import save as save_tensors

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter
from taskbank.bank.records import AdapterRecord
from taskbank.data.sources import read_examples
from taskbank.errors import InputError
from taskbank.model.predict import predict_examples
from taskbank.model.task_model import TaskModel, task_model
from taskbank.pipeline.storage import new_split
from taskbank.specs import MethodSpec, TrainingSpec
from taskbank.training.evaluation import measure

Spoil = Callable[[Path], object]
Tensors = dict[str, np.ndarray]


def write_peft(folder: Path, base: str, *, rank: int = 4) -> Path:
    """Write a LoRA of BERT for a classification of whole texts, as peft 0.21 does."""
    chance = np.random.default_rng(0)
    tensors: Tensors = {}
    for layer in range(2):
        for place in ("query", "value"):
            module = f"base_model.model.bert.encoder.layer.{layer}.attention.self.{place}"
            tensors[f"{module}.lora_A.weight"] = _some(chance, rank, 32)
            tensors[f"{module}.lora_B.weight"] = _some(chance, 32, rank)
    tensors["base_model.model.classifier.weight"] = _some(chance, 2, 32)
    tensors["base_model.model.classifier.bias"] = _some(chance, 2)
    config = {
        "alpha_pattern": {},
        "auto_mapping": None,
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "layer_replication": None,
        "lora_alpha": 8,
        "lora_dropout": 0.0,
        "modules_to_save": ["classifier", "score"],
        "peft_type": "LORA",
        "peft_version": "0.21.2",
        "r": rank,
        "rank_pattern": {},
        "revision": None,
        "target_modules": ["query", "value"],
        "task_type": "SEQ_CLS",
        "trainable_token_indices": None,
        "use_dora": False,
        "use_rslora": False,
    }
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))
    return folder


def write_adapterhub(folder: Path, base: str) -> Path:
    """Write a Houlsby adapter of BERT with a head for whole texts, as adapters 1.3 does."""
    chance = np.random.default_rng(0)
    tensors: Tensors = {}
    for layer in range(2):
        for holder in ("attention.output", "output"):
            module = f"bert.encoder.layer.{layer}.{holder}.adapters.mood"
            tensors[f"{module}.adapter_down.0.weight"] = _some(chance, 4, 32)
            tensors[f"{module}.adapter_down.0.bias"] = _some(chance, 4)
            tensors[f"{module}.adapter_up.weight"] = _some(chance, 32, 4)
            tensors[f"{module}.adapter_up.bias"] = _some(chance, 32)
    head = {"heads.mood.1.weight": _some(chance, 2, 32), "heads.mood.1.bias": _some(chance, 2)}
    config = {
        "adapter_residual_before_ln": False,
        "cross_adapter": False,
        "dropout": 0.0,
        "init_weights": "bert",
        "inv_adapter": None,
        "is_parallel": False,
        "leave_out": [],
        "ln_after": False,
        "ln_before": False,
        "mh_adapter": True,
        "non_linearity": "gelu_new",
        "original_ln_after": True,
        "original_ln_before": False,
        "output_adapter": True,
        "phm_layer": False,
        "reduction_factor": 8,
        "residual_before_ln": True,
        "scaling": 1.0,
        "stochastic_depth": 0.0,
        "use_gating": False,
    }
    head_config = {
        "activation_function": "tanh",
        "bias": True,
        "dropout_prob": None,
        "head_type": "classification",
        "label2id": {"good": 1, "bad": 0},
        "layers": 1,
        "num_labels": 2,
        "use_pooler": True,
    }
    common = {
        "hidden_size": 32,
        "model_class": "BertAdapterModel",
        "model_name": base,
        "model_type": "bert",
        "name": "mood",
        "version": "adapters.1.3.0",
    }
    folder.mkdir(parents=True)
    for name, options in (("adapter_config.json", config), ("head_config.json", head_config)):
        (folder / name).write_text(json.dumps({"config": options, **common}))
    (folder / "adapter.safetensors").write_bytes(save(tensors))
    (folder / "model_head.safetensors").write_bytes(save(head))
    return folder


def _some(chance: np.random.Generator, *shape: int) -> np.ndarray:
    return chance.normal(0, 0.2, shape).astype(np.float32)


def edit_json(name: str, change: Mapping[str, Any] | Callable[[dict[str, Any]], object]) -> Spoil:
    """Return a function that changes keys of a folder's JSON file; the value `...` removes one."""

    def spoil(folder: Path) -> None:
        path = folder / name
        content = json.loads(path.read_text())
        if callable(change):
            change(content)
        else:
            content |= change
        kept = {key: value for key, value in content.items() if value is not ...}
        path.write_text(json.dumps(kept))

    return spoil


def edit_tensors(name: str, change: Callable[[Tensors], object]) -> Spoil:
    """Return a function that changes the tensors of a folder's file."""

    def spoil(folder: Path) -> None:
        path = folder / name
        tensors = {key: array.copy() for key, array in load(path.read_bytes()).items()}
        change(tensors)
        path.write_bytes(save({k: np.ascontiguousarray(v) for k, v in tensors.items()}))

    return spoil


def edit_header(name: str, change: Callable[[dict[str, Any]], object]) -> Spoil:
    """Return a function that changes the header of a folder's file of tensors, not its values."""

    def spoil(folder: Path) -> None:
        path = folder / name
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        made = change(header)
        text = (made if isinstance(made, str) else json.dumps(header)).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])

    return spoil


def hostile_files(weights: str, config: str, pickle: str) -> dict[str, tuple[Spoil, str]]:
    """Return what is wrong with files of either format: how to spoil a folder, and what is said.

    Args:
        weights: the name of the file of tensors.
        config: the name of the configuration.
        pickle: the name of the pickle that older versions write.
    """

    def put(name: str, data: bytes) -> Spoil:
        return lambda folder: (folder / name).write_bytes(data)

    def replace(name: str, target: str) -> Spoil:
        def spoil(folder: Path) -> None:
            (folder / name).unlink()
            (folder / name).symlink_to(target)

        return spoil

    def first(tensors: Tensors) -> np.ndarray:
        return tensors[min(tensors)]

    def twice(header: dict[str, Any]) -> str:
        name = min(key for key in header if key != "__metadata__")
        entry = json.dumps(header[name])
        return json.dumps(header)[:-1] + f', "{name}": {entry}}}'

    def entry(**changes: Any) -> Callable[[dict[str, Any]], None]:
        def change(header: dict[str, Any]) -> None:
            name = min(key for key in header if key != "__metadata__")
            header[name] |= changes

        return change

    return {
        "a header of 5 GB": (put(weights, (5 * 2**30).to_bytes(8, "little") + b"{}"), "its header"),
        "a header of 2^63": (put(weights, b"\xff" * 8 + b"{}"), "its header has"),
        "an empty file": (put(weights, b""), "its header"),
        "a header that is no JSON": (put(weights, (4).to_bytes(8, "little") + b"{{{{"), "not JSON"),
        "a header that is a list": (put(weights, (2).to_bytes(8, "little") + b"[]"), "an object"),
        "deep JSON": (put(weights, (60_000).to_bytes(8, "little") + b"[" * 60_000), "not JSON"),
        "a name twice": (edit_header(weights, twice), "appears twice"),
        "offsets beyond the file": (
            edit_header(weights, entry(data_offsets=[0, 10**9])),
            "but 1,000,000,000 bytes",
        ),
        "offsets in reverse": (edit_header(weights, entry(data_offsets=[8, 0])), "but -8 bytes"),
        "bytes after the tensors": (
            lambda folder: (folder / weights).write_bytes(
                (folder / weights).read_bytes() + b"more"
            ),
            "more than its tensors",
        ),
        "a file cut off": (
            lambda folder: (folder / weights).write_bytes((folder / weights).read_bytes()[:-5]),
            "cut off",
        ),
        "numbers of 64 bits": (
            edit_tensors(weights, lambda t: t.update({k: v.astype("f8") for k, v in t.items()})),
            "one of F32, F16, BF16",
        ),
        "whole numbers": (
            edit_tensors(weights, lambda t: t.update({k: v.astype("i4") for k, v in t.items()})),
            "one of F32, F16, BF16",
        ),
        "not a number": (edit_tensors(weights, lambda t: first(t).fill(np.nan)), "NaN or inf"),
        "infinity": (edit_tensors(weights, lambda t: first(t).fill(np.inf)), "NaN or infinite"),
        "an extra tensor": (
            edit_tensors(weights, lambda t: t.update(extra=np.zeros(3, "f4"))),
            "extra",
        ),
        "a name out of the folder": (
            edit_tensors(weights, lambda t: t.update({"../../evil": np.zeros(3, "f4")})),
            r"\.\./\.\./evil",
        ),
        "a name that cannot be seen": (
            edit_tensors(weights, lambda t: t.update({"a\u202eb": np.zeros(3, "f4")})),
            "cannot be seen",
        ),
        "a missing tensor": (edit_tensors(weights, lambda t: t.pop(min(t))), "missing|names"),
        "no weights": (lambda folder: (folder / weights).unlink(), "cannot be read"),
        "only a pickle": (
            lambda folder: (folder / weights).rename(folder / pickle),
            "a pickle can run any code",
        ),
        "a device for the weights": (replace(weights, "/dev/zero"), "not a regular file"),
        "a folder for the weights": (replace(weights, "/tmp"), "Is a directory"),  # noqa: S108
        "a device for the configuration": (replace(config, "/dev/zero"), "not a regular file"),
        "a configuration that is no JSON": (put(config, b'{"peft_type": NaN}'), "not JSON"),
        "a configuration that is a list": (put(config, b"[]"), "no folder of a known format"),
        "a key twice": (
            lambda folder: (folder / config).write_text(
                '{"name": 1, ' + (folder / config).read_text()[1:-1] + ', "name": 2}'
            ),
            "appears twice",
        ),
        "an unknown key": (edit_json(config, {"new_idea": True}), "unknown key 'new_idea'"),
        "a second adapter": (
            lambda folder: _second(folder, config),
            "further adapters, in 'other'",
        ),
        "a task file of another form": (put("task.json", b'{"kind": "single"}'), "has no"),
    }


@contextmanager
def refused(bank: Bank, says: str) -> Iterator[None]:
    """Expect an error of the input, and that nothing enters the bank."""
    before = (bank.head(), len(bank), len(list(bank._blobs.sizes())))
    with pytest.raises(InputError, match=says):
        yield
    assert (bank.head(), len(bank), len(list(bank._blobs.sizes()))) == before


def put_task(**changes: Any) -> Spoil:
    """Return a function that puts a `task.json` into a folder, with changes."""
    content = {
        "format": "taskbank-task/1",
        "task": "mood",
        "kind": "single",
        "labels": ["bad", "good"],
        "settings": {"positive": "good"},
        "metric": "accuracy",
        "max_length": 32,
        "description": "",
        "tags": {},
    }
    return lambda folder: (folder / "task.json").write_text(json.dumps(content | changes))


def _second(folder: Path, config: str) -> None:
    (folder / "other").mkdir()
    (folder / "other" / config).write_text((folder / config).read_text())


def put_moved(
    bank: Bank,
    backbone: Backbone,
    data: str,
    kind_name: str = "single",
    method: str = "houlsby",
    **options: Any,
) -> tuple[AdapterRecord, TaskModel]:
    """Record a model of a task whose every tensor is moved away from its start, with its scores.

    Args:
        bank: an open bank.
        backbone: the backbone.
        data: a file with labelled rows of the kind.
        kind_name: the name of the kind.
        method: the name of the method.
        options: its options.

    Returns:
        the record and the model.
    """
    kind = plugins.load("kinds", kind_name)
    examples = read_examples(data, kind.inputs, kind.label)
    definition = kind.define(examples.columns, data, {})
    complete = plugins.load("methods", method).complete(options)
    model = task_model(backbone, kind, definition, method, complete, seed=0)
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in model.trained_tensors().values():
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=chance))
    model.eval()
    encoded = kind.encode(backbone.tokenizer, examples.columns, definition, 48, labelled=False)
    predictions = predict_examples(model, kind, encoded)
    tensors = {name: tensor.contiguous() for name, tensor in model.trained_tensors().items()}
    new = NewAdapter(
        task=f"{kind_name}-{method}",
        kind=kind_name,
        backbone=backbone.identity,
        method=MethodSpec(method, complete),
        training=TrainingSpec(max_length=48),
        definition=definition,
        metric=kind.metric,
        split="test",
        metrics=tuple(measure(kind, "test", predictions, examples.columns, definition)),
        splits=(new_split("test", kind, examples, predictions, definition),),
        parameters=sum(tensor.numel() for tensor in tensors.values()),
        weights=save_tensors(tensors),
        environment={},
    )
    return bank.put(new, new_version=True), model
