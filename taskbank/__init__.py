"""One frozen backbone, a growing bank of small task adapters, and proof that none changed.

`__init__.pyi` lists the public names. Each name is imported on first use, so that
`import taskbank` stays fast: torch takes seconds to import.
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

from taskbank.runtime.startup import collection_paused
from taskbank.runtime.threads import sleeping_threads
from taskbank.version import __version__


def _public_names() -> dict[str, tuple[str, str]]:
    """Return the module and the attribute of every public name in the stub."""
    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imported, public = {}, {}
    for node in stub.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                imported[alias.name] = (str(node.module), alias.name)
                if alias.asname is not None:  # `name as name` is how a stub exports a name
                    public[alias.asname] = imported[alias.name]
        elif isinstance(node, ast.Assign):
            public[ast.unparse(node.targets[0])] = imported[ast.unparse(node.value)]
    return public


_PUBLIC = _public_names()
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'taskbank' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    with sleeping_threads(), collection_paused():
        return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
