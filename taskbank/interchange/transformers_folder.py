"""Exports a task as a folder that transformers loads alone: merged weights and one of its heads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import save

from taskbank import plugins
from taskbank.backbone.load import quiet
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.interchange.merged import (
    exported_head,
    files_in,
    labelled_config,
    own_outputs,
    saved_tokenizer,
)
from taskbank.interchange.model_card import model_card
from taskbank.interchange.recorded import check_predictions
from taskbank.interchange.stock_heads import PARTS, StockHead, Tensors, stock_head
from taskbank.interchange.usage import transformers_usage
from taskbank.model.load import load_model, load_recorded_backbone
from taskbank.model.standalone import adapted_encoder


def export_files(bank: Bank, record: AdapterRecord) -> dict[str, bytes]:
    """Return the files of a model that transformers loads alone.

    Args:
        bank: an open bank.
        record: an adapter that such a model can hold.

    Raises:
        InputError: if the exported model does not give the recorded predictions.
        DamagedError: if stored bytes differ from what was recorded.
    """
    recorded = bank.backbone(record.backbone)
    stock = stock_head(plugins.load("kinds", record.kind), recorded.identity)
    assert stock is not None  # noqa: S101 - `check_holds` has told
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
    before = {} if stock.before is None else stock.before(tensors, config)
    with quiet(), torch.random.fork_rng():  # its own values are replaced
        made = _automatic(stock).from_config(config, attn_implementation="eager")
    prefix = f"{stock.encoder}."
    state = {f"{prefix}{name}": tensor for name, tensor in tensors.items()} | before
    state |= {f"{stock.module}.{part}": tensor for part, tensor in zip(PARTS, head, strict=True)}
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


def _automatic(stock: StockHead) -> Any:
    """Return the automatic class of the models with a head."""
    return getattr(transformers, f"AutoModelFor{stock.model}")


def _check_folder(bank: Bank, record: AdapterRecord, stock: StockHead, folder: Path) -> None:
    """Raise unless transformers, given the folder alone, gives the recorded predictions."""
    with quiet():
        model = _automatic(stock).from_pretrained(folder).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    @torch.inference_mode()
    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        tensors = {name: torch.from_numpy(values) for name, values in inputs.items()}
        found = model(**tensors)
        if stock.model == "QuestionAnswering":
            return np.stack([found.start_logits.numpy(), found.end_logits.numpy()], axis=-1)
        logits: np.ndarray = found.logits.numpy()
        return logits

    check_predictions(bank, record, tokenizer, own_outputs(record, run), "the transformers model")
