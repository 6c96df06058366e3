"""The public names, and the structure they stand on."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import taskbank

PACKAGE = Path(taskbank.__file__).parent


def test_the_face_is_complete_and_light() -> None:
    """Every name of `taskbank` is there, and importing it imports nothing heavy."""
    for name in taskbank.__all__:
        assert getattr(taskbank, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = taskbank.nonsense
    code = "import sys, taskbank; print({'torch', 'sqlalchemy', 'numpy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_no_name_of_the_face_is_hidden_by_a_module() -> None:
    """A submodule of the same name would replace the function once it is imported."""
    modules = {path.stem for path in PACKAGE.glob("*")}
    assert not modules & set(taskbank.__all__)


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
