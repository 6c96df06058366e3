"""Trainable copies of a backbone's LayerNorms, in their place while a task is attached."""

from __future__ import annotations

import copy

import torch

from taskbank.methods.method import Attachment


def replace_layernorms(attachment: Attachment) -> torch.nn.Module:
    """Put a trainable copy in the place of every LayerNorm, until the attachment is taken off.

    The backbone's own LayerNorms are set aside untouched and put back (section 2 of Houlsby
    et al. 2019: new layer normalisation parameters for every task).

    Returns:
        the copies, nested as in the model, so that each has its own path there.
    """
    model = attachment.backbone.model
    copies = torch.nn.Module()
    found = [(n, m) for n, m in model.named_modules() if isinstance(m, torch.nn.LayerNorm)]
    for path, original in found:
        own = copy.deepcopy(original).requires_grad_(True)
        parent_path, _, name = path.rpartition(".")
        parent = model.get_submodule(parent_path)
        setattr(parent, name, own)
        attachment.undo_with(lambda p=parent, n=name, o=original: setattr(p, n, o))  # type: ignore[misc]
        _add(copies, path, own)
    return copies


def _add(root: torch.nn.Module, path: str, module: torch.nn.Module) -> None:
    *folders, name = path.split(".")
    for folder in folders:
        if folder not in dict(root.named_children()):
            root.add_module(folder, torch.nn.Module())
        root = root.get_submodule(folder)
    root.add_module(name, module)
