"""Where an import comes from: a folder, the Hugging Face Hub, or the store of MLflow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from taskbank.data.hub import HUB
from taskbank.digests import Json
from taskbank.interchange.hub import downloaded
from taskbank.interchange.mlflow_model import SCHEME, registered_model
from taskbank.interchange.transformers_import import labels_of, read_config


@dataclass(frozen=True)
class Source:
    """What an import reads.

    Attributes:
        folder: the folder.
        shown: the source as errors name it.
        format: its format; None means that the files tell it.
        name: a name for the task, if the source has one.
        labels: the names of its classes in the order of the outputs; None if it does not tell.
        told: what the source tells of an adapter of another library, for its record.
    """

    folder: Path
    shown: str
    format: str | None = None
    name: str | None = None
    labels: tuple[str, ...] | None = None
    told: Mapping[str, Json] = field(default_factory=dict)


@contextmanager
def opened(source: str | os.PathLike[str]) -> Iterator[Source]:
    """Return what an import reads, fetched while the block runs.

    Args:
        source: a folder, `hf:OWNER/NAME[@REVISION]`, `models:/NAME/VERSION` or
            `models:/NAME@ALIAS`.

    Raises:
        MissingExtraError: if the library that fetches it is not installed.
        InputError: if it does not exist, or cannot be fetched.
    """
    spec = os.fspath(source)
    if spec.startswith(HUB):
        with downloaded(spec) as (folder, commit):
            yield Source(folder, commit, told={"from": commit})
    elif spec.startswith(SCHEME):
        with registered_model(spec) as model:
            labels = labels_of(read_config(model.config))
            told: dict[str, Json] = {"from": spec, "mlflow": model.facts}
            name = str(model.facts["model"])
            yield Source(model.folder, spec, model.format, name, labels, told)
    else:
        yield Source(Path(spec), spec)
