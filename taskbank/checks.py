"""Validates names, texts, numbers and paths from the user."""

from __future__ import annotations

import os
import re
from pathlib import Path

from taskbank.errors import InputError
from taskbank.runtime.files import is_special

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
LARGEST = 2**31 - 1  # the largest whole number in a column of every database
ANY_DROP = 1.0  # this tolerance leaves the judgement to the significance test


def check_tolerance(tolerance: float) -> None:
    """Raise unless a tolerance, the largest drop of a metric to accept, is in range.

    Raises:
        InputError: if the tolerance is not between 0 and `ANY_DROP`.
    """
    if not 0 <= tolerance <= ANY_DROP:
        raise InputError(f"tolerance is {tolerance}: it must be a drop of a metric, from 0 to 1")


def check_name(name: str, what: str) -> str:
    """Return a name if it is safe in references, file names and queries, or raise.

    Args:
        name: a task name, an alias or a tag key.
        what: the noun for the name in the error message.

    Raises:
        InputError: unless the name consists of 1 to 100 letters, digits, `.`, `_` or `-`, and
            starts with a letter or a digit.
    """
    if not NAME.fullmatch(check_text(name, what)):
        raise InputError(
            f"{what} {name!r} is invalid: write 1 to 100 letters, digits, '.', '_' or '-', "
            "starting with a letter or a digit"
        )
    return name


def is_pattern(name: str) -> bool:
    """Return whether what stands for tasks is a pattern such as `ticket-*`, and no name."""
    return any(character in name for character in "*?[")


def check_text(text: str, what: str) -> str:
    """Return a text if every database and file can store it, or raise.

    Args:
        text: free text from the user.
        what: the noun for the text in the error message.

    Raises:
        InputError: if it is no text, contains a NUL, or was decoded from bytes that are not UTF-8.
    """
    if not isinstance(text, str):
        raise InputError(f"{what} is of the type {type(text).__name__}: it must be text")
    if "\x00" in text or text != text.encode(errors="ignore").decode():
        raise InputError(f"{what} {text!r} contains a NUL or is not UTF-8: remove these characters")
    return text


NO_ALIAS_OF_DIGITS = "an alias must not be a number: NAME@3 means version 3"


def check_alias(alias: str) -> None:
    """Raise unless a text is a valid alias.

    Raises:
        InputError: if the text is not a valid name, or is a number.
    """
    check_name(alias, "alias")
    if alias.isdecimal():
        raise InputError(f"alias {alias!r} is invalid: {NO_ALIAS_OF_DIGITS}")


def check_writable(path: Path) -> None:
    """Raise unless a file can be written at a path, before any long work starts.

    Args:
        path: the file; if it exists it is replaced, which its folder must allow.

    Raises:
        InputError: if the path is a folder, or its parent folder is missing or not writable.
    """
    folder = path.resolve().parent
    if path.is_dir():
        raise InputError(f"{path} cannot be written: it is a folder; name a file")
    if not folder.is_dir():
        raise InputError(f"{path} cannot be written: create the folder {folder} first")
    if not os.access(path if is_special(path) else folder, os.W_OK):
        raise InputError(
            f"{path} cannot be written: the folder {folder} is not writable; name a file elsewhere"
        )
