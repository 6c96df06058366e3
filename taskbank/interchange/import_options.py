"""What an import is asked for beside the folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from taskbank.data.style import Style
from taskbank.errors import InputError


@dataclass(frozen=True)
class ImportOptions:
    """What an import is asked for; what the format itself tells may be left out.

    Attributes:
        name: name of the task.
        new_version: whether to add a version to an existing task.
        backbone: where to load the backbone from.
        signer: the file of the public SSH key whose owner must have signed the folder.
        test: labelled data to score the adapter on.
        kind: kind of the task.
        label_names: names of the classes, in the order of the head's outputs.
        metric: metric that gives the score and is verified later.
        positive: the class of two that F1 is computed for.
        max_length: maximum number of tokens per input.
        text: column of the first text of an input in the data.
        text_pair: column of the second text.
        label: column of the label.
        style: how the files of the data are written.
        merge_labels: whether to read labels that differ only in letter case as the task's.
        description: free text that describes the task.
        tags: keys and values to find the task by.
        device: where the adapter is scored.
    """

    name: str | None = None
    new_version: bool = False
    backbone: str | None = None
    signer: str | None = None
    test: Any = None
    kind: str | None = None
    label_names: str | Sequence[str] | None = None
    metric: str | None = None
    positive: str | None = None
    max_length: int | None = None
    text: str | None = None
    text_pair: str | None = None
    label: str | None = None
    style: Style = field(default_factory=Style)
    merge_labels: bool = False
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    device: str | None = None

    def refuse_others(self, taken: Sequence[str], format: str, reason: str) -> None:
        """Raise if an option is given that an import of this format does not take.

        Args:
            taken: the names of the options that it takes.
            format: the name of the format.
            reason: why it takes no others.

        Raises:
            InputError: naming the option.
        """
        nothing = ImportOptions()
        for name, value in vars(self).items():
            default = getattr(nothing, name)
            # Data in memory, whose default is None, may not be compared with anything.
            given = value is not None and (default is None or value != default)
            if given and name not in taken:
                option = name.replace("_", "-")
                raise InputError(
                    f"--{option} is given for a folder of format {format}: leave it out, as "
                    f"{reason}"
                )
