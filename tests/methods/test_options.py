"""Options of methods have ranges."""

from __future__ import annotations

from typing import Any

import pytest

from taskbank.errors import InputError
from taskbank.methods.houlsby import HOULSBY


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"size": 0}, "size is 0"),
        ({"size": -4}, "size is -4"),
        ({"size": 8.0}, "size is 8.0"),
        ({"size": True}, "size is True"),
        ({"size": 10**9}, "size is 1000000000"),
        ({"init_std": 0}, "init_std is 0"),
        ({"init_std": "big"}, "init_std is 'big'"),
        ({"activation": "swish"}, "activation is 'swish'"),
        ({"rank": 4}, "no option 'rank'"),
    ],
)
def test_options_out_of_range_are_refused(given: dict[str, Any], says: str) -> None:
    """An option that is unknown or makes no sense is an error with its name and value."""
    with pytest.raises(InputError, match=says):
        HOULSBY.complete(given)
