"""The model classes of transformers whose head computes what a task's head does.

A task's head is one linear layer: on the vector of an input, or on every token's state. Of the
classes for whole texts, only BERT's reads the pooler's output with one linear layer; RoBERTa,
DistilBERT, DeBERTa and ModernBERT have further layers of their own. Of the classes for tokens, only
ModernBERT's has such layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbank.specs import BackboneIdentity

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

# The name of the encoder in a model with a head, by `model_type`.
ENCODERS: Mapping[str, str] = {
    "bert": "bert",
    "roberta": "roberta",
    "xlm-roberta": "roberta",
    "electra": "electra",
    "distilbert": "distilbert",
    "deberta-v2": "deberta",
}


@dataclass(frozen=True)
class StockHead:
    """A head of transformers.

    Attributes:
        task_type: the name that peft has for models with it.
        model: the name of the models, after `AutoModelFor` and `AutoPeftModelFor`.
        module: the path of the linear layer in the model.
        encoder: the path of the encoder in the model.
    """

    task_type: str
    model: str
    module: str
    encoder: str


def stock_head(kind: Kind, backbone: BackboneIdentity) -> StockHead | None:
    """Return the head of transformers that computes what a task's head does; None if none does."""
    encoder = ENCODERS.get(backbone.model_type)
    if encoder is None:
        return None
    if kind.name == "span":
        return StockHead("QUESTION_ANS", "QuestionAnswering", "qa_outputs", encoder)
    if kind.per_token:
        return StockHead("TOKEN_CLS", "TokenClassification", "classifier", encoder)
    if (backbone.model_type, backbone.pooling) == ("bert", "pooler"):
        return StockHead("SEQ_CLS", "SequenceClassification", "classifier", encoder)
    return None
