"""Folders whose `encode` gives a task's scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from tests.helpers.backbones import make_backbone
from tests.helpers.checked_exports import check_export
from tests.helpers.exports import put_task

sentence_transformers = pytest.importorskip("sentence_transformers")


@pytest.mark.parametrize("kind", ["single", "pair", "multilabel", "regression"])
def test_every_kind_of_one_vector_gives_its_recorded_answers(
    own: Bank, backbone: Backbone, tmp_path: Path, kind: str
) -> None:
    """The library loads the folder alone, and `encode` gives the scores of the recorded ones."""
    record = put_task(own, backbone, kind, "lora")
    folder = check_export(own, record, backbone, "sentence-transformers", tmp_path)
    # A pooler that is not part of the folder would be made of random values, with a warning.
    assert sentence_transformers.SentenceTransformer(str(folder))[0].auto_model.pooler is None


@pytest.mark.parametrize("model_type", ["roberta", "distilbert", "deberta-v2", "modernbert"])
def test_the_first_token_of_every_architecture_is_pooled(
    own: Bank, tmp_path: Path, model_type: str
) -> None:
    """Methods that merge are merged, and the first token is what the head reads."""
    place = make_backbone(tmp_path / "encoder", model_type)
    (place / "1_Pooling").mkdir()
    (place / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls"}')
    backbone = load_backbone(str(place))
    record = put_task(own, backbone, "single", "ia3")
    check_export(own, record, backbone, "sentence-transformers", tmp_path)
