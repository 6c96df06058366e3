"""A task's model: the frozen backbone with one task's adaptation and head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from taskbank import plugins
from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import Computed, compute, trunk_states
from taskbank.backbone.hooks import Part
from taskbank.backbone.linear import unfilled_linear
from taskbank.data.packed import Batch
from taskbank.digests import Json
from taskbank.errors import DamagedError
from taskbank.kinds.definition import Definition

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.methods.method import Method

HEAD_DROPOUT = 0.1  # on what the head reads, and its initial scale, as in the paper's code
HEAD_STD = 0.02


class TaskModel(torch.nn.Module):
    """Texts to outputs: backbone, adaptation, head. Made by `task_model`.

    Args:
        backbone: frozen; many models may share it.
        adaptation: of the task.
        head: from a vector to outputs.
        per_token: whether every token's state has outputs, and not the text's vector.
    """

    def __init__(
        self,
        backbone: Backbone,
        adaptation: Adaptation,
        head: torch.nn.Module,
        *,
        per_token: bool = False,
    ) -> None:
        super().__init__()
        self.backbone, self.adaptation = backbone, adaptation
        self.encoder = backbone.model
        self.adapted = adaptation.modules
        self.dropout = torch.nn.Dropout(HEAD_DROPOUT)
        self.head = head
        self.per_token = per_token

    @property
    def has_trunk(self) -> bool:
        """Whether there are layers below those that the task adapts."""
        return 0 < self.adaptation.lowest < self.backbone.identity.layers

    @property
    def mixes(self) -> bool:
        """Whether its inputs may be computed in one batch with those of other tasks."""
        adaptation = self.adaptation
        return (
            self.backbone.packs
            and adaptation.mixes
            and adaptation.lowest < self.backbone.identity.layers
        )

    def outputs(self, batch: Batch) -> torch.Tensor:
        """Return the outputs of a batch.

        Args:
            batch: the inputs.

        Returns:
            a tensor of shape [inputs, outputs], or [tokens, outputs] where per token.
        """
        if self.training and self.has_trunk and batch.states is None:
            states = trunk_states(self.backbone, batch, self.adaptation.lowest)
            batch = replace(batch, states=states)
        parts = (Part(len(batch), self.adaptation),)
        return self.read(compute(self.backbone, batch, parts, training=self.training))

    def read(self, computed: Computed) -> torch.Tensor:
        """Return the outputs of inputs whose backbone was computed.

        Args:
            computed: by the backbone with this adaptation.
        """
        found = computed.states if self.per_token else computed.vectors
        outputs: torch.Tensor = self.head(self.dropout(found))
        return outputs

    def shaped(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return a batch's outputs as a loss takes them: where per token, padded."""
        return batch.padded(outputs) if self.per_token else outputs

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the outputs of padded inputs.

        Args:
            input_ids: of shape [batch, tokens].
            attention_mask: of the same shape, 0 where there is padding.
            token_type_ids: of the same shape, for backbones that tell two texts apart by it.

        Returns:
            a tensor of shape [batch, outputs], or [batch, tokens, outputs] where per token.
        """
        outputs = self.outputs(Batch.of_padded(input_ids, attention_mask, token_type_ids))
        if not self.per_token:
            return outputs
        padded = outputs.new_zeros(*input_ids.shape, outputs.shape[1])
        return padded.index_put((attention_mask.bool(),), outputs)

    def trained(self) -> dict[str, torch.Tensor]:
        """Return everything that is trained and stored, by its stored name."""
        found = {f"head.{name}": tensor for name, tensor in self.head.state_dict().items()}
        return self.adapted.state_dict() | found

    def load_trained(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take over values into the model's own tensors.

        Args:
            tensors: by stored name, exactly those that `trained` gives.

        Raises:
            DamagedError: naming what is missing, unexpected, or of another shape or type.
        """
        own = self._fitting(tensors)
        with torch.no_grad():
            for name, tensor in tensors.items():
                own[name].copy_(tensor)

    def take_over(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Let stored tensors themselves become the model's, without a copy on the same device.

        Args:
            tensors: by stored name, exactly those that `trained` gives.

        Raises:
            DamagedError: naming what is missing, unexpected, or of another shape or type.
        """
        self._fitting(tensors)
        own = {name: tensor.to(self.backbone.device) for name, tensor in tensors.items()}
        head = {name: own.pop(f"head.{name}") for name in self.head.state_dict()}
        self.head.load_state_dict(head, assign=True)
        self.adapted.load_state_dict(own, assign=True)

    def _fitting(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the model's own tensors if others can take their place."""
        own = self.trained()
        missing, unexpected = sorted(own.keys() - tensors), sorted(tensors.keys() - own)
        if missing or unexpected:
            raise DamagedError(
                f"the stored tensors do not fit the model: missing {missing or 'none'}, "
                f"unexpected {unexpected or 'none'}"
            )
        for name, tensor in tensors.items():
            found, wanted = (tensor.dtype, *tensor.shape), (own[name].dtype, *own[name].shape)
            if found != wanted:
                raise DamagedError(f"stored tensor {name!r} is {found}, the model has {wanted}")
        return own


def task_model(
    backbone: Backbone,
    kind: Kind,
    definition: Definition,
    method: str,
    options: Mapping[str, Json],
    seed: int | None,
) -> TaskModel:
    """Return the model of an untrained task.

    Args:
        backbone: frozen; it stays as it is.
        kind: of the task.
        definition: of the task.
        method: how it is adapted.
        options: of the method; what is missing has its default.
        seed: of the initial values; none where stored ones are about to take their place.
    """
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    chosen: Method = plugins.load("methods", method)
    head = _head(backbone.identity.hidden_size, kind.outputs(definition), generator)
    head.to(backbone.device)
    adaptation = chosen.adapt(backbone, chosen.complete(options), generator)
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
