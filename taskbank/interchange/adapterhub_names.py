"""What the library adapters 1.3 calls the tensors of a task, and its names for our options."""

from __future__ import annotations

from collections.abc import Mapping

from taskbank.backbone.architectures import DISTILBERT, Architecture
from taskbank.specs import BackboneIdentity

CONFIG, WEIGHTS, PICKLE = "adapter_config.json", "adapter.safetensors", "pytorch_adapter.bin"
HEAD_CONFIG, HEAD_WEIGHTS = "head_config.json", "model_head.safetensors"
HEAD_PICKLE = "pytorch_model_head.bin"
METHODS = ("houlsby", "pfeiffer", "parallel", "lora")
ACTIVATIONS: Mapping[str, str] = {"gelu": "gelu_new", "relu": "relu", "tanh": "tanh"}
# The projections of LoRA in the attention; `up` and `down` have options of their own.
MATRICES: Mapping[str, str] = {"query": "q", "key": "k", "value": "v"}
# The module of a layer that holds the adapters of each place.
HOLDERS: Mapping[str, str] = {"attention": "attention.output", "feed_forward": "output"}
DISTILBERT_HOLDERS: Mapping[str, str] = {
    "attention": "attention_adapters",
    "feed_forward": "output_adapters",
}
BOTTLENECK_LEAVES: Mapping[str, str] = {"down": "adapter_down.0", "up": "adapter_up"}
LORA_LEAVES: Mapping[str, str] = {"down": "lora_A", "up": "lora_B"}
# The types of heads that are one linear layer, by kind.
HEAD_TYPES: Mapping[str, str] = {
    "single": "classification",
    "pair": "classification",
    "regression": "classification",
    "multilabel": "multilabel_classification",
    "tagging": "tagging",
    "span": "question_answering",
}


def tensor_name(
    method: str, name: str, adapter: str, encoder: str, architecture: Architecture
) -> str:
    """Return the library's name for a stored tensor.

    Args:
        method: the task's method.
        name: the stored name of a tensor, not one of the head.
        adapter: the name of the adapter in the library.
        encoder: what stands before the encoder's paths, such as `bert.`.
        architecture: the backbone's architecture.
    """
    layers = f"{encoder}{architecture.layers}"
    if method == "lora":
        path, _, leaf = name.removeprefix("lora.").rpartition(".")
        return f"{layers}.{path}.loras.{adapter}.{LORA_LEAVES[leaf]}"
    parts = name.removeprefix("adapter.").split(".")
    number, (linear, leaf) = parts[0], parts[-2:]
    place = parts[1] if len(parts) == 4 else "feed_forward"  # `parallel` has one place
    holders = DISTILBERT_HOLDERS if architecture == DISTILBERT else HOLDERS
    return (
        f"{layers}.{number}.{holders[place]}.adapters.{adapter}.{BOTTLENECK_LEAVES[linear]}.{leaf}"
    )


def head_name(adapter: str, leaf: str) -> str:
    """Return the library's name for a tensor of a head, the last of dropout and linear layer."""
    return f"heads.{adapter}.1.{leaf}"


def reduction_factor(width: int, size: int) -> float | None:
    """Return the factor that gives a size; None if no factor does.

    The library divides the width by the factor and rounds down. The width over the size gives
    another size for every third; with a half more it is right.
    """
    factor = width / (size + 0.5)
    return factor if int(width // factor) == size else None


def reads_pooler(kind_per_token: bool, backbone: BackboneIdentity) -> bool | None:
    """Return whether the library's head reads the pooler; None if it has no such head.

    Args:
        kind_per_token: whether the head reads every token, which every head of that sort can.
        backbone: the backbone, whose pooling decides otherwise.
    """
    if kind_per_token:
        return False
    if backbone.pooling == "pooler":
        return True if backbone.model_type in ("bert", "roberta", "xlm-roberta") else None
    return False if backbone.pooling == "first" else None
