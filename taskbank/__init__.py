"""One frozen backbone, a growing bank of small task adapters, and proof that none changed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from taskbank.version import __version__

if TYPE_CHECKING:
    from taskbank.bank import Bank as Bank
    from taskbank.bank import create_bank as create
    from taskbank.bank import open_bank as open
    from taskbank.errors import TaskbankError as TaskbankError
    from taskbank.history.matrix import score_matrix as score_matrix
    from taskbank.inference import attach as attach
    from taskbank.pipeline import add_task as add_task
    from taskbank.pipeline import init as init
    from taskbank.predictor import Predictor as Predictor
    from taskbank.predictor import predict as predict
    from taskbank.suite import add_tasks as add_tasks
    from taskbank.transfer import export_adapter as export_adapter
    from taskbank.transfer import import_adapter as import_adapter
    from taskbank.verify.diff import diff as diff
    from taskbank.verify.verify import verify_all as verify_all

# Each name and where it lives; it is imported when it is first used, as torch is slow to.
_HOMES = {
    "Bank": "taskbank.bank:Bank",
    "Predictor": "taskbank.predictor:Predictor",
    "TaskbankError": "taskbank.errors:TaskbankError",
    "add_task": "taskbank.pipeline:add_task",
    "add_tasks": "taskbank.suite:add_tasks",
    "attach": "taskbank.inference:attach",
    "create": "taskbank.bank:create_bank",
    "diff": "taskbank.verify.diff:diff",
    "export_adapter": "taskbank.transfer:export_adapter",
    "import_adapter": "taskbank.transfer:import_adapter",
    "init": "taskbank.pipeline:init",
    "open": "taskbank.bank:open_bank",
    "predict": "taskbank.predictor:predict",
    "schema_of": "taskbank.bank:schema_of",
    "score_matrix": "taskbank.history.matrix:score_matrix",
    "upgrade": "taskbank.bank:upgrade_bank",
    "verify_all": "taskbank.verify.verify:verify_all",
}

__all__ = [
    "Bank",
    "Predictor",
    "TaskbankError",
    "__version__",
    "add_task",
    "add_tasks",
    "attach",
    "create",
    "diff",
    "export_adapter",
    "import_adapter",
    "init",
    "open",
    "predict",
    "schema_of",
    "score_matrix",
    "upgrade",
    "verify_all",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'taskbank' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(module), attribute)
