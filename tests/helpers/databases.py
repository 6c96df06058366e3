"""The databases that a bank can be in."""

from __future__ import annotations

import pytest

SERVER = "TASKBANK_TEST_POSTGRESQL"
DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.server))
