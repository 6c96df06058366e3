"""Reads a checkpoint of the library adapters as untrusted input: bottlenecks and LoRA.

What its configuration can say and the method of taskbank does not compute is refused, and so is
every tensor too many or too few.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.data.fields import preview
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.interchange import schema
from taskbank.interchange.adapterhub_names import (
    ACTIVATIONS,
    CONFIG,
    HEAD_CONFIG,
    HEAD_PICKLE,
    HEAD_TYPES,
    HEAD_WEIGHTS,
    MATRICES,
    PICKLE,
    WEIGHTS,
    head_name,
    reads_pooler,
    tensor_name,
)
from taskbank.interchange.checkpoint import (
    HEAD,
    Checkpoint,
    as_stored,
    check_options,
    check_single,
    expected_tensors,
    file_head,
    layers_option,
    linear_head,
    task_of,
    weights_file,
)
from taskbank.interchange.fit import named_backbone
from taskbank.interchange.import_options import ImportOptions
from taskbank.interchange.peft_names import MAX_CONFIG_BYTES
from taskbank.interchange.schema import off, only
from taskbank.interchange.stock_heads import ENCODERS
from taskbank.interchange.task_file import read_json_file
from taskbank.interchange.tensors import read_tensors
from taskbank.specs import MethodSpec

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.methods.method import Method

FORMAT = "adapterhub"
MAX_HEAD_CONFIG_BYTES = 64 * 2**20  # a label space of 100,000 names fits
VERSION_PREFIX = "adapters."
UNTOLD = "LABEL_"  # how the library calls classes whose names nobody has given
ANY = schema.plain  # has no effect on what a trained adapter computes

COMMON: dict[str, schema.Check] = {
    "config": schema.table(schema.text(100), schema.plain),
    "hidden_size": schema.whole(1),
    "model_class": schema.text(1000),
    "model_name": schema.or_null(schema.text(10_000)),
    "model_type": schema.text(1000),
    "name": schema.text(1000),
    "version": schema.text(100),
}
PLACE = "the adapter is in another place than those of houlsby and pfeiffer"
BOTTLENECK: dict[str, schema.Check] = {
    "adapter_residual_before_ln": off(PLACE),
    "is_parallel": schema.boolean,
    "leave_out": schema.items(schema.whole(0, 10_000), most=10_000),
    "ln_after": off("the adapter has a LayerNorm of its own"),
    "ln_before": off("the adapter has a LayerNorm of its own"),
    "mh_adapter": schema.boolean,
    "non_linearity": only(
        *ACTIVATIONS.values(),
        reason=f"taskbank computes {', '.join(ACTIVATIONS.values())}; gelu is another function "
        "than gelu_new",
    ),
    "original_ln_after": only(True, reason=PLACE),
    "original_ln_before": off(PLACE),
    "output_adapter": only(True, reason="there is no adapter after the feed-forward sublayer"),
    "reduction_factor": schema.number(0),
    "residual_before_ln": only(True, reason=PLACE),
    "scaling": schema.number(0),
}
BOTTLENECK_OPTIONAL: dict[str, schema.Check] = {
    "cross_adapter": off("the adapter is after the attention to an encoder, too"),
    "dropout": ANY,
    "factorized_phm_W": ANY,
    "factorized_phm_rule": ANY,
    "hypercomplex_nonlinearity": ANY,
    "init_weights": ANY,
    "init_weights_seed": ANY,
    "inv_adapter": off("invertible adapters of the embeddings are none of taskbank's"),
    "inv_adapter_reduction_factor": ANY,
    "learn_phm": ANY,
    "phm_bias": ANY,
    "phm_c_init": ANY,
    "phm_dim": ANY,
    "phm_init_range": ANY,
    "phm_layer": off("Compacter's layers are none of taskbank's"),
    "phm_rank": ANY,
    "shared_W_phm": ANY,
    "shared_phm_rule": ANY,
    "stochastic_depth": ANY,
    "use_gating": off("the adapter has a gate"),
}
LORA: dict[str, schema.Check] = {
    "alpha": schema.number(0),
    "architecture": only("lora", reason="taskbank reads bottleneck adapters and lora"),
    "attn_matrices": schema.items(schema.one_of(tuple(MATRICES.values())), most=3),
    "composition_mode": only("add", reason="the update multiplies, as in (IA)³"),
    "intermediate_lora": schema.boolean,
    "leave_out": BOTTLENECK["leave_out"],
    "output_lora": schema.boolean,
    "r": schema.whole(1, 4096),
    "selfattn_lora": schema.boolean,
    "use_gating": off("the update has a gate"),
}
LORA_OPTIONAL: dict[str, schema.Check] = {
    "dropout": schema.number(0),
    "dtype": only(None, "float32", reason="taskbank computes in float32"),
    "init_weights": ANY,
    "init_weights_seed": ANY,
    "use_dora": off("DoRA also scales the columns of the weights, which lora does not do"),
    "vera_b": off("of VeRA, taskbank has nothing that computes the same"),
    "vera_d": off("of VeRA, taskbank has nothing that computes the same"),
}
HEAD_OPTIONS: dict[str, schema.Check] = {
    "head_type": only(
        *dict.fromkeys(HEAD_TYPES.values()), reason="taskbank has no kind with such a head"
    ),
    "layers": only(1, reason="taskbank's head is one linear layer"),
    "num_labels": schema.whole(1, 1_000_000),
}
HEAD_OPTIONAL: dict[str, schema.Check] = {
    "activation_function": ANY,  # between layers, of which there is one
    "bias": only(True, reason="taskbank's head has a bias"),
    "dropout_prob": ANY,
    "label2id": schema.or_null(
        schema.table(schema.text(10_000), schema.whole(0, 1_000_000), most=1_000_000)
    ),
    "use_pooler": schema.boolean,
}


def read_checkpoint(bank: Bank, folder: Path, options: ImportOptions) -> Checkpoint:
    """Return the adapter that a folder of the library adapters holds.

    Args:
        bank: an open bank.
        folder: the folder.
        options: what the import is asked for.

    Raises:
        InputError: if the folder is not one adapter, if it holds what no method of taskbank
            computes, if its tensors are not exactly those of its options and a head, or if its
            base is not known.
    """
    check_options(options, FORMAT)
    check_single(folder, CONFIG)
    config = _configuration(folder / CONFIG, MAX_CONFIG_BYTES)
    _check_method(config["config"])
    head_config = _head_configuration(folder)
    head_type = None if head_config is None else head_config["config"]["head_type"]
    told = [kind for kind, one in HEAD_TYPES.items() if one == head_type]
    task = task_of(folder, options, told[0] if len(told) == 1 else None, config["name"])
    kind: Kind = plugins.load("kinds", task["kind"])
    tensors, digest = read_tensors(weights_file(folder, WEIGHTS, PICKLE))
    backbone = named_backbone(bank, config["model_name"] or None, None, options.backbone)
    for place, found in ((CONFIG, config), (HEAD_CONFIG, head_config)):
        if found is not None:
            _check_backbone(place, found, backbone)
    method = _method(config["config"], backbone)
    head, labels = _head(folder, head_config, kind, backbone)
    # A model without a head has no name for its encoder.
    encoder = f"{ENCODERS[config['model_type']]}."
    encoder = encoder if any(one.startswith(encoder) for one in tensors) else ""
    expected, architecture = expected_tensors(method, kind, backbone), backbone.architecture
    names = {
        one: tensor_name(method.name, one, config["name"], encoder, architecture)
        for one in expected
    }
    return Checkpoint(
        kind=kind.name,
        backbone=backbone,
        method=method,
        tensors=as_stored(expected, names, tensors, {}) | head,
        task=task,
        labels=labels,
        imported={
            "format": FORMAT,
            "versions": {"adapters": config["version"].removeprefix(VERSION_PREFIX)},
            "base": config["model_name"],
            "revision": None,
            "digest": digest,
        },
    )


def _configuration(path: Path, limit: int) -> dict[str, Any]:
    config = read_json_file(path, limit)
    schema.record(COMMON)(path.name, config)
    if not config["version"].startswith(VERSION_PREFIX):
        raise InputError(
            f"{path.name}.version is {preview(config['version'])}: it must be one of the library "
            f"adapters, such as {VERSION_PREFIX}1.3.0; load it there and save it again"
        )
    found: dict[str, Any] = config
    return found


def _check_method(options: Mapping[str, Json]) -> None:
    place = f"{CONFIG}.config"
    if "architecture" in options:
        LORA["architecture"](f"{place}.architecture", options["architecture"])
        schema.record(LORA, LORA_OPTIONAL)(place, options)
    else:
        schema.record(BOTTLENECK, BOTTLENECK_OPTIONAL)(place, options)


def _head_configuration(folder: Path) -> dict[str, Any] | None:
    """Return the head's configuration; None if the head is in a file of taskbank's own."""
    if not (folder / HEAD_CONFIG).exists():
        return None
    if (folder / HEAD).exists():
        raise InputError(f"it has two heads, {HEAD_WEIGHTS} and {HEAD}: remove one")
    config = _configuration(folder / HEAD_CONFIG, MAX_HEAD_CONFIG_BYTES)
    schema.record(HEAD_OPTIONS, HEAD_OPTIONAL)(f"{HEAD_CONFIG}.config", config["config"])
    return config


def _check_backbone(place: str, config: Mapping[str, Any], backbone: Backbone) -> None:
    identity = backbone.identity
    if config["model_type"] not in ENCODERS or config["model_type"] != identity.model_type:
        raise InputError(
            f"{place}.model_type is {preview(config['model_type'])}, and the backbone is "
            f"{identity.model_type}; AdapterHub's names are known for {', '.join(ENCODERS)}"
        )
    if config["hidden_size"] != identity.hidden_size:
        raise InputError(
            f"{place}.hidden_size is {config['hidden_size']:,}, and the backbone has "
            f"{identity.hidden_size:,}"
        )


def _method(options: Mapping[str, Any], backbone: Backbone) -> MethodSpec:
    """Return the method of taskbank that computes the same, with its options."""
    count = backbone.identity.layers
    beyond = [number for number in options["leave_out"] if number >= count]
    numbers = set(range(count)) - set(options["leave_out"])
    if beyond or not numbers:
        raise InputError(
            f"{CONFIG}.config.leave_out is {preview(options['leave_out'])}: the backbone has the "
            f"layers 0 to {count - 1}, and one must be adapted"
        )
    given: dict[str, Json] = {"layers": layers_option(numbers, count)}
    if "architecture" in options:
        name, own = "lora", _lora_options(options)
    else:
        name, own = _bottleneck_options(options, backbone.identity.hidden_size)
    loaded: Method = plugins.load("methods", name)
    return MethodSpec(name, loaded.complete(given | own))


def _lora_options(options: Mapping[str, Any]) -> dict[str, Json]:
    attention = options["attn_matrices"] if options["selfattn_lora"] else []
    projections = [name for name, matrix in MATRICES.items() if matrix in attention]
    projections += ["up"] * options["intermediate_lora"] + ["down"] * options["output_lora"]
    if not projections:
        raise InputError(f"{CONFIG}.config updates no projection")
    return {
        "rank": options["r"],
        "alpha": float(options["alpha"]),
        "dropout": float(options.get("dropout", 0.0)),
        "projections": ",".join(projections),
    }


def _bottleneck_options(options: Mapping[str, Any], width: int) -> tuple[str, dict[str, Json]]:
    place, factor, scale = f"{CONFIG}.config", options["reduction_factor"], options["scaling"]
    size = int(width // factor) if factor > 0 else 0
    if not 1 <= size <= 8192:
        raise InputError(
            f"{place}.reduction_factor is {factor!r}: for the width {width} it gives the size "
            f"{size:,}, and an adapter has 1 to 8,192"
        )
    activation = next(ours for ours, one in ACTIVATIONS.items() if one == options["non_linearity"])
    given: dict[str, Json] = {"size": size, "activation": activation}
    if options["is_parallel"]:
        if options["mh_adapter"]:
            raise InputError(
                f"{place}.is_parallel and mh_adapter are true: parallel has an adapter beside the "
                "feed-forward sublayer only"
            )
        return "parallel", given | {"scale": float(scale)}
    if scale != 1:
        raise InputError(f"{place}.scaling is {scale!r}: only parallel adapters are scaled")
    # The LayerNorms are those of the base, as in all adapters of the library.
    name = "houlsby" if options["mh_adapter"] else "pfeiffer"
    return name, given | {"layernorms": "frozen"}


def _head(
    folder: Path, config: Mapping[str, Any] | None, kind: Kind, backbone: Backbone
) -> tuple[dict[str, torch.Tensor], tuple[str, ...] | None]:
    """Return the head's tensors by stored name, and the names of the classes if it tells them."""
    if config is None:
        return file_head(folder, backbone), None
    options, place = config["config"], f"{HEAD_CONFIG}.config"
    if HEAD_TYPES.get(kind.name) != options["head_type"]:
        raise InputError(
            f"{place}.head_type is {options['head_type']!r}, and the kind is {kind.name!r}, whose "
            f"head is {HEAD_TYPES.get(kind.name, 'none of the library')!r}"
        )
    pooler, given = (
        reads_pooler(kind.per_token, backbone.identity),
        options.get("use_pooler", False),
    )
    if pooler is None or pooler != given:
        raise InputError(
            f"{place}.use_pooler is {given}, and the backbone {backbone.identity.spec!r} gives "
            f"heads its pooling {backbone.identity.pooling!r}: the head reads something else"
        )
    tensors, _ = read_tensors(weights_file(folder, HEAD_WEIGHTS, HEAD_PICKLE))
    names = {head_name(config["name"], leaf): f"head.{leaf}" for leaf in ("weight", "bias")}
    head = linear_head(tensors, names)
    if len(head["head.weight"]) != options["num_labels"]:
        raise InputError(
            f"{place}.num_labels is {options['num_labels']:,}, and the head has "
            f"{len(head['head.weight']):,} outputs"
        )
    return head, _labels(place, options)


def _labels(place: str, options: Mapping[str, Any]) -> tuple[str, ...] | None:
    given = options.get("label2id")
    if given is None:
        return None
    by_number = {number: label for label, number in given.items()}
    if sorted(given.values()) != list(range(options["num_labels"])):
        raise InputError(
            f"{place}.label2id is {preview(given)}: it must have each of the numbers 0 to "
            f"{options['num_labels'] - 1:,} once"
        )
    labels = tuple(by_number[number] for number in range(len(by_number)))
    placeholders = tuple(f"{UNTOLD}{number}" for number in range(len(labels)))
    return None if labels == placeholders else labels
