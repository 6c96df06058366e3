"""Maps names to kinds, methods, architectures and formats, both built-in and from plugins.

This is the only dynamic import of the project. A name is looked up in the built-in table first,
then among the installed entry points of the group `taskbank.<group>`, so an installed package can
add a name but cannot replace a built-in one.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from taskbank.errors import InputError

TABLES: dict[str, dict[str, str]] = {
    "kinds": {
        "single": "taskbank.kinds.single:SINGLE",
        "pair": "taskbank.kinds.pair:PAIR",
        "regression": "taskbank.kinds.regression:REGRESSION",
        "multilabel": "taskbank.kinds.multilabel:MULTILABEL",
        "span": "taskbank.kinds.span:SPAN",
        "tagging": "taskbank.kinds.tagging:TAGGING",
    },
    "methods": {
        "houlsby": "taskbank.methods.houlsby:HOULSBY",
        "pfeiffer": "taskbank.methods.pfeiffer:PFEIFFER",
        "parallel": "taskbank.methods.parallel:PARALLEL",
        "lora": "taskbank.methods.lora:LORA",
        "ia3": "taskbank.methods.ia3:IA3",
        "bitfit": "taskbank.methods.bitfit:BITFIT",
        "layernorm": "taskbank.methods.layernorm:LAYERNORM",
        "linear": "taskbank.methods.linear:LINEAR",
        "top-k": "taskbank.methods.fine_tuning:TOP_K",
        "full": "taskbank.methods.fine_tuning:FULL",
    },
    "architectures": {
        "bert": "taskbank.backbone.architectures:BERT",
        "roberta": "taskbank.backbone.architectures:ROBERTA",
        "xlm-roberta": "taskbank.backbone.architectures:ROBERTA",
        "electra": "taskbank.backbone.architectures:BERT",
        "deberta-v2": "taskbank.backbone.architectures:DEBERTA",
        "distilbert": "taskbank.backbone.architectures:DISTILBERT",
        "modernbert": "taskbank.backbone.architectures:MODERNBERT",
    },
    "exporters": {
        "taskbank": "taskbank.interchange.export_folder:export_files",
        "transformers": "taskbank.interchange.transformers_folder:export_files",
        "sentence-transformers": "taskbank.interchange.sentence_transformers_folder:export_files",
        "onnx": "taskbank.interchange.onnx_folder:export_files",
        "peft": "taskbank.interchange.peft_export:export_files",
        "adapterhub": "taskbank.interchange.adapterhub_export:export_files",
    },
    "importers": {
        "taskbank": "taskbank.interchange.export_folder:read_folder",
        "peft": "taskbank.interchange.peft_import:read_checkpoint",
        "adapterhub": "taskbank.interchange.adapterhub_import:read_checkpoint",
        "transformers": "taskbank.interchange.transformers_import:read_checkpoint",
    },
}


def names(group: str) -> list[str]:
    """Return every name of a group: built-in names in table order, then plugin names, sorted."""
    plugin_names = sorted({point.name for point in _entry_points(group)} - TABLES[group].keys())
    return [*TABLES[group], *plugin_names]


def load(group: str, name: str) -> Any:
    """Return the object that a name refers to.

    Args:
        group: `kinds`, `methods`, `architectures`, `exporters` or `importers`.
        name: a built-in name or the name of an entry point.

    Raises:
        InputError: if the name is neither built in nor provided by an installed plugin.
    """
    if name in TABLES[group]:
        module, _, attribute = TABLES[group][name].partition(":")
        return getattr(import_module(module), attribute)
    for point in _entry_points(group):
        if point.name == name:
            return point.load()
    raise InputError(
        f"{group.rstrip('s')} {name!r} is unknown: taskbank knows {', '.join(names(group))}; "
        f"a package can add one with the entry point group 'taskbank.{group}'"
    )


def _entry_points(group: str) -> Any:
    return entry_points(group=f"taskbank.{group}")
