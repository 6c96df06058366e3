"""The pass of BERT, RoBERTa and ELECTRA, in fewer calls than transformers makes.

transformers wraps the products of a model in modules for caches, decoders and checkpoints, which
take a third of the time of one short text. A short pass calls the same embeddings, products, norms
and attention in the same order, so that it gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel

from taskbank.backbone.attention import attend_end_to_end, inputs_end_to_end, sample_batch
from taskbank.data.packed import Layout

Forward = Callable[..., Any]


class PassOutput(NamedTuple):
    """The output of a model, as transformers names it."""

    last_hidden_state: torch.Tensor
    pooler_output: torch.Tensor | None


class ShortLayer:
    """The `forward` of a layer for inputs laid end to end, without dropout.

    Args:
        layer: a layer of BERT, or of a model that names the parts of its layers alike.
    """

    called = (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "attention.output.dropout",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "intermediate.intermediate_act_fn",
        "output.dense",
        "output.dropout",
        "output.LayerNorm",
    )

    def __init__(self, layer: torch.nn.Module) -> None:
        attention: Any = layer.get_submodule("attention.self")
        self.heads, self.scaling = attention.num_attention_heads, attention.scaling
        self.modules = tuple(map(layer.get_submodule, self.called))

    def __call__(self, states: torch.Tensor, layout: Layout) -> torch.Tensor:
        """Return the layer's output for states of the same shape, [1, tokens, hidden size]."""
        query, key, value, dense, dropout, norm, up, activation, down, dropout_2, norm_2 = (
            self.modules
        )
        projected = (query(states)[0], key(states)[0], value(states)[0])
        attended = attend_end_to_end(*projected, self.heads, layout, scaling=self.scaling)
        states = norm(dropout(dense(attended[None])) + states)
        output: torch.Tensor = norm_2(dropout_2(down(activation(up(states)))) + states)
        return output


class ShortPass:
    """The `forward` of a model for inputs laid end to end, without dropout.

    Args:
        model: a model of the architecture of BERT.
        layers: its layers by path.
    """

    def __init__(self, model: PreTrainedModel, layers: Mapping[str, torch.nn.Module]) -> None:
        self.embeddings = model.embeddings
        self.projection = getattr(model, "embeddings_project", None)
        self.layers = tuple(layers.values())
        self.pooler = getattr(model, "pooler", None)
        self.short_layers = {path: ShortLayer(layer) for path, layer in layers.items()}
        called = {f"{path}.{name}" for path in layers for name in ShortLayer.called}.union(layers)
        self._skipped = {
            path: module
            for path, module in model.named_modules()
            if path not in called and not path.startswith(("embeddings", "pooler"))
        }

    def __call__(
        self,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        layout: Layout,
        token_type_ids: torch.Tensor | None = None,
    ) -> PassOutput:
        """Return the model's output, while `short_layers` shadow its layers.

        Args:
            input_ids: of shape [1, tokens].
            position_ids: of the same shape.
            layout: the batch's layout.
            token_type_ids: of the same shape, for models that tell two texts apart by them.
        """
        states = self.embeddings(
            input_ids=input_ids, position_ids=position_ids, token_type_ids=token_type_ids
        )
        if self.projection is not None:
            states = self.projection(states)
        for layer in self.layers:
            states = layer(states, layout=layout)
        return PassOutput(states, None if self.pooler is None else self.pooler(states))

    def suits(self, paths: Iterable[str]) -> bool:
        """Return whether the pass calls all modules that are changed by a task or otherwise.

        Args:
            paths: the paths of the modules that tasks change.
        """
        return not any(path in self._skipped for path in paths) and not any(
            module._forward_hooks or module._forward_pre_hooks or "forward" in module.__dict__
            for module in self._skipped.values()
        )


@contextmanager
def shadow(forwards: Mapping[torch.nn.Module, Forward]) -> Iterator[None]:
    """Compute modules by other functions within the context.

    Args:
        forwards: the function that replaces `forward`, by module.
    """
    try:
        for module, forward in forwards.items():
            # Shadows the method of the class, and leaves no trace once deleted.
            module.__dict__["forward"] = forward
        yield
    finally:
        for module in forwards:
            module.__dict__.pop("forward", None)


@torch.no_grad()
def short_pass(
    model: PreTrainedModel, layers: Mapping[str, torch.nn.Module], first_position: int
) -> ShortPass | None:
    """Return a model's short pass, or None unless it gives the model's own bits.

    A test pass decides, because another model may compute otherwise.

    Args:
        model: a model that computes inputs laid end to end, in evaluation mode.
        layers: its layers by path.
        first_position: the position index of an input's first token.
    """
    inputs = inputs_end_to_end(sample_batch(model), first_position)
    expected = model(**inputs)
    try:
        short = ShortPass(model, layers)
        with shadow({layers[path]: layer for path, layer in short.short_layers.items()}):
            found = short(**inputs)
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return None
    same = torch.equal(found.last_hidden_state, expected.last_hidden_state)
    if found.pooler_output is not None:
        same = same and torch.equal(found.pooler_output, expected.pooler_output)
    return short if same else None
