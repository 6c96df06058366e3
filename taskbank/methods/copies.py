"""Trainable copies of a backbone's own modules, computed in their place.

The originals stay where they are, so a backbone is never written to.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import torch

from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone


def layernorm_paths(backbone: Backbone, layers: Sequence[int]) -> list[str]:
    """Return the paths of the LayerNorms that are trained with some layers.

    Those of the layers themselves and those above the last layer; those below the first, or
    shared by all, only where every layer is adapted: what lies below the lowest adapted
    layer is the same for every task.

    Args:
        backbone: the model they are in.
        layers: numbers of the adapted layers.
    """
    chosen = tuple(f"{backbone.layer(number)}." for number in layers)
    inside = f"{backbone.architecture.layers}."
    found = [
        name
        for name, module in backbone.model.named_modules()
        if isinstance(module, torch.nn.LayerNorm)
    ]
    if len(layers) == backbone.identity.layers:
        return found
    return [
        path
        for path in found
        if path.startswith(chosen)
        or (not path.startswith(inside) and path in backbone.architecture.top)
    ]


def replace_modules(adaptation: Adaptation, paths: Iterable[str]) -> torch.nn.Module:
    """Have a trainable copy computed in the place of some modules.

    Args:
        adaptation: of the task.
        paths: of modules, none inside another.

    Returns:
        the copies, nested as in the model, so that each has its own path there.
    """
    copies = torch.nn.Module()
    backbone = adaptation.backbone
    for path in paths:
        with backbone.lock:  # a model that is being computed is not as it is
            own = copy.deepcopy(backbone.model.get_submodule(path)).requires_grad_(True)
        adaptation.instead(path, own)
        add_nested(copies, path, own)
    return copies


def add_nested(root: torch.nn.Module, path: str, module: torch.nn.Module) -> None:
    """Add a module to a tree of modules under a path, its folders made as needed."""
    *folders, name = path.split(".")
    for folder in folders:
        if folder not in dict(root.named_children()):
            root.add_module(folder, torch.nn.Module())
        root = root.get_submodule(folder)
    root.add_module(name, module)
