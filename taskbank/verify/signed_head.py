"""The head of a bank in a file that is signed: one line, and the signature below it."""

from __future__ import annotations

from pathlib import Path

from taskbank.bank.records import Head
from taskbank.errors import InputError
from taskbank.runtime.signatures import LARGEST, check_signature, sign

FIRST_WORDS = b"taskbank head "


def sign_head(head: Head, key: Path) -> bytes:
    """Return the content of a file with a signed head.

    Raises:
        InputError: if the key cannot sign.
    """
    line = FIRST_WORDS + f"{head.digest} entry {head.entries} of {head.at}\n".encode()
    return line + sign(line, key)


def read_signed_head(file: Path, signer: Path) -> str:
    """Return the head in a file that the owner of a public key has signed.

    Raises:
        InputError: if the file cannot be read, or the signature is not the signer's.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    line, newline, signature = content.partition(b"\n")
    if not line.startswith(FIRST_WORDS):
        raise InputError(f"{file} is not a signed head: make one with taskbank db sign")
    check_signature(line + newline, signature, signer, str(file))
    return line.removeprefix(FIRST_WORDS).split()[0].decode()
