"""Frozen descriptions of backbones, methods and trainings.

A specification is plain data. It is stored as canonical JSON and named by the digest of that
JSON, so two specifications are equal exactly when their digests are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from taskbank.digests import digest_json
from taskbank.errors import InputError

if TYPE_CHECKING:
    from taskbank.digests import Json


@dataclass(frozen=True)
class BackboneIdentity:
    """What makes a backbone the one it is.

    Attributes:
        spec: where it came from: a hub id, a folder, or `package:NAME/FOLDER`.
        model_type: the architecture's name in transformers, such as `bert`.
        pooling: how a text becomes one vector: `pooler`, `first` or `mean`.
        parameters: number of parameters, all frozen.
        hidden_size: width of a hidden state.
        layers: number of transformer layers.
        max_length: the longest input in tokens.
        weights: digest of every parameter and buffer.
        config: digest of the model's configuration.
        tokenizer: digest of vocabulary and tokenisation rules.
    """

    spec: str
    model_type: str
    pooling: str
    parameters: int
    hidden_size: int
    layers: int
    max_length: int
    weights: str
    config: str
    tokenizer: str

    @property
    def fingerprint(self) -> str:
        """One digest of weights, configuration, tokenizer and pooling."""
        parts = (self.weights, self.config, self.tokenizer, self.pooling)
        return digest_json(list(parts))


@dataclass(frozen=True)
class MethodSpec:
    """How a task is adapted: a method's name and its complete options.

    Attributes:
        name: the method, such as `houlsby`.
        options: every option of the method with its value, defaults included.
    """

    name: str
    options: Mapping[str, Json] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Digest of the name and the options."""
        return digest_json({"name": self.name, "options": dict(self.options)})


# What the fields of a training may be: from and to, both included;
WHOLE_NUMBERS: Mapping[str, tuple[int, int]] = {
    "epochs": (1, 1_000_000),
    "batch_size": (1, 1_000_000),
    "max_length": (3, 1_000_000),  # an input needs at least three tokens
    "seed": (0, 2**32 - 1),
    "patience": (1, 1_000_000),
    "batch_tokens": (1, 1_000_000_000),
}


# a test and what it wants, in words;
NUMBERS: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "learning_rate": (lambda value: 0 < value < 1, "a number between 0 and 1"),
    "weight_decay": (lambda value: 0 <= value < 1, "a number from 0 to below 1"),
    "warmup": (lambda value: 0 <= value <= 1, "a share, from 0 to 1"),
    "clip": (lambda value: 0 < value < math.inf, "a number above 0"),
}


# and one of a few words, or none.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "class_weight": ("balanced",),
    "precision": ("float32", "bfloat16"),
}


@dataclass(frozen=True)
class TrainingSpec:
    """How an adapter is trained: section 3.1 of Houlsby et al. 2019.

    Attributes:
        epochs: passes over the training data, at most.
        learning_rate: the peak, reached after the warm-up.
        batch_size: examples a step.
        max_length: tokens an input is cut to.
        seed: of initialisation, order and dropout.
        patience: epochs without a better validation score before training ends
            early; none means that all epochs are run.
        weight_decay: of AdamW, on matrices only; the paper has none, its code 0.01.
        warmup: share of the steps over which the rate rises, then falls to zero.
        clip: the gradient's largest norm.
        class_weight: `balanced` lets every class count alike in the loss, however rare it is;
            none lets every example count alike.
        precision: of the products in training, `float32` or `bfloat16`; none means the second
            where the processor has instructions for it. Weights and predictions are float32 in
            any case.
        batch_tokens: tokens a step, at most, beside the number of examples; none means any
            number.
    """

    epochs: int = 10
    learning_rate: float = 1e-3
    batch_size: int = 32
    max_length: int = 128
    seed: int = 0
    patience: int | None = None
    weight_decay: float = 0.0
    warmup: float = 0.1
    clip: float = 1.0
    class_weight: str | None = None
    precision: str | None = None
    batch_tokens: int | None = None

    def __post_init__(self) -> None:
        for name, (least, most) in WHOLE_NUMBERS.items():
            value = getattr(self, name)
            if name in ("patience", "batch_tokens") and value is None:
                continue
            if type(value) is not int or not least <= value <= most:
                raise InputError(
                    f"{name} is {value!r}: it must be a whole number from {least:,} to {most:,}"
                )
        for name, (fits, wanted) in NUMBERS.items():
            value = getattr(self, name)
            if type(value) not in (int, float) or not fits(value):
                raise InputError(f"{name} is {value!r}: it must be {wanted}")
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in choices:
                listed = " or ".join(map(repr, choices))
                raise InputError(f"{name} is {value!r}: write {listed}, or leave it out")

    def to_json(self) -> dict[str, Json]:
        """Return the specification as a plain dictionary."""
        return asdict(self)

    @property
    def digest(self) -> str:
        """Digest of every field."""
        return digest_json(self.to_json())
