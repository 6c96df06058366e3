"""A task's model: the frozen backbone with one task's adapter and head on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from taskbank import plugins
from taskbank.backbone import Backbone
from taskbank.errors import DamagedError
from taskbank.methods.method import Attachment
from taskbank.specs import Definition, Json

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.methods.method import Method

HEAD_DROPOUT = 0.1  # on what the head reads, and its initial scale, as in the paper's code
HEAD_STD = 0.02


class TaskModel(torch.nn.Module):
    """Texts to outputs: backbone, adapter, head. Made by `task_model`.

    Args:
        backbone: with the attachment on.
        attachment: what the task's method has put onto it.
        head: from a vector to outputs.
        per_token: whether every token's state has outputs, and not the text's vector.
    """

    def __init__(
        self,
        backbone: Backbone,
        attachment: Attachment,
        head: torch.nn.Module,
        *,
        per_token: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = backbone.model
        self.attached = attachment.modules
        self.dropout = torch.nn.Dropout(HEAD_DROPOUT)
        self.head = head
        self._read = backbone.states if per_token else backbone.vectors

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the outputs of a batch.

        Args:
            input_ids: of shape [batch, tokens].
            attention_mask: of the same shape, 0 where there is padding.
            token_type_ids: of the same shape, for backbones that tell two texts apart by it.

        Returns:
            a tensor of shape [batch, outputs], or [batch, tokens, outputs] where per token.
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        outputs: torch.Tensor = self.head(self.dropout(self._read(**inputs)))
        return outputs

    def trained(self) -> dict[str, torch.Tensor]:
        """Return everything that is trained and stored, by its stored name."""
        found = {f"head.{name}": tensor for name, tensor in self.head.state_dict().items()}
        return self.attached.state_dict() | found

    def load_trained(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take over stored values.

        Args:
            tensors: by stored name, exactly those that `trained` gives.

        Raises:
            DamagedError: naming what is missing, unexpected, or of another shape or type.
        """
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
        with torch.no_grad():
            for name, tensor in tensors.items():
                own[name].copy_(tensor)


@contextmanager
def task_model(
    backbone: Backbone,
    kind: Kind,
    definition: Definition,
    method: str,
    options: Mapping[str, Json],
    seed: int,
) -> Iterator[TaskModel]:
    """Put an untrained task onto a backbone, and take it off at the end whatever happens.

    Args:
        backbone: frozen, and carrying nothing; exactly as before afterwards.
        kind: of the task.
        definition: of the task.
        method: how it is adapted.
        options: of the method; what is missing has its default.
        seed: of the initial values.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen: Method = plugins.load("methods", method)
    head = _head(backbone.identity.hidden_size, kind.outputs(definition), generator)
    head.to(backbone.device)
    attachment = chosen.attach(backbone, chosen.options(options), generator)
    try:
        yield TaskModel(backbone, attachment, head, per_token=kind.per_token)
    finally:
        attachment.detach()
        backbone.model.eval()


def _head(hidden_size: int, outputs: int, generator: torch.Generator) -> torch.nn.Linear:
    head = torch.nn.Linear(hidden_size, outputs, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        torch.nn.init.trunc_normal_(
            head.weight, 0.0, HEAD_STD, -2 * HEAD_STD, 2 * HEAD_STD, generator=generator
        )
        head.bias.zero_()
    return head
