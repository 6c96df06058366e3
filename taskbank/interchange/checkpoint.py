"""A checkpoint of another library, read and checked, in taskbank's terms.

It has no evidence: `taskbank.pipeline.import_adapter` scores it on data, which becomes the evidence
that it is verified by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.data.fields import preview
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.interchange.import_options import ImportOptions
from taskbank.interchange.task_file import read_task_file
from taskbank.interchange.tensors import read_tensors
from taskbank.kinds.definition import Definition
from taskbank.methods.layers import select_layers
from taskbank.model.task_model import task_model
from taskbank.specs import MethodSpec

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

HEAD = "head.safetensors"  # a head that the other library has no place for


@dataclass(frozen=True)
class Checkpoint:
    """An adapter and its head as another library stored them.

    Attributes:
        kind: the name of the task's kind.
        backbone: the backbone that it was trained on.
        method: the method of taskbank that computes the same, with complete options.
        tensors: its tensors by stored name, float32, those of the head included; exactly those
            that the method has on this backbone.
        task: the content of its `task.json`; empty if it has none.
        labels: the names of its classes in the order of the outputs; None if the files do not tell.
        imported: where it came from: format, versions, base, revision and digest of the weights.
    """

    kind: str
    backbone: Backbone
    method: MethodSpec
    tensors: Mapping[str, torch.Tensor]
    task: Mapping[str, Any]
    labels: tuple[str, ...] | None
    imported: Mapping[str, Json]


def check_options(options: ImportOptions, format: str) -> None:
    """Raise unless an import of another library's format has the data that it needs.

    Raises:
        InputError: if there is no data to score it on, or an option does not apply.
    """
    taken = [name for name in vars(options) if name != "signer"]
    options.refuse_others(taken, format, "only the format taskbank is signed")
    if options.test is None:
        raise InputError(
            f"a folder of format {format} has no evidence that the adapter could be verified by: "
            "give labelled data with --test DATA, on which it is scored and verified from then on"
        )


def check_single(folder: Path, config: str) -> None:
    """Raise unless a folder has one adapter.

    Args:
        folder: the folder.
        config: the name of the file that every adapter of the format has.

    Raises:
        InputError: if there is no such folder, or if other folders in it have adapters, too.
    """
    try:
        others = sorted(
            child.name for child in folder.iterdir() if child.is_dir() and (child / config).exists()
        )
    except OSError as error:
        raise InputError(
            f"it cannot be read ({error.strerror}): give the folder of an adapter"
        ) from None
    if others:
        raise InputError(
            f"it has further adapters, in {', '.join(map(preview, others[:3]))}: give a folder "
            "that has only the adapter you mean"
        )


def weights_file(folder: Path, name: str, pickle: str) -> Path:
    """Return the path of a file of tensors.

    Args:
        folder: the checkpoint.
        name: the name of the file.
        pickle: the name of the pickle that the other library may have written in its place.

    Raises:
        InputError: if there is only the pickle.
    """
    path = folder / name
    if not path.exists() and (folder / pickle).exists():
        raise InputError(
            f"its tensors are in the pickle {pickle}, and a pickle can run any code: where you "
            f"trust it, load it with the library that wrote it and save it as safetensors ({name})"
        )
    return path


def task_of(
    folder: Path, options: ImportOptions, kind: str | None = None, name: str | None = None
) -> dict[str, Any]:
    """Return what is known of the task of a checkpoint: `task.json`, with a kind and a name.

    Args:
        folder: the checkpoint.
        options: what the import is asked for; it goes before the files.
        kind: the kind that other files of the checkpoint tell.
        name: the name that they tell.

    Raises:
        InputError: if the kind or the name is not known, or no kind of that name is.
    """
    task = read_task_file(folder)
    kind = options.kind or task.get("kind") or kind
    name = options.name or task.get("task") or name
    if kind is None:
        raise InputError(
            f"the files do not tell the kind of the task: give it with --kind "
            f"({', '.join(plugins.names('kinds'))})"
        )
    if name is None:
        raise InputError("the files do not tell a name for the task: give one with --name")
    loaded: Kind = plugins.load("kinds", kind)
    if task and task["kind"] != loaded.name:
        raise InputError(
            f"the kind is {loaded.name!r}, but {folder / 'task.json'} has {task['kind']!r}: leave "
            "--kind out, or remove the file if it is wrong"
        )
    return task | {"kind": loaded.name, "task": name}


def layers_option(numbers: set[int], count: int) -> str:
    """Return the option `layers` that selects some layers of a backbone.

    Args:
        numbers: the layers' numbers.
        count: the backbone's number of layers.
    """
    chosen = tuple(sorted(numbers))
    return "all" if chosen == select_layers("all", count) else ",".join(map(str, chosen))


def expected_tensors(method: MethodSpec, kind: Kind, backbone: Backbone) -> dict[str, torch.Tensor]:
    """Return the tensors that a method has on a backbone by stored name, without values.

    Args:
        method: the method, with complete options.
        kind: the task's kind.
        backbone: the backbone.
    """
    # The head is that of any task: none of it is returned.
    definition = Definition(("first", "second"))
    model = task_model(backbone, kind, definition, method.name, method.options, seed=None)
    return {
        name: tensor
        for name, tensor in model.trained_tensors().items()
        if not name.startswith("head.")
    }


def as_stored(
    expected: Mapping[str, torch.Tensor],
    names: Mapping[str, str],
    tensors: Mapping[str, torch.Tensor],
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, torch.Tensor]:
    """Return a checkpoint's tensors by stored name, if they are exactly those that are expected.

    Args:
        expected: the tensors of the method on the backbone, by stored name.
        names: the checkpoint's name of each.
        tensors: the checkpoint's tensors by its own names.
        shapes: the shapes that the checkpoint must have where they are not those of `expected`,
            by stored name.

    Raises:
        InputError: naming tensors that are missing, unexpected or of another shape.
    """
    missing = sorted(set(names.values()) - tensors.keys())
    unexpected = sorted(tensors.keys() - set(names.values()))
    if missing or unexpected:
        raise InputError(
            f"the tensors are not those of the method on this backbone: missing "
            f"{_listed(missing)}, unexpected {_listed(unexpected)}"
        )
    found = {}
    for stored, tensor in expected.items():
        given, shape = tensors[names[stored]], shapes.get(stored, tuple(tensor.shape))
        if tuple(given.shape) != shape:
            raise InputError(
                f"tensor {names[stored]!r} has the shape {list(given.shape)}, and on this backbone "
                f"it must have {list(shape)}"
            )
        found[stored] = given.reshape(tensor.shape).contiguous()
    return found


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "") or (
        "none"
    )


def file_head(folder: Path, backbone: Backbone) -> dict[str, torch.Tensor]:
    """Return the head that stands beside an adapter in a file of taskbank's own.

    Args:
        folder: the folder of the adapter.
        backbone: its backbone.

    Raises:
        InputError: if there is none, or it is no linear layer.
    """
    path = folder / HEAD
    if not path.exists():
        raise InputError(
            "it has no head, and taskbank guesses none: save the head with the adapter, or put it "
            f"beside it as {HEAD}, with the tensors weight "
            f"[outputs, {backbone.identity.hidden_size}] and bias [outputs]"
        )
    return linear_head(read_tensors(path)[0], {"weight": "head.weight", "bias": "head.bias"})


def linear_head(
    tensors: Mapping[str, torch.Tensor], names: Mapping[str, str]
) -> dict[str, torch.Tensor]:
    """Return the tensors of a head of one linear layer by stored name.

    Args:
        tensors: the head's tensors by the checkpoint's names.
        names: the stored name of each that it must have.

    Raises:
        InputError: if there are others, or they are no linear layer.
    """
    if tensors.keys() != names.keys():
        raise InputError(
            f"the head has the tensors {', '.join(sorted(tensors)) or 'none'}: it must have "
            f"{' and '.join(names)}"
        )
    found = {stored: tensors[name] for name, stored in names.items()}
    weight, bias = found["head.weight"], found["head.bias"]
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise InputError(
            f"the head's weight has the shape {list(weight.shape)} and its bias "
            f"{list(bias.shape)}: they must be [outputs, hidden size] and [outputs]"
        )
    return found
