"""Exports an adapter as the library adapters 1.3 stores it, in safetensors.

    FOLDER/adapter_config.json          the method's options
    FOLDER/adapter.safetensors          its tensors
    FOLDER/head_config.json             the head, where the library has one that computes the same
    FOLDER/model_head.safetensors       its tensors
    FOLDER/head.safetensors             otherwise the head, `weight` and `bias`
    FOLDER/task.json                    kind, labels and settings, for which it has no place
    FOLDER/README.md                    the model card, with code that loads it

Every value is the stored one, and the library computes the same from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safetensors.numpy import load, save

from taskbank import plugins
from taskbank.backbone.architectures import architecture_of
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.digests import Json
from taskbank.interchange.adapter_usage import adapterhub_usage
from taskbank.interchange.adapterhub_names import (
    ACTIVATIONS,
    CONFIG,
    HEAD_CONFIG,
    HEAD_TYPES,
    HEAD_WEIGHTS,
    MATRICES,
    WEIGHTS,
    head_name,
    reads_pooler,
    reduction_factor,
    tensor_name,
)
from taskbank.interchange.base_names import base_of
from taskbank.interchange.checkpoint import HEAD
from taskbank.interchange.model_card import model_card
from taskbank.interchange.stock_heads import ENCODERS
from taskbank.interchange.task_file import TASK_FILE, json_file, task_file
from taskbank.methods.layers import select_layers
from taskbank.specs import BackboneIdentity

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

VERSION = "adapters.1.3.0"  # whose names and options these are
CLASSES = {
    "bert": "BertAdapterModel",
    "roberta": "RobertaAdapterModel",
    "xlm-roberta": "XLMRobertaAdapterModel",
    "electra": "ElectraAdapterModel",
    "distilbert": "DistilBertAdapterModel",
    "deberta-v2": "DebertaV2AdapterModel",
}


def export_files(bank: Bank, record: AdapterRecord) -> dict[str, bytes]:
    """Return the files of an adapter in AdapterHub's format.

    Args:
        bank: an open bank.
        record: an adapter that AdapterHub can hold.

    Raises:
        DamagedError: if stored bytes differ from what was recorded.
    """
    identity = bank.backbone(record.backbone).identity
    stored = load(bank.weights(record))
    own = {name: stored[name] for name in sorted(stored) if not name.startswith("head.")}
    architecture = architecture_of(identity.model_type)
    encoder = f"{ENCODERS[identity.model_type]}."
    name = record.task.replace(".", "_")  # the library's names are names of modules
    base, _ = base_of(identity.spec)
    common = {
        "hidden_size": identity.hidden_size,
        "model_class": CLASSES[identity.model_type],
        "model_name": base,
        "model_type": identity.model_type,
        "name": name,
        "version": VERSION,
    }
    options = _lora(record, identity) if record.method == "lora" else _bottleneck(record, identity)
    kind: Kind = plugins.load("kinds", record.kind)
    linear = {leaf: stored[f"head.{leaf}"] for leaf in ("weight", "bias")}
    head = _head_options(record, kind, identity)
    if head is None:
        files = {HEAD: save(linear)}
    else:
        tensors = {head_name(name, leaf): array for leaf, array in linear.items()}
        files = {
            HEAD_WEIGHTS: save(tensors),
            HEAD_CONFIG: json_file({"config": head, **common}),
        }
    usage = adapterhub_usage(record, kind, identity, own_head=head is None)
    return files | {
        WEIGHTS: save(
            {
                tensor_name(record.method, one, name, encoder, architecture): array
                for one, array in own.items()
            }
        ),
        TASK_FILE: task_file(record),
        "README.md": model_card(bank, record, library="adapters", usage=usage).encode(),
        CONFIG: json_file({"config": options, **common}),  # last: without it, nothing is loaded
    }


def _left_out(record: AdapterRecord, identity: BackboneIdentity) -> list[int]:
    adapted = select_layers(record.options["layers"], identity.layers)
    return [number for number in range(identity.layers) if number not in adapted]


def _bottleneck(record: AdapterRecord, identity: BackboneIdentity) -> dict[str, Json]:
    options = record.options
    parallel = record.method == "parallel"
    return {
        "adapter_residual_before_ln": False,
        "cross_adapter": False,
        "dropout": 0.0,
        "factorized_phm_W": True,
        "factorized_phm_rule": False,
        "hypercomplex_nonlinearity": "glorot-uniform",
        "init_weights": "mam_adapter" if parallel else "bert",
        "init_weights_seed": None,
        "inv_adapter": None,
        "inv_adapter_reduction_factor": None,
        "is_parallel": parallel,
        "learn_phm": True,
        "leave_out": _left_out(record, identity),
        "ln_after": False,
        "ln_before": False,
        "mh_adapter": record.method == "houlsby",
        "non_linearity": ACTIVATIONS[options["activation"]],
        "original_ln_after": True,
        "original_ln_before": False,
        "output_adapter": True,
        "phm_bias": True,
        "phm_c_init": "normal",
        "phm_dim": 4,
        "phm_init_range": 0.0001,
        "phm_layer": False,
        "phm_rank": 1,
        "reduction_factor": reduction_factor(identity.hidden_size, options["size"]),
        "residual_before_ln": True,
        "scaling": float(options["scale"]) if parallel else 1.0,
        "shared_W_phm": False,
        "shared_phm_rule": True,
        "stochastic_depth": 0.0,
        "use_gating": False,
    }


def _lora(record: AdapterRecord, identity: BackboneIdentity) -> dict[str, Json]:
    options = record.options
    projections = options["projections"].split(",")
    matrices = [MATRICES[name] for name in projections if name in MATRICES]
    return {
        "alpha": int(options["alpha"]),
        "architecture": "lora",
        "attn_matrices": matrices,
        "composition_mode": "add",
        "dropout": options["dropout"],
        "dtype": None,
        "init_weights": "lora",
        "init_weights_seed": None,
        "intermediate_lora": "up" in projections,
        "leave_out": _left_out(record, identity),
        "output_lora": "down" in projections,
        "r": options["rank"],
        "selfattn_lora": bool(matrices),
        "use_dora": False,
        "use_gating": False,
        "vera_b": None,
        "vera_d": None,
    }


def _head_options(
    record: AdapterRecord, kind: Kind, identity: BackboneIdentity
) -> dict[str, Any] | None:
    """Return the options of the library's head; None if it has none that computes the same."""
    pooler = reads_pooler(kind.per_token, identity)
    if pooler is None or kind.name not in HEAD_TYPES:
        return None
    outputs = kind.outputs(record.definition)
    labels = list(record.labels) or [f"LABEL_{number}" for number in range(outputs)]
    options: dict[str, Any] = {
        "activation_function": "tanh",
        "dropout_prob": None,
        "head_type": HEAD_TYPES[kind.name],
        "label2id": {label: number for number, label in enumerate(labels)},
        "layers": 1,
        "num_labels": outputs,
    }
    return options if kind.per_token else options | {"bias": True, "use_pooler": pooler}
