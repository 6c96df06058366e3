"""Exports a task as a folder of sentence-transformers whose `encode` gives the task's scores.

The modules are the encoder with the task's weights merged, the backbone's pooling and one linear
layer, the task's head. The files are written here, under the names that every version of the
library reads, so that it need not be installed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from safetensors.torch import save

from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.digests import Json
from taskbank.interchange.merged import (
    exported_head,
    files_in,
    labelled_config,
    own_outputs,
    saved_tokenizer,
)
from taskbank.interchange.model_card import model_card
from taskbank.interchange.recorded import check_predictions
from taskbank.interchange.usage import sentence_transformers_usage
from taskbank.model.load import load_model, load_recorded_backbone
from taskbank.model.standalone import StandaloneModel
from taskbank.specs import BackboneIdentity

POOLING = {"mean": "pooling_mode_mean_tokens", "first": "pooling_mode_cls_token"}
MODES = (*POOLING.values(), "pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens")
MODULES = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense"))


def export_files(bank: Bank, record: AdapterRecord) -> dict[str, bytes]:
    """Return the files of a model that sentence-transformers loads alone.

    Args:
        bank: an open bank.
        record: an adapter that such a model can hold.

    Raises:
        InputError: if the exported model does not give the recorded predictions.
        DamagedError: if stored bytes differ from what was recorded.
    """
    recorded = bank.backbone(record.backbone)
    backbone = load_recorded_backbone(bank, recorded, device="cpu")
    (own,) = load_model(bank, record, backbone).members
    model = StandaloneModel(own, record.method)
    weight, bias = exported_head(record, model.head)
    model.head.weight.data, model.head.bias.data = weight, bias
    tensors = {name: tensor.contiguous() for name, tensor in model.encoder.state_dict().items()}

    @torch.inference_mode()
    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        tensors = {name: torch.from_numpy(values) for name, values in inputs.items()}
        outputs: np.ndarray = model(**tensors).numpy()
        return outputs

    check_predictions(
        bank, record, backbone.tokenizer, own_outputs(record, run), "the merged model"
    )
    with TemporaryDirectory() as place:
        saved_tokenizer(backbone.tokenizer, record.training["max_length"], Path(place))
        files = files_in(Path(place))
    config = labelled_config(record, backbone.model.config)
    config.architectures = [type(backbone.model).__name__]
    files["config.json"] = config.to_json_string().encode()
    files["model.safetensors"] = save(tensors, metadata={"format": "pt"})
    files["2_Dense/model.safetensors"] = save({"linear.weight": weight, "linear.bias": bias})
    settings = _settings(record, recorded.identity)
    if hasattr(backbone.model, "pooler"):  # which would get random values, unused, and a warning
        settings["sentence_bert_config.json"]["model_args"] = {"add_pooling_layer": False}
    files |= {name: _json(value) for name, value in settings.items()}
    usage = sentence_transformers_usage(record)
    card = model_card(bank, record, library="sentence-transformers", usage=usage)
    return files | {"README.md": card.encode()}


def _settings(record: AdapterRecord, identity: BackboneIdentity) -> dict[str, Json]:
    """Return the files that describe the modules, by path."""
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{name}"}
        for n, (path, name) in enumerate(MODULES)
    ]
    pooling = {mode: mode == POOLING[identity.pooling] for mode in MODES}
    dense = {
        "in_features": identity.hidden_size,
        "out_features": max(len(record.labels), 1),
        "bias": True,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    length = record.training["max_length"]
    return {
        "modules.json": modules,
        "config_sentence_transformers.json": {"__version__": {}, "prompts": {}},
        "sentence_bert_config.json": {"max_seq_length": length, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": identity.hidden_size} | pooling,
        "2_Dense/config.json": dense,
    }


def _json(value: Json) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
