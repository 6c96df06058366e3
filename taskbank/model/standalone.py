"""A task's model as a plain module of torch, to be exported: it needs nothing of taskbank.

It reads padded inputs, and has its own copy of the encoder: with the weights of both merged, where
the task's method can do so, and else with the task's modules in their places.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch

from taskbank import plugins
from taskbank.backbone.adaptation import Adaptation, Change
from taskbank.model.task_model import TaskModel

if TYPE_CHECKING:
    from taskbank.methods.method import Method


class StandaloneModel(torch.nn.Module):
    """Maps padded inputs to the outputs of a task.

    Args:
        model: the task's model, in evaluation mode. Its head and modules become part of this one.
        method: the name of its method of adaptation.

    Attributes:
        encoder: a copy of the backbone's model that computes the task's states.
        adapted: the task's modules that act in the encoder; none if they are merged.
        head: maps a vector to outputs.
    """

    def __init__(self, model: TaskModel, method: str) -> None:
        super().__init__()
        backbone = model.backbone
        self.encoder, self.adapted = adapted_encoder(model.adaptation, method)
        self.head = model.head
        self.per_token, self.pooling = model.per_token, backbone.identity.pooling
        # Without padding, positions are given; a model such as RoBERTa would count them from its
        # tokens otherwise, where a text may name the token of padding.
        self.first_position = backbone.first_position or None
        self.eval()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the outputs of inputs that are padded on the right.

        Args:
            input_ids: of shape [batch, tokens].
            attention_mask: of the same shape, 0 for padding.
            token_type_ids: of the same shape, for encoders that tell two texts apart by them.

        Returns:
            a tensor of shape [batch, outputs], or [batch, tokens, outputs] if per token.
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        if self.first_position is not None:
            places = (attention_mask.cumsum(dim=1) - 1).clamp(min=0)
            inputs["position_ids"] = places + self.first_position
        found: Any = self.encoder(**inputs)
        outputs: torch.Tensor = self.head(
            found.last_hidden_state if self.per_token else self._pool(found, attention_mask)
        )
        return outputs

    def _pool(self, found: Any, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return one vector per input, of shape [batch, hidden size]."""
        states: torch.Tensor = found.last_hidden_state
        if self.pooling == "pooler":
            pooled: torch.Tensor = found.pooler_output
            return pooled
        if self.pooling == "first":
            return states[:, 0]
        inside = attention_mask.unsqueeze(-1).to(states.dtype)
        return (states * inside).sum(dim=1) / inside.sum(dim=1)


def adapted_encoder(
    adaptation: Adaptation, method: str
) -> tuple[torch.nn.Module, torch.nn.ModuleDict]:
    """Return a copy of a backbone's model with a task's changes, and the modules that they need.

    Args:
        adaptation: the task's adaptation, with trained tensors.
        method: the name of its method.

    Returns:
        the encoder and the task's modules; these are none if they were merged into the encoder.
    """
    backbone = adaptation.backbone
    with backbone.lock:  # during a computation, the model carries hooks
        encoder: Any = copy.deepcopy(backbone.model)
    if backbone.supports_packing:  # it has taskbank's own attention
        encoder.config._attn_implementation = "sdpa"
    chosen: Method = plugins.load("methods", method)
    if chosen.merge is not None:
        encoder.load_state_dict({**encoder.state_dict(), **chosen.merge(adaptation)})
        return encoder, torch.nn.ModuleDict()
    for path, change in adaptation.changes.items():
        if change.replacement is not None:
            encoder.set_submodule(path, change.replacement)
        _add_hooks(encoder.get_submodule(path), change)
    return encoder, adaptation.modules


def _add_hooks(module: torch.nn.Module, change: Change) -> None:
    """Apply the changes of a module's input and output whenever it is called."""
    of_input, of_output = change.input, change.output
    if of_input is not None:
        module.register_forward_pre_hook(lambda _module, inputs: (of_input(inputs[0]), *inputs[1:]))
    if of_output is not None:
        module.register_forward_hook(lambda _module, inputs, output: of_output(inputs[0], output))
