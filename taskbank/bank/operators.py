"""The comparison operators of the query language and of requirements."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
