"""The heads of transformers that compute what a task's head does, or can be made to.

A task's head is one linear layer, on the vector of an input or on every token's state:

    per token              one linear layer in every architecture but ModernBERT
    BERT                   one linear layer on the vector of the pooler
    RoBERTa, XLM-RoBERTa   a layer with tanh first, which is made the backbone's pooler
    DeBERTa                the first token through a layer first, which is made the identity

The heads for whole texts of other architectures, and of these with another pooling, cannot be made
equal; nor can the one for tokens of ModernBERT, which has layers of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from taskbank.specs import BackboneIdentity

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

Tensors = dict[str, torch.Tensor]
PARTS = ("weight", "bias")

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
        module: the path of the last linear layer in the model.
        encoder: the path of the encoder in the model.
        before: given the encoder's weights and the configuration, changes the configuration and
            returns the weights of the layer before the last one; None if there is no such layer.
    """

    task_type: str
    model: str
    module: str
    encoder: str
    before: Callable[[Tensors, Any], Tensors] | None = None


def _pooler(encoder: Tensors, config: Any) -> Tensors:
    return {f"classifier.dense.{part}": encoder[f"pooler.dense.{part}"] for part in PARTS}


def _identity(encoder: Tensors, config: Any) -> Tensors:
    config.pooler_hidden_act = "linear"
    size = config.pooler_hidden_size
    return {"pooler.dense.weight": torch.eye(size), "pooler.dense.bias": torch.zeros(size)}


# Of the heads that read one vector: the last layer and what is before it, by `model_type` and
# pooling of the backbone.
PER_TEXT = {
    ("bert", "pooler"): ("classifier", None),
    ("roberta", "pooler"): ("classifier.out_proj", _pooler),
    ("xlm-roberta", "pooler"): ("classifier.out_proj", _pooler),
    ("deberta-v2", "first"): ("classifier", _identity),
}


def stock_head(kind: Kind, backbone: BackboneIdentity, *, linear: bool = False) -> StockHead | None:
    """Return the head of transformers that is equal to a task's; None if none is.

    Args:
        kind: the task's kind.
        backbone: the identity of its backbone.
        linear: whether the head must be one linear layer, with nothing before it.
    """
    encoder = ENCODERS.get(backbone.model_type)
    if encoder is None:
        return None
    if kind.name == "span":
        return StockHead("QUESTION_ANS", "QuestionAnswering", "qa_outputs", encoder)
    if kind.per_token:
        return StockHead("TOKEN_CLS", "TokenClassification", "classifier", encoder)
    module, before = PER_TEXT.get((backbone.model_type, backbone.pooling), (None, None))
    if module is None or (linear and before is not None):
        return None
    return StockHead("SEQ_CLS", "SequenceClassification", module, encoder, before)
