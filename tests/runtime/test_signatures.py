"""Signatures by SSH keys: whose they are and of what, and what is told otherwise."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from taskbank.errors import InputError
from taskbank.runtime.signatures import check_signature, sign

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys of two people, without passphrases."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("alice", "bob"):
        command = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            name,
            "-f",
            str(folder / name),
        ]
        subprocess.run(command, check=True)
    return folder


def test_a_signature_is_of_one_key_and_of_one_text(keys: Path) -> None:
    """It holds for the signer's public key and the very bytes, and for nothing else."""
    signature = sign(b"data", keys / "alice")
    check_signature(b"data", signature, keys / "alice.pub", "the head")
    for data, by, signer in (
        (b"data", signature, "bob.pub"),
        (b"date", signature, "alice.pub"),
        (b"data", b"", "alice.pub"),
        (b"data", signature[: len(signature) // 2], "alice.pub"),
    ):
        with pytest.raises(InputError, match="the head is not signed by"):
            check_signature(data, by, keys / signer, "the head")


def test_a_signature_for_another_purpose_does_not_count(keys: Path) -> None:
    """A signature of the same bytes by the same key in another namespace is refused."""
    command = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", str(keys / "alice")]
    signature = subprocess.run(command, input=b"data", capture_output=True, check=True).stdout
    with pytest.raises(InputError, match="is not signed by"):
        check_signature(b"data", signature, keys / "alice.pub", "the head")


@pytest.mark.parametrize(
    "text", ["", "nonsense", "ssh-ed25519", "* ssh-ed25519 AAAA\n* x y", "\xff"]
)
def test_what_is_no_public_key_is_refused(keys: Path, tmp_path: Path, text: str) -> None:
    """An empty file, another file, several keys, and patterns of signers."""
    (tmp_path / "key.pub").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="is not a public SSH key"):
        check_signature(b"data", sign(b"data", keys / "alice"), tmp_path / "key.pub", "it")


def test_a_key_that_cannot_sign_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, a file that is no key, and a machine without OpenSSH."""
    with pytest.raises(InputError, match="there is no key"):
        sign(b"data", tmp_path / "nothing")
    (tmp_path / "key").write_text("nonsense")
    with pytest.raises(InputError, match="cannot sign"):
        sign(b"data", tmp_path / "key")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="install OpenSSH"):
        sign(b"data", tmp_path / "key")
