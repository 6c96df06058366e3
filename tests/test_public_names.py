"""The public names, and the structure they stand on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import taskbank

PACKAGE = Path(taskbank.__file__).parent


@pytest.mark.process
def test_the_face_is_complete_and_light() -> None:
    """Every name of `taskbank` is there, and importing it imports nothing heavy."""
    for name in dir(taskbank):
        assert getattr(taskbank, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        getattr(taskbank, "nonsense")  # noqa: B009
    code = "import sys, taskbank; print({'torch', 'sqlalchemy', 'numpy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_no_name_of_the_face_is_hidden_by_a_module() -> None:
    """A submodule of the same name would replace the function once it is imported."""
    modules = {path.stem for path in PACKAGE.glob("*")}
    assert not modules & set(dir(taskbank))
