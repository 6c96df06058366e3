"""What peft calls the tensors of a task, and the modules that they change."""

from __future__ import annotations

from collections.abc import Mapping

from taskbank.backbone.architectures import Architecture

CONFIG, WEIGHTS, PICKLE = (
    "adapter_config.json",
    "adapter_model.safetensors",
    "adapter_model.bin",
)
MAX_CONFIG_BYTES = 2**20
PREFIX = "base_model.model."
METHODS: Mapping[str, str] = {"LORA": "lora", "IA3": "ia3", "LN_TUNING": "layernorm"}
# The last part of a tensor's name in peft, by the last part of its stored name.
LEAVES: Mapping[str, Mapping[str, str]] = {
    "lora": {"down": "lora_A.weight", "up": "lora_B.weight"},
    "ia3": {"scale": "ia3_l"},
    "layernorm": {"weight": "ln_tuning_layers.weight", "bias": "ln_tuning_layers.bias"},
}


def module_and_leaf(method: str, name: str, architecture: Architecture) -> tuple[str, str]:
    """Return the path of the module that a stored tensor changes, and peft's name for the tensor.

    Args:
        method: the task's method, a value of `METHODS`.
        name: the stored name of a tensor, not one of the head.
        architecture: the backbone's architecture.
    """
    path, _, leaf = name.removeprefix(f"{method}.").rpartition(".")
    module = path if method == "layernorm" else f"{architecture.layers}.{path}"
    return module, LEAVES[method][leaf]


def is_feed_forward(path: str, architecture: Architecture) -> bool:
    """Return whether (IA)³ scales the input of a module, and not its output.

    Args:
        path: the module's path in the encoder.
        architecture: the backbone's architecture.
    """
    layer_path = path.removeprefix(f"{architecture.layers}.").partition(".")[2]
    return layer_path == architecture.projections["down"]
