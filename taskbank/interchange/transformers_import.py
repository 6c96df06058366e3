"""Reads a model that transformers saved, with its head, as untrusted input.

Such a model has all weights of an encoder. Those that differ from the backbone's become copies of
the method `top-k`, of as few layers as there are between the lowest that differs and the top; if
none differs, the model is a head on frozen vectors, of the method `linear`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.fingerprint import IGNORED_KEYS
from taskbank.bank.bank import Bank
from taskbank.data.fields import preview
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.interchange import schema
from taskbank.interchange.checkpoint import (
    Checkpoint,
    as_stored,
    check_options,
    expected_tensors,
    task_of,
)
from taskbank.interchange.fit import named_backbone
from taskbank.interchange.import_options import ImportOptions
from taskbank.interchange.stock_heads import StockHead, stock_head
from taskbank.interchange.task_file import read_json_file
from taskbank.interchange.tensors import read_tensors
from taskbank.specs import MethodSpec

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.methods.method import Method

FORMAT = "transformers"
CONFIG, WEIGHTS = "config.json", "model.safetensors"
PICKLE, SHARDS = "pytorch_model.bin", "model.safetensors.index.json"
MAX_CONFIG_BYTES = 64 * 2**20
MAX_LABELS = 1_000_000
KINDS = {  # by what a model's configuration says of its problem
    "single_label_classification": "single",
    "multi_label_classification": "multilabel",
    "regression": "regression",
}
PER_TOKEN = {"TokenClassification": "tagging", "QuestionAnswering": "span"}
# What the configuration of a model with a head may have otherwise than its encoder's.
OF_THE_TASK = {*IGNORED_KEYS, "classifier_dropout"}
NOT_COMPUTED = {  # what changes a training only
    "attention_dropout",
    "attention_probs_dropout_prob",
    "dropout",
    "hidden_dropout_prob",
    "initializer_range",
    "qa_dropout",
    "seq_classif_dropout",
}


def read_checkpoint(bank: Bank, folder: Path, options: ImportOptions) -> Checkpoint:
    """Return the model that a folder holds, every value checked.

    Args:
        bank: an open bank.
        folder: the folder that `save_pretrained` wrote.
        options: what the import is asked for.

    Raises:
        InputError: if the folder does not hold such a model, or one that taskbank cannot compute.
    """
    check_options(options, FORMAT)
    config = read_config(folder / CONFIG)
    if not (folder / WEIGHTS).exists():
        raise InputError(_without_weights(folder))
    model = _head_name(config)
    task = task_of(folder, options, _told_kind(config, model))
    kind: Kind = plugins.load("kinds", task["kind"])
    base = config.get("_name_or_path") or None
    backbone = named_backbone(bank, base, None, options.backbone)
    _check_encoder(config, backbone)
    stock = stock_head(kind, backbone.identity, linear=True)
    if stock is None or stock.model != model:
        identity = backbone.identity
        raise InputError(
            f"{CONFIG}.architectures is {config['architectures'][0]}, and the head of a task of "
            f"kind {kind.name!r} on {identity.model_type} with the pooling {identity.pooling!r} "
            + ("is none of transformers'" if stock is None else f"is that of For{stock.model}")
        )
    tensors, digest = read_tensors(folder / WEIGHTS)
    head, encoder = _parts(tensors, stock, backbone)
    method = _method(encoder, backbone)
    names = expected_tensors(method, kind, backbone)
    stored = head | {name: encoder[name.removeprefix("model.")] for name in names}
    version = config.get("transformers_version")
    imported: dict[str, Json] = {
        "format": FORMAT,
        "versions": {} if version is None else {"transformers": version},
        "base": base,
        "revision": None,
        "digest": digest,
    }
    labels = None if kind.name in ("regression", "span") else labels_of(config)
    return Checkpoint(kind.name, backbone, method, stored, task, labels, imported)


def read_config(path: Path) -> dict[str, Any]:
    """Return a model's configuration, checked as far as it is used.

    Raises:
        InputError: if it cannot be read, or a value of it is wrong.
    """
    config = read_json_file(path, MAX_CONFIG_BYTES)
    if not isinstance(config, dict):
        raise schema.refuse(CONFIG, config, "an object")
    known: dict[str, schema.Check] = {
        "architectures": schema.items(schema.text(200), least=1, most=1),
        "model_type": schema.text(200),
        "transformers_version": schema.text(200),
        "_name_or_path": schema.text(1000),
        "problem_type": schema.or_null(schema.one_of(tuple(KINDS))),
        "id2label": schema.table(schema.text(20), schema.text(10_000), most=MAX_LABELS),
    }
    for key in ("architectures", "model_type"):
        if key not in config:
            raise InputError(f"{CONFIG} has no {key!r}: it is not of a model of transformers")
    for key, check in known.items():
        if key in config:
            check(f"{CONFIG}.{key}", config[key])
    return config


def labels_of(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the names of the classes in the order of the outputs; None if there are none.

    Args:
        config: the configuration, as `read_config` returns it.

    Raises:
        InputError: if they are not numbered from 0, or a name is given twice.
    """
    names: Mapping[str, str] | None = config.get("id2label")
    if not names:
        return None
    wanted = [str(number) for number in range(len(names))]
    if names.keys() != set(wanted) or len(set(names.values())) < len(names):
        raise InputError(
            f"{CONFIG}.id2label is {preview(dict(names))}: it must name the outputs from 0 to "
            f"{len(names) - 1}, each differently"
        )
    # The names that transformers gives where nobody has.
    if all(names[number] == f"LABEL_{number}" for number in wanted):
        return None
    return tuple(names[number] for number in wanted)


def _without_weights(folder: Path) -> str:
    if (folder / SHARDS).exists():
        return (
            f"its weights are in parts ({SHARDS}): save it again with "
            "save_pretrained(..., max_shard_size='2GB')"
        )
    if (folder / PICKLE).exists():
        return (
            f"its weights are a pickle ({PICKLE}), and taskbank reads none: load it with "
            "transformers and save it again, which writes safetensors"
        )
    return f"it has no {WEIGHTS}: give the folder that save_pretrained wrote"


def _head_name(config: Mapping[str, Any]) -> str:
    """Return what the class of a model is called after `BertFor` or the like."""
    name = str(config["architectures"][0])
    own = getattr(getattr(transformers, name, None), "config_class", None)
    if own is None or own.model_type != config["model_type"] or "auto_map" in config:
        raise InputError(
            f"{CONFIG}.architectures is {preview(name)}, which is no class of transformers for "
            f"{preview(config['model_type'])}, or has code of its own"
        )
    return name.partition("For")[2]


def _told_kind(config: Mapping[str, Any], model: str) -> str | None:
    if model in PER_TOKEN:
        return PER_TOKEN[model]
    problem = config.get("problem_type")
    if problem is not None:
        return KINDS[problem]
    # Without it, transformers takes one output for a number.
    return "regression" if len(config.get("id2label") or ()) == 1 else "single"


def _check_encoder(config: Mapping[str, Any], backbone: Backbone) -> None:
    """Raise unless a model's encoder is shaped and computes as the backbone."""
    own: Mapping[str, Any] = backbone.model.config.to_dict()
    ignored = OF_THE_TASK | NOT_COMPUTED
    differing = [
        f"{key} is {preview(config[key])}, the backbone has {preview(value)}"
        for key, value in own.items()
        if not key.startswith("_") and key not in ignored and config.get(key, value) != value
    ]
    if differing:
        raise InputError(
            f"{CONFIG} is of another encoder than {backbone.identity.spec!r}: "
            f"{'; '.join(differing[:3])}. Name its own backbone with --backbone SPEC"
        )


def _parts(
    tensors: Mapping[str, torch.Tensor], stock: StockHead, backbone: Backbone
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the head's tensors by stored name, and the encoder's by its own names."""
    names = {f"{stock.module}.{leaf}": f"head.{leaf}" for leaf in ("weight", "bias")}
    head = {names[name]: tensor for name, tensor in tensors.items() if name in names}
    encoder = {
        name.removeprefix(f"{stock.encoder}."): tensor
        for name, tensor in tensors.items()
        if name not in names
    }
    own: Mapping[str, torch.Tensor] = backbone.model.state_dict()
    for name in own.keys() - encoder.keys():
        if name.startswith("pooler.") and stock.task_type != "SEQ_CLS":
            encoder[name] = own[name]  # models with a head per token have no pooler
    as_stored(own, {name: name for name in own}, encoder, {})  # raises unless they are all there
    if head.keys() != set(names.values()) or head["head.weight"].ndim != 2:
        raise InputError(
            f"it has no linear head: the tensors {' and '.join(names)} must be [outputs, hidden "
            "size] and [outputs]"
        )
    return head, encoder


def _method(encoder: Mapping[str, torch.Tensor], backbone: Backbone) -> MethodSpec:
    """Return the method that holds what differs from the backbone."""
    own: Mapping[str, torch.Tensor] = backbone.model.state_dict()
    differing = [name for name, tensor in encoder.items() if not torch.equal(tensor, own[name])]
    if not differing:
        return _complete("linear", {})
    count = backbone.identity.layers
    lowest = _lowest(differing, backbone)
    layers = "all" if lowest == 0 else f"top:{count - lowest}"
    return _complete("top-k", {"layers": layers})


def _lowest(names: Sequence[str], backbone: Backbone) -> int:
    """Return the lowest layer from which on the tensors of these names are all copied."""
    architecture, count = backbone.architecture, backbone.identity.layers
    lowest = count - 1
    for name in names:
        inside = name.removeprefix(f"{architecture.layers}.")
        if inside != name:
            lowest = min(lowest, int(inside.partition(".")[0]))
        elif name.partition(".")[0] not in architecture.top:
            return 0
    return lowest


def _complete(name: str, options: Mapping[str, Json]) -> MethodSpec:
    method: Method = plugins.load("methods", name)
    return MethodSpec(name, method.complete(options))
