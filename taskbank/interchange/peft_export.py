"""Exports an adapter as peft 0.21 stores it: `lora`, `ia3` and `layernorm`.

    FOLDER/adapter_config.json          the method's options and the places of its modules
    FOLDER/adapter_model.safetensors    its tensors; with a head of transformers also those
    FOLDER/head.safetensors             otherwise the head, `weight` and `bias`
    FOLDER/task.json                    kind, labels and settings, which peft has no place for
    FOLDER/README.md                    the model card, with code that loads it

Every value is the stored one, and peft computes the same from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load, save

from taskbank import plugins
from taskbank.backbone.architectures import Architecture, architecture_of
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.digests import Json
from taskbank.interchange.adapter_usage import peft_usage
from taskbank.interchange.base_names import base_of
from taskbank.interchange.checkpoint import HEAD
from taskbank.interchange.model_card import model_card
from taskbank.interchange.peft_names import (
    CONFIG,
    METHODS,
    PREFIX,
    WEIGHTS,
    is_feed_forward,
    module_and_leaf,
)
from taskbank.interchange.stock_heads import stock_head
from taskbank.interchange.task_file import TASK_FILE, json_file, task_file

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

VERSION = "0.21.0"  # whose names and options these are


def export_files(bank: Bank, record: AdapterRecord) -> dict[str, bytes]:
    """Return the files of an adapter in peft's format.

    Args:
        bank: an open bank.
        record: an adapter that peft can hold.

    Raises:
        DamagedError: if stored bytes differ from what was recorded.
    """
    identity = bank.backbone(record.backbone).identity
    kind: Kind = plugins.load("kinds", record.kind)
    head, architecture = (
        stock_head(kind, identity, linear=True),
        architecture_of(identity.model_type),
    )
    stored = load(bank.weights(record))
    own = {name: stored[name] for name in sorted(stored) if not name.startswith("head.")}
    places = {name: module_and_leaf(record.method, name, architecture) for name in own}
    encoder = "" if head is None else f"{head.encoder}."
    tensors = {
        f"{PREFIX}{encoder}{places[name][0]}.{places[name][1]}": _as_peft(
            record.method, places[name][0], array, architecture
        )
        for name, array in own.items()
    }
    linear = {leaf: stored[f"head.{leaf}"] for leaf in ("weight", "bias")}
    files = {}
    if head is None:
        files[HEAD] = save(linear, metadata={"format": "pt"})
    else:
        tensors |= {f"{PREFIX}{head.module}.{leaf}": array for leaf, array in linear.items()}
    modules = list(dict.fromkeys(module for module, _ in places.values()))
    base, revision = base_of(identity.spec)
    config = {
        "auto_mapping": None,
        "base_model_name_or_path": base,
        "exclude_modules": None,
        "inference_mode": True,
        "modules_to_save": None if head is None else [head.module],
        "peft_type": next(key for key, method in METHODS.items() if method == record.method),
        "peft_version": VERSION,
        "revision": revision,
        "target_modules": _pattern(encoder, modules, architecture),
        "task_type": "FEATURE_EXTRACTION" if head is None else head.task_type,
    }
    config |= _own_options(record, encoder, modules, architecture)
    usage = peft_usage(record, kind, identity, head)
    return files | {
        WEIGHTS: save(tensors, metadata={"format": "pt"}),
        TASK_FILE: task_file(record),
        "README.md": model_card(bank, record, library="peft", usage=usage).encode(),
        CONFIG: json_file(dict(sorted(config.items()))),  # last: without it, nothing is loaded
    }


def _as_peft(method: str, path: str, array: np.ndarray, architecture: Architecture) -> np.ndarray:
    """Return an array in the shape that peft has for it: only (IA)³ has another."""
    if method != "ia3":
        return array
    return array.reshape((1, -1) if is_feed_forward(path, architecture) else (-1, 1))


def _own_options(
    record: AdapterRecord, encoder: str, modules: Iterable[str], architecture: Architecture
) -> dict[str, Json]:
    """Return the options of peft that only this method has."""
    if record.method == "lora":
        return _lora_options(record)
    if record.method == "ia3":
        scaled = [module for module in modules if is_feed_forward(module, architecture)]
        return {
            "fan_in_fan_out": False,
            "feedforward_modules": _pattern(encoder, scaled, architecture),
            "init_ia3_weights": True,
        }
    return {}


def _lora_options(record: AdapterRecord) -> dict[str, Json]:
    options: Mapping[str, Json] = record.options
    return {
        "alpha_pattern": {},
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "layer_replication": None,
        "layers_pattern": None,
        "layers_to_transform": None,
        "lora_alpha": int(options["alpha"]),
        "lora_bias": False,
        "lora_dropout": options["dropout"],
        "r": options["rank"],
        "rank_pattern": {},
        "trainable_token_indices": None,
        "use_dora": False,
        "use_rslora": False,
    }


def _pattern(encoder: str, modules: Iterable[str], architecture: Architecture) -> str:
    """Return a regular expression for exactly some modules.

    peft looks for the names of a list at the end of every path, so that `output.dense` would also
    find `attention.output.dense`; a text must match the whole path.
    """
    prefix = f"{architecture.layers}."
    inside: dict[str, list[str]] = {}  # the paths in each layer
    patterns = []
    for module in modules:
        number, _, path = module.removeprefix(prefix).partition(".")
        if module.startswith(prefix):
            inside.setdefault(number, []).append(path)
        else:
            patterns.append(re.escape(f"{encoder}{module}"))
    alike: dict[tuple[str, ...], list[str]] = {}  # the layers that have the same paths
    for number, paths in inside.items():
        alike.setdefault(tuple(paths), []).append(number)
    for ends_of, numbers in alike.items():
        start, ends = re.escape(f"{encoder}{prefix}"), "|".join(map(re.escape, ends_of))
        patterns.append(rf"{start}(?:{'|'.join(sorted(numbers, key=int))})\.(?:{ends})")
    return "|".join(patterns)
