"""Exports a task as a folder that transformers loads alone: merged weights and a head of its own.

Only heads that compute what the task's linear head computes are used:

    per token            BERT, RoBERTa, XLM-RoBERTa, ELECTRA, DistilBERT, DeBERTa: a linear layer
    BERT                 pooler, then a linear layer, for backbones with a pooler
    RoBERTa, XLM-RoBERTa a layer with tanh, which is the backbone's pooler
    DeBERTa              the first token, through a layer that is made the identity
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import save

from taskbank.backbone.load import quiet
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.errors import InputError
from taskbank.interchange.merged import (
    PROBLEMS,
    check_merges,
    exported_head,
    files_in,
    labelled_config,
    own_outputs,
    saved_tokenizer,
)
from taskbank.interchange.model_card import model_card
from taskbank.interchange.recorded import check_predictions
from taskbank.interchange.stock_heads import ENCODERS
from taskbank.interchange.usage import transformers_usage
from taskbank.model.load import load_model, load_recorded_backbone
from taskbank.model.standalone import adapted_encoder
from taskbank.specs import BackboneIdentity

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class StockHead:
    """A head of transformers that computes what a task's head computes.

    Attributes:
        auto: the name of the automatic class of its models.
        layer: the path of its last linear layer.
        pooling: the pooling of the backbones that it suits; None for a head per token.
        prepare: given the encoder's weights and the configuration, changes the configuration and
            returns the weights of what is before the last layer.
    """

    auto: str
    layer: str
    pooling: str | None = None
    prepare: Callable[[Tensors, Any], Tensors] = lambda _encoder, _config: {}


def _dense_of_pooler(encoder: Tensors, config: Any) -> Tensors:
    return {f"classifier.dense.{part}": encoder[f"pooler.dense.{part}"] for part in PARTS}


def _identity(encoder: Tensors, config: Any) -> Tensors:
    config.pooler_hidden_act = "linear"
    size = config.pooler_hidden_size
    return {"pooler.dense.weight": torch.eye(size), "pooler.dense.bias": torch.zeros(size)}


PARTS = ("weight", "bias")
SEQUENCE = "AutoModelForSequenceClassification"
BERT = StockHead(SEQUENCE, "classifier", "pooler")
ROBERTA = StockHead(SEQUENCE, "classifier.out_proj", "pooler", _dense_of_pooler)
DEBERTA = StockHead(SEQUENCE, "classifier", "first", _identity)
PER_TEXT = {"bert": BERT, "roberta": ROBERTA, "xlm-roberta": ROBERTA, "deberta-v2": DEBERTA}
TAGS = StockHead("AutoModelForTokenClassification", "classifier")
SPANS = StockHead("AutoModelForQuestionAnswering", "qa_outputs")


def export_files(bank: Bank, record: AdapterRecord) -> dict[str, bytes]:
    """Return the files of a model that transformers loads alone.

    Args:
        bank: an open bank.
        record: the adapter.

    Raises:
        InputError: if the method cannot be merged, no head of transformers is equal to the task's,
            or the exported model does not give the recorded predictions.
        DamagedError: if stored bytes differ from what was recorded.
    """
    recorded = bank.backbone(record.backbone)
    check_merges(record, "transformers")
    stock = stock_head(record, recorded.identity)
    backbone = load_recorded_backbone(bank, recorded, device="cpu")
    (model,) = load_model(bank, record, backbone).members
    encoder, _ = adapted_encoder(model.adaptation, record.method)
    weights, config = _stock_model(record, stock, encoder, exported_head(record, model.head))
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "model.safetensors").write_bytes(save(weights, metadata={"format": "pt"}))
        (folder / "config.json").write_text(config.to_json_string(), encoding="utf-8")
        saved_tokenizer(backbone.tokenizer, record.training["max_length"], folder)
        _check_folder(bank, record, stock, folder)
        files = files_in(folder)
    usage = transformers_usage(record)
    card = model_card(bank, record, library="transformers", usage=usage)
    return files | {"README.md": card.encode()}


def stock_head(record: AdapterRecord, identity: BackboneIdentity) -> StockHead:
    """Return the head of transformers that is equal to a task's.

    Args:
        record: the adapter.
        identity: its backbone.

    Raises:
        InputError: if there is none, with the formats that can hold the task.
    """
    kind, architecture = record.kind, identity.model_type
    per_token = {"tagging": TAGS, "span": SPANS}
    if kind in per_token and architecture in ENCODERS:
        return per_token[kind]
    head = PER_TEXT.get(architecture) if kind in PROBLEMS else None
    if head is not None and head.pooling == identity.pooling:
        return head
    reads = f"the backbone's {identity.pooling} vector" if kind in PROBLEMS else "every token"
    formats = "onnx"
    if kind in PROBLEMS and identity.pooling in ("mean", "first"):
        formats = "sentence-transformers or onnx"
    raise InputError(
        f"{record.ref} cannot be exported to transformers: its head is one linear layer that reads "
        f"{reads}, and transformers has no such head for a task of kind {kind!r} on {architecture}"
        f"; export it to {formats}"
    )


def _stock_model(
    record: AdapterRecord,
    stock: StockHead,
    encoder: torch.nn.Module,
    head: tuple[torch.Tensor, ...],
) -> tuple[Tensors, Any]:
    """Return the weights and the configuration of a model of transformers."""
    own: Any = encoder
    config = labelled_config(record, own.config)
    tensors: Tensors = dict(encoder.state_dict())
    before = stock.prepare(tensors, config)
    auto = getattr(transformers, stock.auto)
    with quiet(), torch.random.fork_rng():  # its own values are replaced
        made = auto.from_config(config, attn_implementation="eager")
    prefix = f"{made.base_model_prefix}."
    state = {f"{prefix}{name}": tensor for name, tensor in tensors.items()} | before
    state |= {f"{stock.layer}.{part}": tensor for part, tensor in zip(PARTS, head, strict=True)}
    wanted = made.state_dict().keys()
    state = {
        name: tensor.contiguous()
        for name, tensor in state.items()
        if name in wanted or not name.startswith(f"{prefix}pooler.")  # no head per token has one
    }
    made.load_state_dict(state)
    config.architectures = [type(made).__name__]
    config.dtype = "float32"
    return state, config


def _check_folder(bank: Bank, record: AdapterRecord, stock: StockHead, folder: Path) -> None:
    """Raise unless transformers, given the folder alone, gives the recorded predictions."""
    with quiet():
        model = getattr(transformers, stock.auto).from_pretrained(folder).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    @torch.inference_mode()
    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        tensors = {name: torch.from_numpy(values) for name, values in inputs.items()}
        found = model(**tensors)
        if stock is SPANS:
            return np.stack([found.start_logits.numpy(), found.end_logits.numpy()], axis=-1)
        logits: np.ndarray = found.logits.numpy()
        return logits

    check_predictions(bank, record, tokenizer, own_outputs(record, run), "the transformers model")
