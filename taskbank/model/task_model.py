"""A task's model: the frozen backbone with one task's adaptation and head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from taskbank import plugins
from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import BackboneOutput, run_backbone, trunk_states
from taskbank.backbone.hooks import Part
from taskbank.backbone.linear import unfilled_linear
from taskbank.data.packed import Batch
from taskbank.digests import Json
from taskbank.kinds.definition import Definition
from taskbank.model.stored_model import StoredModel

if TYPE_CHECKING:
    import numpy as np

    from taskbank.data.encoded import Encoded
    from taskbank.kinds.kind import Kind
    from taskbank.methods.method import Method

# Dropout before the head and the deviation of its initial values, as in the paper's code.
HEAD_DROPOUT = 0.1
HEAD_STD = 0.02


class TaskModel(StoredModel):
    """Maps texts to outputs: backbone, adaptation and head. `task_model` creates it.

    Args:
        backbone: the frozen backbone; many models may share it.
        adaptation: the task's adaptation.
        head: maps a vector to outputs.
        per_token: whether the head reads every token's state instead of one vector per input.
    """

    def __init__(
        self,
        backbone: Backbone,
        adaptation: Adaptation,
        head: torch.nn.Module,
        *,
        per_token: bool = False,
    ) -> None:
        super().__init__(backbone, adaptation, per_token=per_token)
        self.encoder = backbone.model
        self.adapted = adaptation.modules
        self.dropout = torch.nn.Dropout(HEAD_DROPOUT)
        self.head = head

    @property
    def members(self) -> tuple[TaskModel]:
        """The model itself."""
        return (self,)

    def combine(self, outputs: Sequence[np.ndarray], encoded: Encoded) -> np.ndarray:
        """Return the outputs as they are; see `StoredModel.combine`."""
        return outputs[0]

    def outputs(self, batch: Batch) -> torch.Tensor:
        """Return the outputs of a batch.

        Args:
            batch: the inputs.

        Returns:
            a tensor of shape [inputs, outputs], or [tokens, outputs] if per token.
        """
        if self.training and self.has_trunk and batch.states is None:
            states = trunk_states(self.backbone, batch, self.adaptation.lowest_layer)
            batch = replace(batch, states=states)
        parts = (Part(len(batch), self.adaptation),)
        return self.apply_head(run_backbone(self.backbone, batch, parts, training=self.training))

    def apply_head(self, output: BackboneOutput) -> torch.Tensor:
        """Return the head's outputs for a backbone's output.

        Args:
            output: the output of the backbone with this adaptation.
        """
        states = output.states if self.per_token else output.vectors
        outputs: torch.Tensor = self.head(self.dropout(states))
        return outputs

    def shape_for_loss(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return a batch's outputs in the form for the loss: padded if per token."""
        return batch.pad(outputs) if self.per_token else outputs

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the outputs of padded inputs.

        Args:
            input_ids: of shape [batch, tokens].
            attention_mask: of the same shape, 0 for padding.
            token_type_ids: of the same shape, for backbones that tell two texts apart by them.

        Returns:
            a tensor of shape [batch, outputs], or [batch, tokens, outputs] if per token.
        """
        outputs = self.outputs(Batch.from_padded(input_ids, attention_mask, token_type_ids))
        if not self.per_token:
            return outputs
        padded_outputs = outputs.new_zeros(*input_ids.shape, outputs.shape[1])
        return padded_outputs.index_put((attention_mask.bool(),), outputs)

    def named_tensors(self) -> dict[str, torch.Tensor]:
        """Return those of adaptation and head; see `StoredModel.named_tensors`."""
        tensors: dict[str, torch.Tensor] = self.adapted.state_dict(keep_vars=True)
        self.head.state_dict(destination=tensors, prefix="head.", keep_vars=True)
        return tensors


def task_model(
    backbone: Backbone,
    kind: Kind,
    definition: Definition,
    method: str,
    options: Mapping[str, Json],
    seed: int | None,
) -> TaskModel:
    """Create the untrained model of a task.

    Args:
        backbone: the frozen backbone; it stays unchanged.
        kind: the task's kind.
        definition: the task's definition.
        method: the name of the method of adaptation.
        options: the method's options; missing options have their defaults.
        seed: the seed of the initial values. None means that stored values will replace them.
    """
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    chosen_method: Method = plugins.load("methods", method)
    head = _head(backbone.identity.hidden_size, kind.outputs(definition), generator)
    head.to(backbone.device)
    adaptation = chosen_method.adapt(backbone, chosen_method.complete(options), generator)
    return TaskModel(backbone, adaptation, head, per_token=kind.per_token)


def _head(hidden_size: int, outputs: int, generator: torch.Generator | None) -> torch.nn.Linear:
    head = unfilled_linear(hidden_size, outputs)
    if generator is None:
        return head
    with torch.no_grad():
        torch.nn.init.trunc_normal_(
            head.weight, 0.0, HEAD_STD, -2 * HEAD_STD, 2 * HEAD_STD, generator=generator
        )
        head.bias.zero_()
    return head
