"""The definition of a method: its name, its options, and the function that adapts a backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.methods.options import Option

Adapt = Callable[[Backbone, Mapping[str, Json], torch.Generator | None], Adaptation]
Merge = Callable[[Adaptation], dict[str, torch.Tensor]]


@dataclass(frozen=True)
class Method:
    """A way to adapt a backbone. A new method is one file and one entry point.

    The command's help, the default hyperparameters and the documentation read everything they say
    about a method from here.

    Attributes:
        name: the method's name, such as `houlsby`.
        summary: the modules that are trained beside the head, in a few words.
        options: all options by name.
        rate: the default peak learning rate.
        adapt: returns an untrained adaptation of a backbone, given complete options and the
            generator of the initial values, its only source of randomness. The generator is None if
            stored values will replace the initial ones. It raises `InputError` if the backbone
            lacks the modules to adapt.
        stored: whether the bank stores the trained weights by default.
        merge: returns the weights of the backbone's model, by name and without those that stay as
            they are, with which it computes what the adaptation computes, up to rounding; products
            are computed in float64. None if no weights do.
    """

    name: str
    summary: str
    options: Mapping[str, Option]
    adapt: Adapt
    rate: float = 1e-3
    stored: bool = True
    merge: Merge | None = None

    def complete(self, given: Mapping[str, Json]) -> dict[str, Json]:
        """Return every option with its checked value, defaults filled in.

        The default of an option that earlier versions did not have is left out; see `Option`.

        Args:
            given: the options that differ from their defaults.

        Raises:
            InputError: if an option is unknown or out of range.
        """
        unknown = sorted(set(given) - set(self.options))
        if unknown:
            raise InputError(
                f"method {self.name} has no option {unknown[0]!r}: it has "
                f"{', '.join(self.options) or 'none'}"
            )
        complete = {
            name: option.check(name, given.get(name, option.default))
            for name, option in self.options.items()
        }
        return {
            name: value
            for name, value in complete.items()
            if not self.options[name].later or value != self.options[name].default
        }
