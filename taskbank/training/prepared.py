"""The splits of a task, each tokenised once for training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbank.backbone.backbone import Backbone
from taskbank.data.encoded import Encoded
from taskbank.training.plan import TaskPlan

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns


@dataclass(frozen=True)
class PreparedSplit:
    """A tokenised split.

    Attributes:
        encoded: the inputs, with the targets of the loss.
        columns: the columns of the split's examples.
    """

    encoded: Encoded
    columns: Columns


class PreparedSplits:
    """The splits of a planned task, each tokenised when it is first used.

    Args:
        backbone: the backbone that provides the tokenizer.
        plan: the planned task.
    """

    def __init__(self, backbone: Backbone, plan: TaskPlan) -> None:
        self._backbone, self._plan = backbone, plan
        self._prepared: dict[tuple[str, int], PreparedSplit] = {}

    def get(self, name: str, max_length: int) -> PreparedSplit:
        """Return a split, tokenised to a maximum length.

        Args:
            name: `train`, `validation` or `test`.
            max_length: maximum number of tokens per input.
        """
        key = (name, max_length)
        if key not in self._prepared:
            data = self._plan.data
            examples = {"train": data.train, **data.evaluated_splits}[name]
            encoded = self._plan.kind.encode(
                self._backbone.tokenizer,
                examples.columns,
                data.definition,
                max_length,
                labelled=name != "test",
            )
            self._prepared[key] = PreparedSplit(encoded, examples.columns)
        return self._prepared[key]

    def truncated(self, max_length: int) -> dict[str, int]:
        """Return the number of examples of which tokens were left out, by split.

        Splits that were not tokenised to that length are missing.
        """
        return {
            name: len(prepared.encoded.truncated)
            for (name, length), prepared in self._prepared.items()
            if length == max_length
        }
