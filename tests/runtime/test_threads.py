"""Set before torch is loaded: that threads which wait sleep."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from taskbank.runtime.threads import SETTINGS, WAITING, let_threads_sleep, sleeping_threads

# Prints what the environment says of waiting when torch is looked for.
WATCH = f"""
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("torch", *(os.environ.get(name) for name in {tuple(WAITING)}))
sys.meta_path.insert(0, Watch())
"""


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make torch look as if it had not been loaded."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)


def run(script: str) -> str:
    """Return what a script prints in a process of its own."""
    command = [sys.executable, "-c", WATCH + script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.usefixtures("without_torch")
def test_threads_sleep_where_nothing_is_said() -> None:
    """OMP_WAIT_POLICY becomes passive before torch is loaded, and GOMP_SPINCOUNT 1000."""
    assert let_threads_sleep()
    assert {name: os.environ.pop(name) for name in WAITING} == WAITING


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize("name", SETTINGS)
def test_a_users_own_setting_wins(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each variable that decides how threads wait stays the only one that is set."""
    monkeypatch.setenv(name, "1000")
    assert not let_threads_sleep()
    assert [name for name in SETTINGS if name in os.environ] == [name]


def test_nothing_is_set_once_torch_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded torch has read its settings, and the environment stays as it was."""
    monkeypatch.setitem(sys.modules, "torch", object())
    assert not let_threads_sleep()
    assert not WAITING.keys() & os.environ.keys()


@pytest.mark.usefixtures("without_torch")
def test_the_environment_is_left_as_it_was() -> None:
    """sleeping_threads sets both variables within, and removes them."""
    with sleeping_threads():
        assert {name: os.environ[name] for name in WAITING} == WAITING
    assert not WAITING.keys() & os.environ.keys()


@pytest.mark.process
def test_python_loads_torch_so_that_threads_sleep() -> None:
    """Importing taskbank sets nothing; a public name sets the policy while torch loads."""
    script = """
import taskbank
print("GOMP_SPINCOUNT" in os.environ, "torch" in sys.modules)
taskbank.Predictor
print("GOMP_SPINCOUNT" in os.environ, "torch" in sys.modules)
"""
    assert run(script) == "False False\ntorch passive 1000\nFalse True\n"


@pytest.mark.process
def test_a_command_loads_torch_so_that_threads_sleep() -> None:
    """The command line loads torch under the policy."""
    script = """
sys.argv = ["taskbank", "predict", "a", "b", "--bank", "sqlite:///not-there.db"]
from taskbank.cli.main import main
try:
    main()
except SystemExit as error:
    print(error.code)
"""
    assert run(script) == "torch passive 1000\n2\n"
