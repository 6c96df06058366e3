"""A split of a task, tokenised for training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbank.data.encoded import Encoded

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns


@dataclass(frozen=True)
class Prepared:
    """A split, ready for the model.

    Attributes:
        encoded: its inputs, with what the loss is told.
        columns: of its examples.
    """

    encoded: Encoded
    columns: Columns
