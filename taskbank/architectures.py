"""Where adapters go in each architecture: module paths, and nothing else.

An architecture that is not in the table of `plugins` is named by a package that registers
an `Architecture` under its `model_type` in the entry point group `taskbank.architectures`.
"""

from __future__ import annotations

from dataclasses import dataclass

from taskbank import plugins
from taskbank.errors import InputError


@dataclass(frozen=True)
class Architecture:
    """Names of the modules after which adapters are put.

    Attributes:
        layers: path of the list of layers in the model.
        attention: path, in a layer, of the last module of the attention sublayer: the output
            projection, or the dropout after it; what it gives goes into the residual add.
        feed_forward: the same for the feed-forward sublayer.
        padded_positions: whether positions are counted from after the padding index, as
            RoBERTa does, so that so many fewer tokens fit.
    """

    layers: str
    attention: str
    feed_forward: str
    padded_positions: bool = False


BERT = Architecture("encoder.layer", "attention.output.dropout", "output.dropout")
ROBERTA = Architecture(
    "encoder.layer", "attention.output.dropout", "output.dropout", padded_positions=True
)
DISTILBERT = Architecture("transformer.layer", "attention.out_lin", "ffn")
MODERNBERT = Architecture("layers", "attn.out_drop", "mlp")


def architecture_of(model_type: str) -> Architecture:
    """Return where adapters go in a model.

    Args:
        model_type: the architecture's name in transformers.

    Raises:
        InputError: if nobody has said where; the message says how to.
    """
    if model_type not in plugins.names("architectures"):
        raise InputError(
            f"taskbank does not know where adapters go in the architecture {model_type!r}; it "
            f"knows {', '.join(plugins.names('architectures'))}. To name the places, register a "
            "taskbank.architectures.Architecture under that name in the entry point group "
            "'taskbank.architectures' of a package"
        )
    found = plugins.load("architectures", model_type)
    assert isinstance(found, Architecture)  # noqa: S101 - for the type checker
    return found
