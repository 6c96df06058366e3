"""Signs data with an SSH key and checks such signatures, by OpenSSH's `ssh-keygen`.

Users have such keys, and OpenSSH knows where they are: in files, with a passphrase, in an agent or
on a hardware token. The namespace keeps a signature that was made for something else from counting.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from taskbank.errors import InputError

NAMESPACE = "taskbank"
LARGEST = 20_000  # bytes of a public key or a signature


def sign(data: bytes, key: Path) -> bytes:
    """Return the signature of data.

    Args:
        data: what to sign.
        key: the file of a private SSH key, or of a public key whose private key is in an agent.

    Raises:
        InputError: if ssh-keygen is missing or cannot sign with the key.
    """
    if not key.is_file():
        raise InputError(f"there is no key {key}: make one with ssh-keygen -t ed25519")
    done = _run(["-Y", "sign", "-n", NAMESPACE, "-f", str(key)], data)
    if done.returncode or not done.stdout:
        raise InputError(f"{key} cannot sign: {_reason(done)}")
    return done.stdout


def check_signature(data: bytes, signature: bytes, signer: Path, what: str) -> None:
    """Raise unless data was signed by the owner of a public key.

    Args:
        data: what was signed.
        signature: the signature.
        signer: the file of a public SSH key, such as `id_ed25519.pub`.
        what: what was signed, for the message.

    Raises:
        InputError: if ssh-keygen is missing, the file is not a public key, or the signature is
            another's or of other data.
    """
    with TemporaryDirectory() as folder:
        allowed, file = Path(folder) / "signers", Path(folder) / "signature"
        allowed.write_text(f'signer namespaces="{NAMESPACE}" {_public_key(signer)}\n')
        file.write_bytes(signature)
        arguments = ["-Y", "verify", "-n", NAMESPACE, "-I", "signer", "-f", str(allowed)]
        done = _run([*arguments, "-s", str(file)], data)
    if done.returncode:
        raise InputError(
            f"{what} is not signed by {signer}: another key signed it, or it was changed after it "
            f"was signed ({_reason(done)})"
        )


def _public_key(file: Path) -> str:
    """Return the one public key in a file: its type and its data, without the comment."""
    try:
        with file.open(encoding="ascii") as opened:
            lines = [line for line in opened.read(LARGEST).splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        lines = []
    parts = lines[0].split() if len(lines) == 1 else []
    if len(parts) < 2 or not parts[0].startswith(("ssh-", "ecdsa-", "sk-")):
        raise InputError(f"{file} is not a public SSH key: name a file such as id_ed25519.pub")
    return f"{parts[0]} {parts[1]}"


def _run(arguments: Sequence[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise InputError("signatures need ssh-keygen: install OpenSSH (8.1 or newer)")
    return subprocess.run(  # noqa: S603 - a fixed program, without a shell
        [program, *arguments], input=data, capture_output=True, check=False
    )


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    said = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()
    return said[-1] if said else f"ssh-keygen exited with {done.returncode}"
