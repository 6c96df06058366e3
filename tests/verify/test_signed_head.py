"""A head in a signed file is expected by verify-all, and another's file is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from taskbank.interchange.export import export_adapter
from taskbank.interchange.untrusted import read_description
from tests.helpers.adapters import new_adapter
from tests.helpers.terminal import Terminal

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys of two people."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("alice", "bob"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    return folder


def test_a_signed_head_is_expected(
    own: Bank, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file of `db sign` holds while the bank grows; changed or by another it is bad input."""
    own.put(new_adapter())
    terminal = Terminal(own.url, capsys)
    terminal("db", "sign", "--key", str(keys / "alice"), "--output", "head.txt")
    own.set_tolerance("mood", 0.5)
    verify = ("verify-all", "--level", "integrity", "--expect", "head.txt", "--signer")
    assert "the expected head is entry" in terminal(*verify, str(keys / "alice.pub"))
    terminal(*verify, str(keys / "bob.pub"), code=2)
    assert "is not signed by" in terminal.err
    Path("head.txt").write_bytes(Path("head.txt").read_bytes().replace(b"entry", b"Entry", 1))
    terminal(*verify, str(keys / "alice.pub"), code=2)
    Path("head.txt").write_text("nothing")
    terminal(*verify, str(keys / "alice.pub"), code=2)
    assert "is not a signed head" in terminal.err
    terminal("verify-all", "--signer", str(keys / "alice.pub"), code=2)


def test_a_signed_export_is_checked_before_it_is_read(own: Bank, keys: Path) -> None:
    """The description is read if the signer's key signed it, and refused otherwise."""
    own.put(new_adapter())
    export_adapter(own, "mood", "signed", key=keys / "alice")
    export_adapter(own, "mood", "unsigned")
    file = Path("signed/adapter.json")
    assert read_description(file, keys / "alice.pub")["task"] == "mood"
    assert read_description(file)["task"] == "mood"
    with pytest.raises(InputError, match="is not signed by"):
        read_description(file, keys / "bob.pub")
    with pytest.raises(InputError):
        read_description(Path("unsigned/adapter.json"), keys / "alice.pub")
    file.write_text(file.read_text().replace("is it good", "is it bad"))
    with pytest.raises(InputError, match="is not signed by"):
        read_description(file, keys / "alice.pub")
