"""The pass of BERT, RoBERTa and ELECTRA, in fewer calls than transformers makes.

transformers wraps the products of a model in modules for caches, decoders and checkpoints, which
take a third of the time of one short text. A short pass calls the same embeddings, products, norms
and attention in the same order, so that it gives the same bits. It changes nothing in the model,
so that several passes may run at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MethodType
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel

from taskbank.backbone.attention import attend_end_to_end, inputs_end_to_end, sample_batch
from taskbank.data.packed import Layout

Forward = Callable[..., Any]

EMBEDDINGS = ("word_embeddings", "token_type_embeddings", "position_embeddings", "LayerNorm")
LAYER = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "intermediate.intermediate_act_fn",
    "output.dense",
    "output.LayerNorm",
)
DROPOUTS = ("attention.output.dropout", "output.dropout")


class PassOutput(NamedTuple):
    """The output of a model, as transformers names it."""

    last_hidden_state: torch.Tensor
    pooler_output: torch.Tensor | None


class ShortPass:
    """How to compute a model for inputs laid end to end, without dropout.

    Args:
        model: a model of the architecture of BERT.
        layers: its layers by path.

    Attributes:
        layers: the paths of the layers.
        heads: number of attention heads.
        scaling: factor of the products of queries and keys.
        forwards: the `forward` of each module that a pass calls, by path.
    """

    def __init__(self, model: PreTrainedModel, layers: Mapping[str, torch.nn.Module]) -> None:
        self.layers = tuple(layers)
        attention: Any = layers[self.layers[0]].get_submodule("attention.self")
        self.heads, self.scaling = attention.num_attention_heads, attention.scaling
        called = [f"embeddings.{name}" for name in EMBEDDINGS]
        called += [f"{path}.{name}" for path in layers for name in LAYER]
        if getattr(model, "embeddings_project", None) is not None:
            called.append("embeddings_project")
        self.has_pooler = getattr(model, "pooler", None) is not None
        if self.has_pooler:
            called += ["pooler.dense", "pooler.activation"]
        # Not the module's own attribute `forward`, which a training may shadow meanwhile.
        self.forwards: dict[str, Forward] = {
            path: MethodType(type(module).forward, module)
            for path, module in ((path, model.get_submodule(path)) for path in called)
        }
        self.forwards |= {f"{path}.{name}": _same for path in layers for name in DROPOUTS}
        whole = {*layers, "pooler"} if self.has_pooler else {*layers}
        self._skipped = {
            path for path, _ in model.named_modules() if path not in self.forwards
        } - whole
        modules = list(model.modules())
        self._hooks = [
            hooks for one in modules for hooks in (one._forward_hooks, one._forward_pre_hooks)
        ]
        self._attributes = [module.__dict__ for module in modules]

    def suits(self, paths: Iterable[str]) -> bool:
        """Return whether a pass calls all modules that are changed by a task or otherwise.

        Args:
            paths: the paths of the modules that tasks change.
        """
        return not (
            any(path in self._skipped for path in paths)
            or any(self._hooks)
            or any("forward" in attributes for attributes in self._attributes)
        )


class OnePass:
    """One computation of a model.

    Args:
        short: how to compute it.

    Attributes:
        forwards: what computes each module, by path; whoever changes a module replaces its entry.
    """

    def __init__(self, short: ShortPass) -> None:
        self.short = short
        self.forwards = dict(short.forwards)
        self.forwards |= {path: partial(self._layer, path) for path in short.layers}
        if short.has_pooler:
            self.forwards["pooler"] = self._pool

    def __call__(
        self,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        layout: Layout,
        token_type_ids: torch.Tensor | None = None,
    ) -> PassOutput:
        """Return the model's output.

        Args:
            input_ids: of shape [1, tokens].
            position_ids: of the same shape.
            layout: the batch's layout.
            token_type_ids: of the same shape, for models that tell two texts apart by them.
        """
        forwards = self.forwards
        words, types, positions, norm = (forwards[f"embeddings.{name}"] for name in EMBEDDINGS)
        if token_type_ids is None:
            token_type_ids = torch.zeros_like(input_ids)
        states = norm(words(input_ids) + types(token_type_ids) + positions(position_ids))
        if "embeddings_project" in forwards:
            states = forwards["embeddings_project"](states)
        for path in self.short.layers:
            states = forwards[path](states, layout=layout)
        return PassOutput(states, forwards["pooler"](states) if self.short.has_pooler else None)

    def _layer(self, path: str, states: torch.Tensor, layout: Layout) -> torch.Tensor:
        """Return a layer's output for states of the same shape, [1, tokens, hidden size]."""
        forwards = self.forwards
        query, key, value, dense, norm, up, activation, down, norm_2 = (
            forwards[f"{path}.{name}"] for name in LAYER
        )
        dropout, dropout_2 = (forwards[f"{path}.{name}"] for name in DROPOUTS)
        projected = (query(states)[0], key(states)[0], value(states)[0])
        heads, scaling = self.short.heads, self.short.scaling
        attended = attend_end_to_end(*projected, heads, layout, scaling=scaling)
        states = norm(dropout(dense(attended[None])) + states)
        output: torch.Tensor = norm_2(dropout_2(down(activation(up(states)))) + states)
        return output

    def _pool(self, states: torch.Tensor) -> torch.Tensor:
        """Return the pooler's output for states whose first token is read."""
        pooled: torch.Tensor = self.forwards["pooler.activation"](
            self.forwards["pooler.dense"](states[:, 0])
        )
        return pooled


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
        found = OnePass(short)(**inputs)
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return None
    same = torch.equal(found.last_hidden_state, expected.last_hidden_state)
    if found.pooler_output is not None:
        same = same and torch.equal(found.pooler_output, expected.pooler_output)
    return short if same else None


def _same(states: torch.Tensor) -> torch.Tensor:
    return states
