"""The environment that records carry."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest
import torch

from taskbank.runtime import environment as module
from taskbank.runtime.environment import environment, numerics
from taskbank.version import __version__


def test_an_environment_has_versions_device_and_threads() -> None:
    """The versions are those installed; device and threads are there where torch computed."""
    found = environment("cpu")
    assert found["taskbank"] == __version__
    assert found["torch"] == torch.__version__
    assert (found["device"], found["threads"]) == ("cpu", torch.get_num_threads())
    assert "device" not in environment()


def test_a_library_without_metadata_has_an_unknown_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A vendored build is recorded as unknown."""

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "version", missing)
    assert {environment()[name] for name in module.RECORDED} == {"unknown"}


def test_numerics_have_no_number_of_a_device() -> None:
    """All GPUs of a machine are one kind; what else a last bit depends on is kept."""
    found = numerics("cpu")
    assert found["device"] == "cpu"
    assert found["taskbank"] == module.NUMERICS
    assert found.keys() == {
        "torch", "transformers", "tokenizers", "machine", "taskbank", "device"
    }  # fmt: skip
