"""Architectures: what each needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import run_backbone
from taskbank.backbone.load import load_backbone
from taskbank.data.tokenization import encode
from tests.helpers.backbones import MODEL_TYPES, make_backbone

TEXTS = {"text": ["the film was good", "a very sad book today and that was all"]}

PACKING = tuple(name for name in MODEL_TYPES if name != "deberta-v2")


def test_every_architecture_but_one_computes_texts_without_padding(any_backbone: Backbone) -> None:
    """DeBERTa attends by relative positions of its own, and is computed padded."""
    assert any_backbone.supports_packing == (any_backbone.identity.model_type in PACKING)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_architecture_loads_frozen_with_one_vector_a_text(
    tmp_path: Path, model_type: str
) -> None:
    """Each architecture loads frozen, says its shape, and gives a vector for each text."""
    loaded = load_backbone(str(make_backbone(tmp_path / "m", model_type)))
    assert loaded.identity.model_type == model_type
    assert (loaded.identity.hidden_size, loaded.identity.layers) == (32, 2)
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())
    batch = encode(loaded.tokenizer, TEXTS, ("text",), 32).batch(np.arange(2))
    assert run_backbone(loaded, batch, ()).vectors.shape == (2, 32)


def test_roberta_positions_leave_room_for_its_padding(tmp_path: Path) -> None:
    """RoBERTa counts positions from after the padding index, so fewer tokens fit."""
    made = make_backbone(tmp_path / "m", "roberta", max_position_embeddings=40, pad_token_id=1)
    assert load_backbone(str(made)).identity.max_length == 38
