"""What other libraries call a backbone."""

from __future__ import annotations

import pytest

from taskbank.interchange.base_names import base_of, names_backbone

SPECS = [
    ("org/bert@v2", "org/bert", "v2", True),
    ("org/bert@v2", "org/bert", None, True),
    ("org/bert@v2", "org/bert", "v3", False),
    ("org/bert", "org/bert", "v3", True),
    ("org/bert", "other/bert", None, False),
    ("bert", "org/bert", None, False),
    ("/models/bert@home", "/models/bert@home", None, True),
    ("package:words/model", "package:words/model", None, True),
]


@pytest.mark.parametrize(("spec", "base", "revision", "same"), SPECS)
def test_a_name_is_a_backbones_unless_both_have_a_revision_that_differs(
    spec: str, base: str, revision: str | None, same: bool
) -> None:
    """Names are compared as they are; a revision counts only if both are known."""
    assert names_backbone(spec, base, revision) == same


def test_a_folder_has_no_revision() -> None:
    """Only the name of a hub is divided at `@`."""
    assert base_of("/models/bert@home") == ("/models/bert@home", None)
    assert base_of("org/bert@v2") == ("org/bert", "v2")
