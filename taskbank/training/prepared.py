"""The splits of a task, tokenised for training, each once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbank.backbone.backbone import Backbone
from taskbank.data.encoded import Encoded
from taskbank.training.plan import TaskPlan

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns


@dataclass(frozen=True)
class Prepared:
    """A split, ready for the model.

    Attributes:
        encoded: its inputs, with the targets of the loss.
        columns: of its examples.
    """

    encoded: Encoded
    columns: Columns


class PreparedSplits:
    """The splits of a planned task, tokenised when they are first used.

    Args:
        backbone: whose tokenizer is used.
        plan: the task.
    """

    def __init__(self, backbone: Backbone, plan: TaskPlan) -> None:
        self._backbone, self._plan = backbone, plan
        self._prepared: dict[tuple[str, int], Prepared] = {}

    def get(self, name: str, max_length: int) -> Prepared:
        """Return a split.

        Args:
            name: `train`, `validation` or `test`.
            max_length: tokens that an input is cut to.
        """
        key = (name, max_length)
        if key not in self._prepared:
            data = self._plan.data
            examples = {"train": data.train, **data.evaluated}[name]
            encoded = self._plan.kind.encode(
                self._backbone.tokenizer,
                examples.columns,
                data.definition,
                max_length,
                labelled=name != "test",
            )
            self._prepared[key] = Prepared(encoded, examples.columns)
        return self._prepared[key]

    def at_max_length(self, max_length: int) -> int:
        """Return the number of training inputs that reach a length, and may have been cut.

        It is 0 where the training split was never tokenised to that length.
        """
        prepared = self._prepared.get(("train", max_length))
        return 0 if prepared is None else int((prepared.encoded.lengths >= max_length).sum())
