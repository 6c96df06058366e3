"""Trainable copies that replace a backbone's own modules.

The originals stay in the backbone, which is never modified.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence

import torch

from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json
from taskbank.methods.layers import select_layers
from taskbank.methods.options import Option, one_of

TRAINED, FROZEN = "trained", "frozen"


def layernorm_paths(backbone: Backbone, layers: Sequence[int]) -> list[str]:
    """Return the paths of the LayerNorms to train together with some layers.

    These are the LayerNorms inside the layers and above the last layer. LayerNorms below the first
    layer, or shared by all layers, are included only if every layer is adapted, because modules
    below the lowest adapted layer are the same for every task.

    Args:
        backbone: the backbone.
        layers: the numbers of the adapted layers.
    """
    adapted = tuple(f"{backbone.layer(number)}." for number in layers)
    inside = f"{backbone.architecture.layers}."
    paths = [
        name
        for name, module in backbone.model.named_modules()
        if isinstance(module, torch.nn.LayerNorm)
    ]
    if len(layers) == backbone.identity.layers:
        return paths
    return [
        path
        for path in paths
        if path.startswith(adapted)
        or (not path.startswith(inside) and path in backbone.architecture.top)
    ]


def layernorms(default: str) -> Option:
    """Return the option that says whether the LayerNorms are trained as well."""
    return Option(default, one_of((TRAINED, FROZEN)), f"{TRAINED} or {FROZEN}", later=True)


def replace_layernorms(adaptation: Adaptation, options: Mapping[str, Json], default: str) -> None:
    """Replace the LayerNorms of the adapted layers by trainable copies if the options ask for it.

    Args:
        adaptation: the task's adaptation.
        options: complete options, with `layers` and, if it is not the default, `layernorms`.
        default: the method's default of `layernorms`.
    """
    if options.get("layernorms", default) == TRAINED:
        backbone = adaptation.backbone
        chosen = select_layers(options["layers"], backbone.identity.layers)
        paths = layernorm_paths(backbone, chosen)
        adaptation.add("layernorm", replace_modules(adaptation, paths))


def replace_modules(adaptation: Adaptation, paths: Iterable[str]) -> torch.nn.Module:
    """Replace some modules by trainable copies.

    Args:
        adaptation: the task's adaptation.
        paths: paths of the modules, none inside another.

    Returns:
        the copies, nested as in the model, so that each copy has its original's path.
    """
    copies = torch.nn.Module()
    backbone = adaptation.backbone
    for path in paths:
        with backbone.lock:  # during a computation, the model carries hooks
            module_copy = copy.deepcopy(backbone.model.get_submodule(path)).requires_grad_(True)
        adaptation.replace(path, module_copy)
        add_nested(copies, path, module_copy)
    return copies


def add_nested(root: torch.nn.Module, path: str, module: torch.nn.Module) -> None:
    """Add a module to a tree of modules under a path, creating missing parents."""
    *parents, name = path.split(".")
    for parent in parents:
        if parent not in dict(root.named_children()):
            root.add_module(parent, torch.nn.Module())
        root = root.get_submodule(parent)
    root.add_module(name, module)
