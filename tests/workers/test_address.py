"""Where jobs run, as users write it."""

from __future__ import annotations

import pytest

from taskbank.errors import InputError
from taskbank.workers.address import RayAddress


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ray", RayAddress()),
        ("ray?threads=4", RayAddress(None, 4)),
        ("ray://head.example:10001", RayAddress("ray://head.example:10001")),
        ("ray://10.0.0.1:10001?threads=2", RayAddress("ray://10.0.0.1:10001", 2)),
        ("ray://[fd00::1]:10001", RayAddress("ray://[fd00::1]:10001")),
    ],
)
def test_every_form_is_read(text: str, expected: RayAddress) -> None:
    """With and without a server, and with a number of threads."""
    assert RayAddress.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ray",
        "ray:",
        "ray://",
        "ray://head",
        "ray://user:secret@head:10001",
        "ray://head:10001/path",
        "ray?threads=",
        "ray?threads=-1",
        "ray?cpus=1",
        "ray\n",
        "dask",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """The message has what was given, and what to write."""
    with pytest.raises(InputError, match="is no place to run jobs: write ray"):
        RayAddress.parse(text)


@pytest.mark.parametrize("threads", [0, 1025, 10**9])
def test_a_number_of_threads_has_limits(threads: int) -> None:
    """No machine has more, and none computes on none."""
    with pytest.raises(InputError, match="use 1 to 1024"):
        RayAddress.parse(f"ray?threads={threads}")
