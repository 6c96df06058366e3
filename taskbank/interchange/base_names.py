"""The names that other libraries have for a backbone, and whether a name is that of one."""

from __future__ import annotations

import re

HUB_ID = re.compile(r"(?P<name>[\w.-]+(/[\w.-]+)?)@(?P<revision>[\w./-]+)", re.ASCII)


def base_of(spec: str) -> tuple[str, str | None]:
    """Return the name or folder of a backbone, and its revision if the source names one.

    Args:
        spec: the source of a backbone, as its identity records it.
    """
    match = HUB_ID.fullmatch(spec)
    return (spec, None) if match is None else (match["name"], match["revision"])


def names_backbone(spec: str, base: str, revision: str | None) -> bool:
    """Return whether a checkpoint's name for its base is the name of a backbone.

    A revision counts only if both have one.

    Args:
        spec: the source of the backbone.
        base: the name or the absolute folder of the base.
        revision: its revision; None if it is not known.
    """
    own, own_revision = base_of(spec)
    return own == base and (None in (revision, own_revision) or revision == own_revision)
