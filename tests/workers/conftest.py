"""Workers on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskbank.bank.bank import Bank
from taskbank.workers.address import RayAddress
from taskbank.workers.ray_cluster import RayCluster


@pytest.fixture
def workers(cluster: None, mood: Bank) -> Iterator[RayCluster]:
    """Two workers on a bank with one task."""
    with RayCluster(RayAddress(), mood.url) as executor:
        assert executor.workers == 2
        yield executor
