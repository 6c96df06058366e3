"""Tests of how the scripts are started and described."""

from __future__ import annotations

import importlib
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "paper", "verification")
# Avalanche, which this one needs, does not install beside taskbank's requirements.
WITHOUT_HELP = ("scripts/verification/continual_reference.py",)
SCRIPTS = [
    str(path.relative_to(ROOT))
    for folder in FOLDERS
    for path in sorted((ROOT / "scripts" / folder).glob("*.py"))
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("script", [one for one in SCRIPTS if one not in WITHOUT_HELP])
def test_a_docstring_shows_the_command_with_its_options(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--help` runs, and knows every option in the command line of the script's docstring."""
    module = importlib.import_module(script.removesuffix(".py").replace("/", "."))
    usage = re.search(r"\n    (python scripts/.*?)\n\n", module.__doc__ or "", re.DOTALL)
    assert usage
    assert usage[1].split()[1] == script
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    assert stopped.value.code == 0
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert set(re.findall(r"--[a-z-]+", usage[1])) <= options


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_folder_lists_its_scripts(script: str) -> None:
    """The README beside a script has the command that runs it."""
    readme = (ROOT / script).parent / "README.md"
    assert f"python {script}" in readme.read_text(encoding="utf-8")
