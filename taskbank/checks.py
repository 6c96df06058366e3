"""Checks of user input: names, texts, numbers and paths are safe to store, or refused."""

from __future__ import annotations

import os
import re
from pathlib import Path

from taskbank.errors import InputError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
ANY_DROP = 1.0  # the tolerance that leaves it to the test of significance


def check_tolerance(tolerance: float) -> None:
    """Raise unless a number can be the drop of a metric that is let pass.

    Raises:
        InputError: if it is not from 0 to `ANY_DROP`.
    """
    if not 0 <= tolerance <= ANY_DROP:
        raise InputError(f"tolerance is {tolerance}: it is a drop of a metric, from 0 to 1")


def check_name(name: str, what: str) -> str:
    """Return the name if it is safe everywhere a name goes, or raise.

    Args:
        name: a task name, an alias or a tag key.
        what: the word for it in the error.

    Raises:
        InputError: if it is not 1 to 100 letters, digits, `.`, `_` or `-`, the
            first of them a letter or a digit.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"{what} {name!r} is not usable: write 1 to 100 letters, digits, '.', '_' or '-', "
            "starting with a letter or a digit"
        )
    return name


def check_text(text: str, what: str) -> str:
    """Return a text if every database and file can hold it, or raise.

    Args:
        text: free text from the user.
        what: the word for it in the error.

    Raises:
        InputError: if it holds a NUL, or bytes that were no UTF-8 where it came from.
    """
    if "\x00" in text or text != text.encode(errors="ignore").decode():
        raise InputError(f"{what} {text!r} holds a NUL or is not UTF-8: leave that out")
    return text


NO_ALIAS_OF_DIGITS = "an alias must not be a number: NAME@3 means version 3"


def check_alias(alias: str) -> None:
    """Raise unless a text can be an alias.

    Raises:
        InputError: if it is no name, or a number.
    """
    check_name(alias, "alias")
    if alias.isdecimal():
        raise InputError(f"alias {alias!r} is not usable: {NO_ALIAS_OF_DIGITS}")


def check_writable(path: Path) -> None:
    """Raise unless a file can be written at a path, before any work is done for it.

    Raises:
        InputError: if its folder is not there or cannot be written to, or it is a folder.
    """
    folder = path.absolute().parent
    if (
        path.is_dir()
        or not folder.is_dir()
        or not os.access(path if path.exists() else folder, os.W_OK)
    ):
        raise InputError(f"{path} cannot be written to: name a file in a folder that is there")
