"""Reads a checkpoint of peft as untrusted input: LoRA, (IA)³ and LayerNorm tuning.

What peft's configuration can say and the method of taskbank does not compute is refused, and so is
every tensor too many or too few: peft itself only warns, and goes on with random values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from taskbank import plugins
from taskbank.backbone.architectures import PROJECTIONS
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.data.fields import preview
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.interchange import schema
from taskbank.interchange.checkpoint import (
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
from taskbank.interchange.peft_names import (
    CONFIG,
    LEAVES,
    MAX_CONFIG_BYTES,
    METHODS,
    PICKLE,
    PREFIX,
    WEIGHTS,
    is_feed_forward,
    module_and_leaf,
)
from taskbank.interchange.peft_targets import target_modules
from taskbank.interchange.schema import off, only
from taskbank.interchange.stock_heads import ENCODERS, stock_head
from taskbank.interchange.task_file import read_json_file
from taskbank.interchange.tensors import read_tensors
from taskbank.specs import MethodSpec

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.methods.method import Method

FORMAT = "peft"
HEADS = ("classifier", "score", "qa_outputs")  # which peft saves whole, by the type of the task
TASK_TYPES = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION")

_names = schema.items(schema.text(1000), most=100_000)


def _targets(place: str, value: Json) -> None:
    (schema.text() if isinstance(value, str) else _names)(place, value)


NOT_SAME = "taskbank has nothing that computes the same"
COMMON: dict[str, schema.Check] = {
    "peft_type": schema.one_of(tuple(METHODS)),
    "target_modules": _targets,
}
COMMON_OPTIONAL: dict[str, schema.Check] = {
    "auto_mapping": schema.plain,  # which classes were wrapped; the tensors tell
    "base_model_name_or_path": schema.or_null(schema.text(10_000)),
    "exclude_modules": off("write a pattern in target_modules that leaves them out"),
    "inference_mode": schema.boolean,
    "modules_to_save": schema.or_null(_names),
    "peft_version": schema.text(100),
    "revision": schema.or_null(schema.text(1000)),
    "task_type": schema.or_null(schema.one_of(TASK_TYPES)),
}
ANY = schema.plain  # has no effect on what a trained adapter computes
OWN: Mapping[str, dict[str, schema.Check]] = {
    "LORA": {
        "alora_invocation_tokens": off(f"of aLoRA, {NOT_SAME}"),
        "alpha_pattern": off("the modules of a task have one alpha"),
        "arrow_config": off(f"of Arrow, {NOT_SAME}"),
        "bias": only("none", reason="biases are trained too, which lora does not do"),
        "corda_config": off("CorDA changes the base model's weights"),
        "ensure_weight_tying": off("tied embeddings are not adapted"),
        "eva_config": ANY,
        "fan_in_fan_out": off("the weights of the base are stored transposed"),
        "init_lora_weights": only(
            True,
            False,
            "gaussian",
            "eva",
            "orthogonal",
            reason="such initial values change the base model's weights, so the adapter alone is "
            "not what was trained; convert it to plain LoRA with "
            "path_initial_model_for_weight_conversion of peft",
        ),
        "kasa_config": off(f"of KaSA, {NOT_SAME}"),
        "layer_replication": off("layers of the base are repeated"),
        "layers_pattern": off("write a pattern in target_modules"),
        "layers_to_transform": off("write a pattern in target_modules that has the layers"),
        "loftq_config": off("LoftQ changes the base model's weights"),
        "lora_alpha": schema.number(0),
        "lora_bias": off("the updates have biases, which those of lora do not have"),
        "lora_dropout": schema.number(0),
        "lora_ga_config": off("LoRA-GA changes the base model's weights"),
        "megatron_config": off("the base is split over processes"),
        "megatron_core": ANY,
        "monteclora_config": off(f"of MonteCLoRA, {NOT_SAME}"),
        "qalora_group_size": ANY,
        "r": schema.whole(1, 4096),
        "rank_pattern": off("the modules of a task have one rank"),
        "runtime_config": ANY,
        "target_parameters": off("parameters that are no modules are not adapted"),
        "trainable_token_indices": off("embeddings of tokens are trained too"),
        "use_bdlora": off(f"of BD-LoRA, {NOT_SAME}"),
        "use_dora": off("DoRA also scales the columns of the weights, which lora does not do"),
        "use_qalora": off(f"of QALoRA, {NOT_SAME}"),
        "use_rslora": schema.boolean,
        "velora_config": off(f"of VeLoRA, {NOT_SAME}"),
    },
    "IA3": {
        "fan_in_fan_out": off("the weights of the base are stored transposed"),
        "feedforward_modules": _targets,
        "init_ia3_weights": schema.boolean,
    },
    "LN_TUNING": {},
}
REQUIRED_OWN = {"LORA": ("r", "lora_alpha"), "IA3": ("feedforward_modules",), "LN_TUNING": ()}


@dataclass(frozen=True)
class _Places:
    """Where a checkpoint's tensors are.

    Attributes:
        encoder: what stands before the encoder's paths, such as `bert.`; empty without.
        head: the name of its head, such as `classifier`; None without.
        modules: the paths of the changed modules in the encoder.
    """

    encoder: str
    head: str | None
    modules: tuple[str, ...]


def read_checkpoint(bank: Bank, folder: Path, options: ImportOptions) -> Checkpoint:
    """Return the adapter that a folder of peft holds.

    Args:
        bank: an open bank.
        folder: the folder.
        options: what the import is asked for.

    Raises:
        InputError: if the folder is not one adapter, if it holds what no method of taskbank
            computes, if its tensors are not exactly those of its modules and a head, or if its
            base is not known.
    """
    check_options(options, FORMAT)
    check_single(folder, CONFIG)
    config = _configuration(folder)
    task = task_of(folder, options)
    kind: Kind = plugins.load("kinds", task["kind"])
    tensors, digest = read_tensors(weights_file(folder, WEIGHTS, PICKLE))
    base, revision = config.get("base_model_name_or_path"), config.get("revision")
    backbone = named_backbone(bank, base or None, revision, options.backbone)
    places = _find(tensors, config, backbone)
    _check_targets(config, places, backbone)
    method = _method(config, places, backbone)
    head = _head(folder, places, tensors, kind, config, backbone)
    own = {name: tensor for name, tensor in tensors.items() if name not in _head_names(places)}
    expected = expected_tensors(method, kind, backbone)
    stored = _stored(expected, places, own, method.name, backbone)
    versions = {"peft": config["peft_version"]} if "peft_version" in config else {}
    return Checkpoint(
        kind=kind.name,
        backbone=backbone,
        method=method,
        tensors=stored | head,
        task=task,
        labels=None,
        imported={
            "format": FORMAT,
            "versions": versions,
            "base": base,
            "revision": revision,
            "digest": digest,
        },
    )


def _configuration(folder: Path) -> dict[str, Any]:
    config = read_json_file(folder / CONFIG, MAX_CONFIG_BYTES)
    place = CONFIG
    if not isinstance(config, dict):
        raise InputError(f"{place} is {preview(config)}: it must be an object")
    kind = config.get("peft_type")
    if not isinstance(kind, str) or kind not in METHODS:
        raise InputError(
            f"{place}.peft_type is {preview(kind)}: taskbank has methods that compute the same for "
            f"{', '.join(METHODS)}"
        )
    required = COMMON | {name: OWN[kind][name] for name in REQUIRED_OWN[kind]}
    schema.record(required, COMMON_OPTIONAL | OWN[kind])(place, config)
    return config


def _find(
    tensors: Mapping[str, torch.Tensor], config: Mapping[str, Json], backbone: Backbone
) -> _Places:
    """Return where a checkpoint's tensors are, which their names tell."""
    wrong = next((name for name in tensors if not name.startswith(PREFIX)), None)
    if wrong is not None:
        raise InputError(f"tensor {wrong!r} is none of peft: its name must start {PREFIX!r}")
    names = [name.removeprefix(PREFIX) for name in tensors]
    heads = sorted({name.partition(".")[0] for name in names} & set(HEADS))
    if len(heads) > 1:
        raise InputError(f"it has the heads {' and '.join(heads)}, and a task has one")
    encoder = f"{ENCODERS.get(backbone.identity.model_type, 'model')}."
    own = [name for name in names if name.partition(".")[0] not in HEADS]
    encoder = encoder if own and all(name.startswith(encoder) for name in own) else ""
    leaves = tuple(LEAVES[METHODS[str(config["peft_type"])]].values())
    modules = {}
    for name in own:
        leaf = next((leaf for leaf in leaves if name.endswith(f".{leaf}")), None)
        if leaf is None:
            raise InputError(
                f"tensor {PREFIX + name!r} is unexpected: {config['peft_type']} has "
                f"tensors that end in {', '.join(leaves)}"
            )
        modules[name.removeprefix(encoder).removesuffix(f".{leaf}")] = True
    return _Places(encoder, heads[0] if heads else None, tuple(modules))


def _check_targets(config: Mapping[str, Any], places: _Places, backbone: Backbone) -> None:
    """Raise unless the tensors are of the modules that the configuration names."""
    modules = dict(backbone.model.named_modules())
    paths = [f"{places.encoder}{path}" for path in modules if path]
    linear = {
        f"{places.encoder}{path}"
        for path, module in modules.items()
        if isinstance(module, torch.nn.Linear)
    }
    named = target_modules(f"{CONFIG}.target_modules", config["target_modules"], paths, linear)
    found = {f"{places.encoder}{module}" for module in places.modules}
    if named != found:
        raise InputError(
            f"{CONFIG}.target_modules names {len(named):,} modules of this backbone and the "
            f"tensors are of {len(found):,}: only named is "
            f"{min(named - found, default='none')}, only with tensors is "
            f"{min(found - named, default='none')}"
        )
    if config["peft_type"] == "IA3":
        place = f"{CONFIG}.feedforward_modules"
        forward = target_modules(place, config["feedforward_modules"], paths, linear)
        for module in places.modules:
            own = is_feed_forward(module, backbone.architecture)
            if own != (f"{places.encoder}{module}" in forward):
                raise InputError(
                    f"{place} {'leaves out' if own else 'names'} {module}: ia3 scales the input of "
                    f"{backbone.architecture.projections['down']} and the output of other modules"
                )


def _method(config: Mapping[str, Any], places: _Places, backbone: Backbone) -> MethodSpec:
    """Return the method of taskbank that computes the same, with its options."""
    name, architecture = METHODS[config["peft_type"]], backbone.architecture
    prefix = f"{architecture.layers}."
    numbers, inside = set(), set()
    for module in places.modules:
        number, _, path = module.removeprefix(prefix).partition(".")
        if module.startswith(prefix) and number.isdecimal():
            numbers.add(int(number))
            inside.add(path)
        elif name != "layernorm":
            raise InputError(f"it changes the module {module!r}, which {name} does not change")
    if not numbers:
        raise InputError("it changes no layer of the backbone")
    given: dict[str, Json] = {"layers": layers_option(numbers, backbone.identity.layers)}
    if name == "lora":
        known = {architecture.projections[one] for one in PROJECTIONS}
        if not inside <= known:
            raise InputError(
                f"it changes {min(inside - known)} in a layer, and lora changes "
                f"{', '.join(sorted(known))}"
            )
        chosen = [one for one in PROJECTIONS if architecture.projections[one] in inside]
        given |= {"projections": ",".join(chosen), **_lora_options(config)}
    if name == "ia3":
        wanted = {architecture.projections[one] for one in ("key", "value", "down")}
        if inside != wanted:
            raise InputError(
                f"it scales {', '.join(sorted(inside))} in a layer, and ia3 scales exactly "
                f"{', '.join(sorted(wanted))}; peft's own choice for BERT, output.dense, scales "
                "the attention's output too"
            )
    loaded: Method = plugins.load("methods", name)
    return MethodSpec(name, loaded.complete(given))


def _lora_options(config: Mapping[str, Any]) -> dict[str, Json]:
    rank, alpha = config["r"], float(config["lora_alpha"])
    if config.get("use_rslora", False):
        # Its scale is alpha / √r, which must be that of lora to the last bit.
        scale, alpha = alpha / math.sqrt(rank), alpha * math.sqrt(rank)
        if alpha / rank != scale:
            raise InputError(
                f"{CONFIG}.use_rslora is true: the scale {config['lora_alpha']:g} / √{rank} is no "
                f"alpha / {rank} to the last bit"
            )
    return {"rank": rank, "alpha": alpha, "dropout": float(config.get("lora_dropout", 0.0))}


def _head_names(places: _Places) -> tuple[str, ...]:
    return () if places.head is None else tuple(_head_keys(places.head))


def _head_keys(head: str) -> dict[str, str]:
    return {f"{PREFIX}{head}.{leaf}": f"head.{leaf}" for leaf in ("weight", "bias")}


def _head(
    folder: Path,
    places: _Places,
    tensors: Mapping[str, torch.Tensor],
    kind: Kind,
    config: Mapping[str, Any],
    backbone: Backbone,
) -> dict[str, torch.Tensor]:
    """Return the head's tensors by stored name."""
    saved = config.get("modules_to_save") or []
    others = sorted(set(saved) - set(HEADS))
    if others:
        raise InputError(
            f"{CONFIG}.modules_to_save has {preview(others[0])}: of whole modules, taskbank takes "
            "only the head"
        )
    if places.head is None and saved:
        raise InputError(
            f"{CONFIG}.modules_to_save names {', '.join(saved)}, and there are no tensors of them"
        )
    if places.head is None:
        head = file_head(folder, backbone)
        if config.get("task_type") not in (None, "FEATURE_EXTRACTION"):
            raise InputError(
                f"{CONFIG}.task_type is {config['task_type']!r}, whose head should be in {WEIGHTS}"
            )
        return head
    if places.head not in saved:
        raise InputError(
            f"it has tensors of {places.head!r}, which {CONFIG}.modules_to_save does not name"
        )
    own, task_type = stock_head(kind, backbone.identity, linear=True), config.get("task_type")
    if own is None or own.module != places.head or task_type not in (None, own.task_type):
        identity = backbone.identity
        raise InputError(
            f"it has the head {places.head!r} of the task type {task_type}, and for "
            f"kind {kind.name!r} on {identity.model_type} with the pooling {identity.pooling!r} "
            + (
                "no head of transformers is the single linear layer that taskbank has"
                if own is None
                else f"taskbank computes what {own.module!r} of {own.task_type} does"
            )
        )
    names = _head_keys(places.head)
    found = {name: tensor for name, tensor in tensors.items() if name in names}
    extra = next(
        (
            name
            for name in tensors
            if name.startswith(f"{PREFIX}{places.head}.") and name not in names
        ),
        None,
    )
    if extra is not None:
        raise InputError(f"the head has {extra!r}: it must be one linear layer")
    return linear_head(found, names)


def _stored(
    expected: Mapping[str, torch.Tensor],
    places: _Places,
    tensors: Mapping[str, torch.Tensor],
    method: str,
    backbone: Backbone,
) -> dict[str, torch.Tensor]:
    """Return the adapter's tensors by stored name."""
    names, shapes = {}, {}
    for name, tensor in expected.items():
        module, leaf = module_and_leaf(method, name, backbone.architecture)
        names[name] = f"{PREFIX}{places.encoder}{module}.{leaf}"
        if method == "ia3":
            size = tensor.numel()
            forward = is_feed_forward(module, backbone.architecture)
            shapes[name] = (1, size) if forward else (size, 1)
    return as_stored(expected, names, tensors, shapes)
