"""The structure of the code and of its tests."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "taskbank"

UNSAFE = {"eval", "exec", "compile", "torch.load", "numpy.load", "np.load", "os.system"}


def test_nothing_unsafe_is_called() -> None:
    """No code of the package unpickles, evaluates text or runs a model repository's code."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "dill", "joblib", "cloudpickle"}, path.name
            elif isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in UNSAFE, path.name
                for keyword in node.keywords:
                    if keyword.arg == "trust_remote_code":
                        assert ast.unparse(keyword.value) == "False", path.name


def test_every_public_function_has_types_and_a_docstring() -> None:
    """Whoever reads a name finds out what it does without its body."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                assert node.returns is not None, f"{path.name}: {node.name}"


def test_every_test_says_what_it_proves() -> None:
    """Each test has a sentence."""
    for path in Path(__file__).parent.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                said = ast.get_docstring(node) or ""
                assert said.endswith("."), f"{path.name}: {node.name}"
