"""Starts a command quickly: leaves out imports that no command uses.

Most of the time of a short command goes into importing torch and transformers, and half of that
into parts that taskbank never calls. Importing transformers' models imports:

- `scipy.optimize`, for the loss functions of object detection;
- `torch.distributed.tensor`, and with it sympy, for models that are divided among machines;
- `torch._dynamo`, torch's compiler, only to mark functions that it is to leave alone.

transformers does without scipy and torch.distributed where they are missing, so it is told that
they are. The compiler has a stand-in that marks nothing. Anything else that is asked of the
stand-in imports the compiler, so a library that needs more of it gets it.

All of this changes how other code in the process sees these libraries. It is for the process of
the command line; a program that imports taskbank keeps the libraries as they are.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"
APART = "_trace_wrapped_higher_order_op"  # the module of it that transformers imports by itself


_OWN: list[bool] = []  # not empty if the process is the command line's own


def claim_process() -> None:
    """Say that the process is the command line's own, so that imports may be left out in it."""
    _OWN[:] = [True]


@contextmanager
def collection_paused() -> Iterator[None]:
    """Pause the garbage collector: modules are many objects, none of them garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def import_libraries() -> None:
    """Import torch and transformers' models.

    In a process of the command line this leaves out what no command uses, and what is in memory
    afterwards is not searched for garbage again, not even when the process ends.
    """
    with collection_paused():
        if _OWN and "transformers" not in sys.modules:
            _leave_out_unused()
        import torch  # noqa: F401 - or transformers looks for it on the disk before it imports it
        import transformers.modeling_utils  # noqa: F401
    if _OWN:
        gc.freeze()


def _leave_out_unused() -> None:
    """Import transformers so that its models import no more than they need here."""
    import torch

    if COMPILER not in sys.modules:
        _stand_in_for_compiler()
    available = torch.distributed.is_available
    torch.distributed.is_available = lambda: False
    try:
        with _missing("scipy"):
            import transformers.utils
        # It asks once and keeps the answer. A version that does not is answered by torch again.
        with suppress(AttributeError):
            transformers.utils.is_torch_distributed_available()
    finally:
        torch.distributed.is_available = available


@contextmanager
def _missing(name: str) -> Iterator[None]:
    """Let a package that is not imported yet be looked for in vain."""
    if name in sys.modules:
        yield
        return
    vars(sys)["modules"][name] = None  # by which the import system knows what is not there
    try:
        yield
    finally:
        del sys.modules[name]


class _Compiler(ModuleType):
    """Stands in for torch's compiler until more is asked of it than to leave functions alone."""

    def assume_constant_result(self, function: Any) -> Any:
        """Mark nothing."""
        return function

    def allow_in_graph(self, function: Any) -> Any:
        """Mark nothing."""
        return function

    def disable(
        self, function: Any = None, recursive: bool = True, **others: Any
    ) -> Any | Callable[[Any], Any]:
        """Mark nothing, as a call or as a decorator with arguments."""
        return function if function is not None else lambda decorated: decorated

    def graph_break(self, *reasons: str) -> None:
        """Break nothing: outside of the compiler this has no effect."""

    def __getattr__(self, name: str) -> Any:
        # `inspect` looks for the special names of every module; a path is what a submodule needs.
        if APART not in vars(self) or (name.startswith("__") and name != "__path__"):
            raise AttributeError(f"module {COMPILER!r} has no attribute {name!r}")
        return getattr(_compiler(self), name)


def _stand_in_for_compiler() -> None:
    """Put a stand-in where the import system and torch look for the compiler."""
    spec = importlib.util.find_spec(COMPILER)
    if spec is None or spec.submodule_search_locations is None:
        return
    stand_in = _Compiler(COMPILER)
    stand_in.__spec__, stand_in.__file__ = spec, spec.origin
    stand_in.__path__ = list(spec.submodule_search_locations)
    sys.modules[COMPILER] = stand_in
    with suppress(Exception):  # whatever goes wrong goes wrong again, or not, without a stand-in
        importlib.import_module(f"{COMPILER}.{APART}")
    # From here on, importing any other module of the compiler imports the whole of it first.
    del stand_in.__path__
    found = [name for name in sys.modules if name.startswith(f"{COMPILER}.")]
    if found == [f"{COMPILER}.{APART}"]:
        torch = sys.modules["torch"]
        torch._dynamo = stand_in  # type: ignore[attr-defined]
    else:  # a version that needs more of the compiler: it is imported as ever
        for name in (COMPILER, *found):
            del sys.modules[name]


def _compiler(stand_in: _Compiler) -> ModuleType:
    """Return the compiler, in whose place there is a stand-in no longer."""
    if sys.modules[COMPILER] is stand_in:
        del sys.modules[COMPILER], sys.modules["torch"]._dynamo
        sys.meta_path.insert(0, _Loaded())
        compiler = importlib.import_module(COMPILER)
        setattr(compiler, APART, vars(stand_in)[APART])
    return sys.modules[COMPILER]


class _Loaded(MetaPathFinder, Loader):
    """Finds modules that came with the whole of the compiler, so that none is run twice."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not name.startswith(f"{COMPILER}.") or name not in sys.modules:
            return None
        return importlib.util.spec_from_loader(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the module has run."""
