"""Frozen specifications of backbones, methods, trainings and tasks.

A specification is plain data. It is stored as canonical JSON and identified by the digest of that
JSON, so two specifications are equal exactly when their digests are equal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from taskbank.checks import LARGEST, check_name, check_text
from taskbank.digests import Json, digest_json
from taskbank.errors import InputError

FOLDS = "folds"  # the split of a score that a cross-validation gave
COMMIT = re.compile("@[0-9a-f]{40}")  # of a model on the hub, behind its name


@dataclass(frozen=True)
class BackboneIdentity:
    """The identity of a backbone: its source, its size and the digests of its parts.

    Attributes:
        spec: the source it was loaded from: a hub id with its commit, a folder, or
            `package:NAME/FOLDER`.
        model_type: the architecture's name in transformers, such as `bert`.
        pooling: how token vectors are reduced to one vector: `pooler`, `first` or `mean`.
        parameters: number of parameters, all frozen.
        hidden_size: width of a hidden state.
        layers: number of transformer layers.
        max_length: maximum number of tokens per input.
        weights: digest of all parameters and buffers.
        config: digest of the model's configuration.
        tokenizer: digest of the vocabulary and the tokenisation rules.
        settings: what decides the tokens of an input besides the rules, by name. None if it is not
            known, as in banks of earlier versions until their backbone is loaded again.
    """

    spec: str
    model_type: str
    pooling: str
    parameters: int
    hidden_size: int
    layers: int
    max_length: int
    weights: str
    config: str
    tokenizer: str
    settings: Mapping[str, Json] | None = field(default=None, kw_only=True)

    @property
    def fingerprint(self) -> str:
        """One digest of weights, configuration, tokenizer and pooling."""
        parts = (self.weights, self.config, self.tokenizer, self.pooling)
        return digest_json(list(parts))

    def is_from(self, spec: str) -> bool:
        """Return whether a specification names this backbone's source, with or without its commit.

        Args:
            spec: a hub id, a folder or a package's folder.
        """
        return self.spec == spec or COMMIT.fullmatch(self.spec.removeprefix(spec)) is not None

    def differing_settings(self, recorded: Mapping[str, Json] | None) -> list[str]:
        """Return a description of every setting that differs; none if one side is not known.

        Args:
            recorded: the recorded settings.
        """
        if recorded is None or self.settings is None:
            return []
        return [
            f"{name} is {self.settings[name]!r}, recorded was {recorded[name]!r}"
            for name in sorted(recorded.keys() & self.settings.keys())
            if self.settings[name] != recorded[name]
        ]


@dataclass(frozen=True)
class MethodSpec:
    """How the backbone is adapted to a task: a method's name and its complete options.

    Attributes:
        name: the method's name, such as `houlsby`.
        options: every option of the method with its value, defaults included.
    """

    name: str
    options: Mapping[str, Json] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Digest of the name and the options."""
        return digest_json({"name": self.name, "options": dict(self.options)})


# Ranges of the integer fields of `TrainingSpec`, both ends included.
WHOLE_NUMBERS: Mapping[str, tuple[int, int]] = {
    "epochs": (1, 1_000_000),
    "batch_size": (1, 1_000_000),
    "max_length": (3, 1_000_000),  # an input needs at least three tokens
    "seed": (0, 2**32 - 1),
    "patience": (1, 1_000_000),
    "batch_tokens": (1, 1_000_000_000),
    "contrastive": (1, 1_000_000),
    "ensemble": (1, 100),
}
LATER_FIELDS = ("contrastive", "ensemble")
OPTIONAL_NUMBERS = ("patience", "batch_tokens", "contrastive")  # which may be None


# For each other number, a test and a description of the accepted values.
NUMBERS: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "learning_rate": (lambda value: 0 < value < 1, "a number between 0 and 1"),
    "weight_decay": (lambda value: 0 <= value < 1, "a number from 0 to below 1"),
    "warmup": (lambda value: 0 <= value <= 1, "a share, from 0 to 1"),
    "clip": (lambda value: 0 < value < math.inf, "a number above 0"),
}


# The values that a field accepts besides None.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "class_weight": ("balanced",),
    "precision": ("float32", "bfloat16"),
}


@dataclass(frozen=True)
class TrainingSpec:
    """How an adapter is trained: section 3.1 of Houlsby et al. 2019.

    The options of `taskbank add-task` and the keys of a suite take their descriptions from here.

    Attributes:
        epochs: maximum number of passes over the training data.
        learning_rate: peak learning rate, reached after the warm-up.
        batch_size: number of examples per step.
        max_length: maximum number of tokens per input, or per window of a long input.
        seed: seed of the initial weights, the order of the examples and dropout.
        patience: number of epochs without a better validation score after which training stops;
            by default every epoch is run.
        weight_decay: weight decay of AdamW, applied to matrices only; the paper uses none, its code
            0.01.
        warmup: share of the steps over which the learning rate rises before it falls to zero.
        clip: maximum norm of the gradient.
        class_weight: `balanced` gives every class the same weight in the loss, however rare it is.
        precision: number type of matrix products in training, `float32` or `bfloat16`; by default
            bfloat16 if the processor has instructions for it. Weights and predictions are always
            float32.
        batch_tokens: maximum number of tokens per step, in addition to the number of examples; by
            default there is no limit.
        contrastive: number of steps that bring the vectors of a class together, after which the
            head is fitted to them, in place of epochs; by default 100 if classes have 8 training
            rows or fewer on average and neither epochs nor patience are given, else none.
        ensemble: number of trainings from different seeds whose probabilities are averaged; they
            are one version, and cost as many times the training, the storage and the predictions.
    """

    epochs: int = 10
    learning_rate: float = 1e-3
    batch_size: int = 32
    max_length: int = 128
    seed: int = 0
    patience: int | None = None
    weight_decay: float = 0.0
    warmup: float = 0.1
    clip: float = 1.0
    class_weight: str | None = None
    precision: str | None = None
    batch_tokens: int | None = None
    contrastive: int | None = None
    ensemble: int = 1

    def __post_init__(self) -> None:
        for name, (least, most) in WHOLE_NUMBERS.items():
            value = getattr(self, name)
            if name in OPTIONAL_NUMBERS and value is None:
                continue
            if type(value) is not int or not least <= value <= most:
                raise InputError(
                    f"{name} is {value!r}: it must be a whole number from {least:,} to {most:,}"
                )
        for name, (is_valid, requirement) in NUMBERS.items():
            value = getattr(self, name)
            if type(value) not in (int, float) or not is_valid(value):
                raise InputError(f"{name} is {value!r}: it must be {requirement}")
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in choices:
                listed = " or ".join(map(repr, choices))
                raise InputError(f"{name} is {value!r}: write {listed}, or leave it out")

    def to_json(self) -> dict[str, Json]:
        """Return the specification as a plain dictionary.

        A field that earlier versions did not have is left out where it changes nothing, so that a
        specification keeps its digest.
        """
        values = asdict(self)
        for name in LATER_FIELDS:
            if values[name] == self.__dataclass_fields__[name].default:
                del values[name]
        return values

    @property
    def digest(self) -> str:
        """Digest of every field."""
        return digest_json(self.to_json())


def member_prefixes(ensemble: int) -> tuple[str, ...]:
    """Return what the stored names of each member's tensors begin with.

    Args:
        ensemble: number of members; the tensors of a single training have their own names.
    """
    return ("",) if ensemble == 1 else tuple(f"member.{number}." for number in range(ensemble))


@dataclass(frozen=True)
class ForeignTraining:
    """What is known of a training that another library did: how inputs are read.

    Attributes:
        max_length: maximum number of tokens per input, or per window of a long input.
    """

    max_length: int

    @property
    def ensemble(self) -> int:
        """The number of members: what other libraries store is one training."""
        return 1

    def to_json(self) -> dict[str, Json]:
        """Return what is known as a plain dictionary, without the other fields of a training."""
        return asdict(self)

    @property
    def digest(self) -> str:
        """Digest of every field."""
        return digest_json(self.to_json())


def training_of(fields: Mapping[str, Json]) -> TrainingSpec | ForeignTraining:
    """Return the training that the fields of a record describe.

    Args:
        fields: the fields of a `TrainingSpec`, or only the maximum length.

    Raises:
        InputError: if a value is out of range.
    """
    training = TrainingSpec(**fields)
    return ForeignTraining(training.max_length) if fields.keys() == {"max_length"} else training


# Keys that stand for others, with their own command-line option and suite key.
SHORTCUTS: Mapping[str, str] = {
    "size": "width of the bottleneck",
    "layers": "adapted layers: all, top:3, 0-5 or 8,10,11",
    "recipe": "search of a publication, which other keys override: `paper` is that of Houlsby et "
    "al. 2019, section 3.2, 18 settings from five seeds",
}
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "paper": {
        "method": "houlsby",
        "search": {
            "learning_rate": (3e-5, 3e-4, 3e-3),
            "epochs": (3, 20),
            "size": (8, 64, 256),
        },
        "seeds": 5,
    }
}
TRAINING_FIELDS = tuple(TrainingSpec.__dataclass_fields__)


@dataclass(frozen=True)
class TaskSpec:
    """The specification of a task to add: its data, its kind, and how it is trained.

    These fields are the options of `taskbank add-task`, the keys of a suite and the keywords of
    `add_task`, which take their descriptions from here.

    Attributes:
        name: name of the task.
        train: training data: a .csv, .tsv, .jsonl, .parquet or .arrow file, a folder that
            `datasets` saved, or `hf:NAME[/CONFIG][:SPLIT]`.
        validation: data on which the best epoch and the best trial are chosen; by default a
            stratified tenth of the training data is held out.
        test: data that is scored once, at the end, and provides the task's score; by default the
            validation data provides it.
        kind: kind of task.
        text: column of the first text of an input.
        text_pair: column of the second text of an input.
        label: column of the label to predict.
        format: format of the files, instead of the one that their endings name.
        delimiter: character between the values of a .csv or .tsv file, or its name: tab, comma,
            semicolon, pipe, space; by default the file shows it.
        quote: character around the values of a .csv or .tsv file, or `none` if quotes are part of
            the texts; by default the file shows it.
        encoding: encoding of text files, such as `cp1252`; by default UTF-8, or what a byte order
            mark says.
        columns: names of the columns of files without a header, separated by commas.
        folds: number of folds of a cross-validation, which gives the score in place of data that
            is held out: each fold is scored by a training on the others, then the adapter is
            trained on all rows.
        label_names: names of the classes, in order, if the data has whole numbers from 0 for them:
            names with commas between them, or a text file with one name per line.
        merge_labels: count labels that differ only in letter case, or are the same number, as the
            most common of them.
        rows: number of training rows to use, sampled with stratification; by default all.
        metric: metric that selects the best trial and is verified later; by default the kind's own
            metric.
        positive: the class whose F1 is computed when there are two classes; by default the last.
        abstain: rule by which answers are withheld where the version is not sure: precision=0.95,
            coverage=0.8 or, for one class of several, alpha=0.05; by default every input is
            answered.
        method: method that adapts the backbone.
        options: options of the method that differ from its defaults.
        training: fields of `TrainingSpec` that differ from the defaults of method and data.
        search: values to try for a training field or an option of the method; the best trial by
            validation score is recorded.
        start: stored version, `NAME[@VERSION|@ALIAS]`, from whose adapter one more trial starts, or
            several with weights, such as `a:0.5,b:0.5`, from whose average it starts; their
            method, options and backbone must be those of the task. `auto` tries up to three
            versions of the bank that are found to help.
        seeds: number of seeds that each setting is trained from.
        trials: number of settings to sample from the search; by default every setting is tried.
        keep_trials: store the weights of every trial.
        keep_weights: store the weights of baselines such as `full`, too.
        keep_rows: store the training rows, too, so that `taskbank update` needs only new ones.
        description: free text that describes the task.
        tags: keys and values to find the task by.
    """

    name: str
    train: str | Any
    validation: str | Any | None = None
    test: str | Any | None = None
    kind: str = "single"
    text: str | None = None
    text_pair: str | None = None
    label: str | None = None
    format: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    encoding: str | None = None
    columns: str | None = None
    folds: int | None = None
    label_names: str | Sequence[str] | None = None
    merge_labels: bool = False
    rows: int | None = None
    metric: str | None = None
    positive: str | None = None
    abstain: str | None = None
    method: str = "houlsby"
    options: Mapping[str, Json] = field(default_factory=dict)
    training: Mapping[str, Json] = field(default_factory=dict)
    search: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    start: str | None = None
    seeds: int = 1
    trials: int | None = None
    keep_trials: bool = False
    keep_weights: bool = False
    keep_rows: bool = False
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name, "task name")
        check_text(self.description, "description")
        if self.start is not None:
            check_text(self.start, "start")
        for key, value in self.tags.items():
            check_name(key, "tag")
            check_text(value, f"tag {key}")
        for key, values in self.search.items():
            if isinstance(values, str) or not isinstance(values, Sequence):
                raise InputError(f"search.{key} is {values!r}: write a list of values")
        unknown = sorted(set(self.training) - set(TRAINING_FIELDS))
        if unknown:
            raise InputError(
                f"training has no field {unknown[0]!r}: it has {', '.join(TRAINING_FIELDS)}"
            )
        TrainingSpec(**self.training)  # checks the ranges before any data is read
        for name, least in (("rows", 2), ("seeds", 1), ("trials", 1)):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not least <= value <= LARGEST):
                raise InputError(
                    f"{name} is {value!r}: it must be a whole number from {least} to {LARGEST:,}"
                )
        if self.folds is not None:
            self._check_folds(self.folds)

    def _check_folds(self, folds: int) -> None:
        if type(folds) is not int or folds < 2:
            raise InputError(f"folds is {folds!r}: it must be a whole number from 2, or left out")
        reasons = {
            "validation": (self.validation is not None, "the folds give the score"),
            "test": (self.test is not None, "the folds give the score"),
            "patience": (
                self.training.get("patience") is not None or "patience" in self.search,
                "with folds every epoch is run, as none is chosen",
            ),
            "keep_trials": (self.keep_trials, "a trial of several folds has no weights of its own"),
        }
        for name, (given, reason) in reasons.items():
            if given:
                raise InputError(
                    f"folds is {folds} and {name} is given, too: {reason}; leave one of them out"
                )

    @classmethod
    def of(cls, values: Mapping[str, Json]) -> TaskSpec:
        """Return the specification that a suite or a command describes.

        Args:
            values: the values of the fields, of the training fields and of the shortcuts, by name.

        Raises:
            InputError: if a field is unknown or a value is out of range.
        """
        values = _with_recipe(values)
        task = {key: value for key, value in values.items() if key in cls.__dataclass_fields__}
        options = {key: values[key] for key in SHORTCUTS if key in values}
        training = {key: values[key] for key in TRAINING_FIELDS if key in values}
        unknown = sorted(values.keys() - task.keys() - options.keys() - training.keys())
        if unknown:
            raise InputError(
                f"a task has no field {unknown[0]!r}: it has {', '.join(cls.__dataclass_fields__)}"
            )
        task["options"] = dict(task.get("options", {})) | options
        task["training"] = dict(task.get("training", {})) | training
        return cls(**task)


def _with_recipe(values: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return values with those of their recipe, if they name one, where they do not override it."""
    given = dict(values)
    name = given.pop("recipe", None)
    if name is None:
        return given
    if name not in RECIPES:
        raise InputError(f"recipe is {name!r}: write {' or '.join(RECIPES)}, or leave it out")
    recipe = RECIPES[name]
    if given.get("method", recipe["method"]) != recipe["method"]:
        raise InputError(
            f"recipe is {name!r} and method {given['method']!r}: the recipe is one of "
            f"{recipe['method']}; leave one of them out"
        )
    fixed = {*given, *given.get("options", {}), *given.get("training", {})}
    search = {key: tried for key, tried in recipe["search"].items() if key not in fixed}
    return {**recipe, **given, "search": {**search, **given.get("search", {})}}


def descriptions(spec: type) -> dict[str, str]:
    """Return the descriptions of a class's attributes from its docstring, by name.

    Args:
        spec: a class whose docstring has an `Attributes` section.
    """
    _, _, section = (spec.__doc__ or "").partition("Attributes:\n")
    matches = re.finditer(r"^ {8}(\w+): (.+(?:\n {12}.+)*)", section, re.MULTILINE)
    return {match[1]: " ".join(match[2].split()) for match in matches}
