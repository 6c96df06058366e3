"""The places for adapters in each architecture, as module paths.

A package adds an architecture by registering an `Architecture` under its `model_type` in the entry
point group `taskbank.architectures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from taskbank import plugins
from taskbank.errors import InputError

# The projections of a layer, under names common to all architectures.
PROJECTIONS = ("query", "key", "value", "output", "up", "down")


@dataclass(frozen=True)
class Architecture:
    """The paths of the modules that methods adapt.

    Attributes:
        layers: path of the list of layers in the model.
        attention: path, in a layer, of the last module of the attention sublayer: the output
            projection, or the dropout after it; its output is added to the residual.
        feed_forward: the same for the feed-forward sublayer.
        projections: paths, in a layer, of the linear projections, by their names in
            `PROJECTIONS`; several names share a path if one module computes them together.
        top: paths, in the model, of the modules above the last layer.
        padded_positions: whether positions start after the padding index, as in RoBERTa, which
            reduces the maximum number of tokens by as many.
        pairs: whether a layer returns a pair of its states and another value.
    """

    layers: str
    attention: str
    feed_forward: str
    projections: Mapping[str, str]
    top: tuple[str, ...] = ()
    padded_positions: bool = False
    pairs: bool = False


def _projections(
    query: str, key: str, value: str, output: str, up: str, down: str
) -> dict[str, str]:
    return dict(zip(PROJECTIONS, (query, key, value, output, up, down), strict=True))


BERT = Architecture(
    "encoder.layer",
    "attention.output.dropout",
    "output.dropout",
    _projections(
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ),
    top=("pooler",),
)
ROBERTA = replace(BERT, padded_positions=True)
DEBERTA = replace(
    BERT,
    projections=_projections(
        "attention.self.query_proj",
        "attention.self.key_proj",
        "attention.self.value_proj",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ),
    top=(),
    pairs=True,
)
DISTILBERT = Architecture(
    "transformer.layer",
    "attention.out_lin",
    "ffn",
    _projections(
        "attention.q_lin",
        "attention.k_lin",
        "attention.v_lin",
        "attention.out_lin",
        "ffn.lin1",
        "ffn.lin2",
    ),
)
MODERNBERT = Architecture(
    "layers",
    "attn.out_drop",
    "mlp",
    _projections("attn.Wqkv", "attn.Wqkv", "attn.Wqkv", "attn.Wo", "mlp.Wi", "mlp.Wo"),
    top=("final_norm",),
)


def architecture_of(model_type: str) -> Architecture:
    """Return the architecture of a model.

    Args:
        model_type: the architecture's name in transformers.

    Raises:
        InputError: if the architecture is unknown; the message explains how to register it.
    """
    try:
        architecture = plugins.load("architectures", model_type)
    except InputError:
        raise InputError(
            f"taskbank does not know where adapters go in the architecture {model_type!r}; it "
            f"knows {', '.join(plugins.names('architectures'))}. To name the places, register a "
            "taskbank.backbone.architectures.Architecture under that name in the entry point group "
            "'taskbank.architectures' of a package"
        ) from None
    assert isinstance(architecture, Architecture)  # noqa: S101 - for the type checker
    return architecture
