"""Where a training starts, if not untrained.

A further trial of a new task starts from the adapter of a stored version, or from an average of
several. The head starts untrained, as its outputs are those of the task. An update may continue the
version that it updates instead: then the head is taken over as well, and fewer epochs are trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, Parent, describe_parents
from taskbank.digests import Json
from taskbank.errors import ConflictError, InputError
from taskbank.methods.linear import LINEAR
from taskbank.methods.method import Method
from taskbank.specs import SHORTCUTS, BackboneIdentity, TaskSpec, TrainingSpec
from taskbank.training.logme import KINDS

AUTO = "auto"  # in place of names: the versions that are found to help; see `pipeline.auto_start`
HEAD = "head."  # the prefix of the stored names of a head's tensors
ROUNDING = 1e-6  # by which the sum of weights may differ from 1
EPOCHS = 0.45  # the share of the epochs that a version is continued for: less than half the time


@dataclass(frozen=True)
class Start:
    """Where a training starts, and how much of it there is.

    Attributes:
        parents: the stored versions.
        backbone: the backbone that they were trained on.
        tensors: their average, by stored name; without the head unless a version is continued.
        epochs: the share of the requested epochs, or contrastive steps, that is trained.
    """

    parents: tuple[Parent, ...]
    backbone: BackboneIdentity
    tensors: Mapping[str, torch.Tensor] = field(repr=False, compare=False)
    epochs: float = 1.0

    @property
    def digests(self) -> list[Json]:
        """Everything that determines the trained tensors, besides the setting of a trial."""
        parents: list[Json] = [[parent.digest, parent.weight] for parent in self.parents]
        with_head = any(name.startswith(HEAD) for name in self.tensors)
        return [*parents, {"head": True, "epochs": self.epochs}] if with_head else parents

    def values(self, untrained: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the tensors that the training starts with.

        They are not shrunk towards the untrained ones, as J. T. Ash and R. P. Adams do in "On
        Warm-Starting Neural Network Training" (2020): docs/measured/upkeep.md has what it costs.

        Args:
            untrained: the model's untrained tensors, by stored name. Its head may have more rows
                than the parents', for labels that came later; those stay untrained.
        """
        values = {**untrained, **self.tensors}
        for name, tensor in self.tensors.items():
            if name.startswith(HEAD):
                later = untrained[name][len(tensor) :]
                values[name] = torch.cat([tensor.to(later.device), later])
        return values

    def shortened(self, training: TrainingSpec) -> TrainingSpec:
        """Return hyperparameters with the share of the epochs or steps, at least one."""
        epochs = max(1, round(self.epochs * training.epochs))
        steps = training.contrastive
        if steps is not None:
            steps = max(1, round(self.epochs * steps))
        return replace(training, epochs=epochs, contrastive=steps)

    def check_backbone(self, identity: BackboneIdentity) -> None:
        """Raise unless the parents were trained on a backbone.

        Args:
            identity: the backbone that the task is trained on.

        Raises:
            InputError: if they were trained on another.
        """
        own = self.backbone
        if own.fingerprint != identity.fingerprint:
            raise InputError(
                f"{describe_parents(self.parents)} was trained on the backbone {own.spec!r} "
                f"({own.fingerprint}), and this task is trained on {identity.spec!r} "
                f"({identity.fingerprint}): give --backbone {own.spec}, or start from a version "
                "of that backbone"
            )


def continued(bank: Bank, record: AdapterRecord) -> Start:
    """Return the start of a training that continues a version: its adapter and its head.

    Args:
        bank: the bank with the version.
        record: the version.

    Raises:
        DamagedError: if its stored bytes differ from what was recorded.
    """
    parents = (Parent(record.ref, record.digest),)
    backbone = bank.backbone(record.backbone).identity
    return Start(parents, backbone, bank.state_dict(record), EPOCHS)


def read_starts(bank: Bank | None, spec: TaskSpec) -> tuple[Start, ...]:
    """Return where the further trials of a task start; nothing if it names no version.

    With `AUTO`, the versions are found when the data and the backbone are there.

    Args:
        bank: the bank with the versions; None if it does not exist yet.
        spec: the task's specification.

    Raises:
        NotFoundError: if a version does not exist.
        ConflictError: if a version is retired.
        InputError: if the versions have another method, other options or different backbones, or
            their weights do not sum to 1; with `AUTO`, if versions cannot be compared for the task.
        DamagedError: if stored rows or bytes differ from what was recorded.
    """
    if spec.start is None:
        return ()
    method: Method = plugins.load("methods", spec.method)
    if spec.start == AUTO:
        _check_auto(spec, method)
        return ()
    weights = parse_start(spec.start)
    if bank is None:
        raise InputError(
            f"--from is {spec.start!r}, and the bank does not exist yet: start from a version of "
            "an existing bank, or leave --from out"
        )
    varied = sorted(spec.search.keys() & method.options.keys())
    if varied:
        raise InputError(
            f"--search varies {varied[0]}, and --from needs that of {spec.start}: leave one of "
            "them out"
        )
    records = [bank[ref] for ref in weights]
    for record in records:
        _check_version(record, method, method.complete(spec.options))
    backbones = [bank.backbone(record.backbone).identity for record in records]
    for record, backbone in zip(records, backbones, strict=True):
        if backbone.fingerprint != backbones[0].fingerprint:
            raise InputError(
                f"{records[0].ref} was trained on the backbone {backbones[0].spec!r} and "
                f"{record.ref} on {backbone.spec!r}: average versions of one backbone"
            )
    parents = tuple(
        Parent(record.ref, record.digest, weight)
        for record, weight in zip(records, weights.values(), strict=True)
    )
    if len({parent.digest for parent in parents}) < len(parents):
        raise InputError(f"--from is {spec.start!r}: it names equal versions, so name one of them")
    return (Start(parents, backbones[0], _average(bank, records, parents)),)


def _check_auto(spec: TaskSpec, method: Method) -> None:
    """Raise unless versions can be compared for a task."""
    if spec.kind not in KINDS:
        raise InputError(
            f"--from auto compares versions for the kinds {', '.join(KINDS)}, not for "
            f"{spec.kind!r}: name a version, which training then judges, or leave --from out"
        )
    if method.name == LINEAR.name:
        raise InputError(
            f"--from auto looks for an adapter, and the method {method.name!r} trains a head "
            "alone: leave --from out"
        )
    varied = sorted(spec.search.keys() & method.options.keys())
    if varied:
        raise InputError(
            f"--search varies {varied[0]}, and --from auto compares versions of one "
            f"{varied[0]}: leave one of them out"
        )


def parse_start(text: str) -> dict[str, float]:
    """Return the weight of each version that a start names.

    Args:
        text: `NAME[@VERSION|@ALIAS]`, or several of them, each with a weight: `a:0.5,b:0.5`.

    Raises:
        InputError: if a weight is missing or not above 0, if they do not sum to 1, or if a version
            is named twice.
    """
    parts = [part.strip() for part in text.split(",")]
    weights: dict[str, float] = {}
    for part in parts:
        ref, colon, number = part.partition(":")
        if not ref or (len(parts) > 1 and not colon):
            raise InputError(
                f"--from is {text!r}: name one version, or several with their weights, such as "
                "a:0.5,b:0.5"
            )
        if ref in weights:
            raise InputError(f"--from is {text!r}: it names {ref} twice; name each version once")
        weights[ref] = _weight(ref, number) if colon else 1.0
    total = math.fsum(weights.values())
    if abs(total - 1) > ROUNDING:
        raise InputError(f"--from is {text!r}: the weights sum to {total:g}; they must sum to 1")
    return weights


def _weight(ref: str, number: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not 0 < weight <= 1:
        raise InputError(
            f"the weight of {ref} in --from is {number!r}: write a number above 0, at most 1"
        )
    return weight


def _check_version(record: AdapterRecord, method: Method, options: Mapping[str, Json]) -> None:
    """Raise unless a version's adapter has the shape of those of a method with its options."""
    if record.retired:
        raise ConflictError(f"{record.ref} is retired: start from a version in use")
    if record.ensemble > 1:
        raise InputError(
            f"{record.ref} is an ensemble of {record.ensemble} trainings, and a training starts "
            "from one adapter: start from a version of one training"
        )
    if record.method != method.name:
        raise InputError(
            f"{record.ref} has the method {record.method!r}, and this task {method.name!r}: give "
            f"--method {record.method}, or start from another version"
        )
    own = method.complete(record.options)
    for name, value in options.items():
        if own[name] != value:
            flag = f"--{name} " if name in SHORTCUTS else f"--option {name}="
            raise InputError(
                f"{record.ref} has the {name} {own[name]!r}, and this task {value!r}: give "
                f"{flag}{own[name]}, or start from another version"
            )


def _average(
    bank: Bank, records: Sequence[AdapterRecord], parents: Sequence[Parent]
) -> dict[str, torch.Tensor]:
    adapters = [
        {name: one for name, one in bank.state_dict(record).items() if not name.startswith(HEAD)}
        for record in records
    ]
    if not adapters[0]:
        raise InputError(
            f"{records[0].ref} has the method {records[0].method!r}, which trains a head alone: "
            "there is no adapter to start from"
        )
    if len(adapters) == 1:
        return adapters[0]
    weights = [parent.weight for parent in parents]
    return {
        name: sum(
            (one[name] * weight for one, weight in zip(adapters, weights, strict=True)),
            start=torch.zeros_like(first),
        )
        for name, first in adapters[0].items()
    }
