"""One frozen backbone, a growing bank of small task adapters, and proof that none changed.

`__init__.pyi` lists the public names. Each name is imported on first use, so that
`import taskbank` stays fast: torch takes seconds to import. The command line starts with this
module, and can be interrupted in order only once it has taken over: so nothing else is imported.
"""

from __future__ import annotations

from taskbank.version import __version__ as __version__

_public: dict[str, tuple[str, str]] = {}


def _public_names() -> dict[str, tuple[str, str]]:
    """Return the module and the attribute of every public name in the stub."""
    if not _public:
        import ast
        from pathlib import Path

        stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
        imported = {}
        for node in stub.body:
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    imported[alias.name] = (str(node.module), alias.name)
                    if alias.asname is not None:  # `name as name` is how a stub exports a name
                        _public[alias.asname] = imported[alias.name]
            elif isinstance(node, ast.Assign):
                _public[ast.unparse(node.targets[0])] = imported[ast.unparse(node.value)]
    return _public


def __getattr__(name: str) -> object:
    if name == "__all__":
        return ["__version__", *_public_names()]
    if name not in _public_names():
        raise AttributeError(f"module 'taskbank' has no attribute {name!r}")
    from importlib import import_module

    from taskbank.runtime.startup import collection_paused
    from taskbank.runtime.threads import sleeping_threads

    module, attribute = _public_names()[name]
    with sleeping_threads(), collection_paused():
        return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(["__version__", *_public_names()])
