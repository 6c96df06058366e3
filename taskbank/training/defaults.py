"""Default hyperparameters, by method and dataset size.

Each `Method` defines its own learning rate. `scripts/paper/hyperparameters.py` measured the rates
and the numbers of epochs; the documentation has the results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.kinds.classification import Classification
from taskbank.methods.linear import LINEAR
from taskbank.specs import TaskSpec

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind
    from taskbank.methods.method import Method
    from taskbank.training.task_data import TaskData

SMALL_DATA = 1_000  # rows; smaller training sets get more epochs
EPOCHS, EPOCHS_SMALL_DATA = 10, 20
FEW_ROWS = 16  # rows per class, on average; with no more, training is contrastive
CONTRASTIVE_STEPS = 100


def default_hyperparameters(method: Method, rows: int) -> dict[str, Json]:
    """Return the defaults of `TrainingSpec` that depend on the method and the data.

    Args:
        method: the method that adapts the backbone.
        rows: number of training examples.
    """
    return {
        "learning_rate": method.rate,
        "epochs": EPOCHS_SMALL_DATA if rows < SMALL_DATA else EPOCHS,
    }


def contrastive_hyperparameters(
    spec: TaskSpec, kind: Kind, method: Method, data: TaskData
) -> dict[str, Json]:
    """Return the defaults of `TrainingSpec` that make a training contrastive; none if it is not.

    It is if that is asked for, or if there are few rows of each class and the number of epochs is
    not given.

    Args:
        spec: the requested specification.
        kind: the task's kind.
        method: the method that adapts the backbone.
        data: the task's data.

    Raises:
        InputError: if it is asked for and impossible, or epochs are asked for too.
    """
    given = {name for name, value in spec.training.items() if value is not None} | set(spec.search)
    asked, epochs = "contrastive" in given, sorted(given & {"epochs", "patience"})
    possible = isinstance(kind, Classification) and method.name != LINEAR.name
    if not asked:
        few = len(data.train) <= FEW_ROWS * len(data.definition.labels)
        default = possible and method.stored and few and not epochs
        return {"epochs": 1, "contrastive": CONTRASTIVE_STEPS} if default else {}
    if not possible:
        raise InputError(
            f"contrastive is given, and the kind is {kind.name!r} and the method {method.name!r}: "
            "contrastive training needs examples that belong to one class each, and a method "
            "that trains more than the head; leave it out"
        )
    if epochs and not (epochs == ["epochs"] and spec.training.get("epochs") == 1):
        raise InputError(
            f"contrastive and {epochs[0]} are both given: contrastive training counts steps, not "
            "epochs; leave one of them out"
        )
    return {"epochs": 1}
