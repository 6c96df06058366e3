"""Finds models in an MLflow store: their files, and the run that made them.

The store is the one that `MLFLOW_TRACKING_URI` names, by default that of the current folder. Models
of the flavour `transformers` are imported, whole or as adapters of peft. Others are pickles, which
taskbank does not read.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from taskbank.data.fields import preview
from taskbank.digests import Json
from taskbank.errors import InputError, MissingExtraError
from taskbank.interchange import schema
from taskbank.interchange.untrusted import read_file
from taskbank.redaction import redacted

SCHEME = "models:/"
MODEL = re.compile(r"models:/(?P<name>[^/@:]+)(/(?P<version>[0-9]{1,9})|@(?P<alias>[\w-]+))")
DESCRIPTION = "MLmodel"
PLAIN = "python_function"  # the flavor that every model has
MAX_DESCRIPTION_BYTES = 2**20
PART = re.compile(r"[\w-][\w.-]*", re.ASCII)  # the name of a folder in the model's own


@dataclass(frozen=True)
class RegisteredModel:
    """A model of an MLflow store, ready to be imported.

    Attributes:
        folder: the folder with the files in the format, in the model's own folder.
        format: the importer that reads it: `peft` or `transformers`.
        config: the configuration of the whole model, which has the names of its classes.
        facts: what the store tells of the model and the run that made it.
    """

    folder: Path
    format: str
    config: Path
    facts: Mapping[str, Json]


@contextmanager
def registered_model(source: str) -> Iterator[RegisteredModel]:
    """Find a model in the MLflow store, and fetch its files while the block runs.

    Args:
        source: `models:/NAME/VERSION` or `models:/NAME@ALIAS`.

    Raises:
        MissingExtraError: if MLflow is not installed.
        InputError: if the store or the model does not exist, or if the model is a pickle.
    """
    match = MODEL.fullmatch(source)
    if match is None:
        raise InputError(
            f"{preview(source)} names no registered model: write models:/NAME/VERSION or "
            "models:/NAME@ALIAS"
        )
    client = _client(source)
    name = match["name"]
    with TemporaryDirectory() as temporary:
        with _explained(source):
            if match["alias"] is None:
                version = client.get_model_version(name, match["version"])
            else:
                version = client.get_model_version_by_alias(name, match["alias"])
            facts = _facts(client, name, version)
            root = Path(_fetched(f"models:/{name}/{version.version}", temporary))
        yield _model(source, root, facts)


def _client(source: str) -> Any:
    try:
        import mlflow
    except ImportError:
        raise MissingExtraError(
            f"{source} needs MLflow: install it with pip install 'taskbank[mlflow]'"
        ) from None
    store = mlflow.get_tracking_uri()
    path = store.removeprefix("sqlite:///")
    # The client would make a new store, here and now, and find nothing in it.
    if path != store and not Path(path).exists():
        raise InputError(
            f"there is no MLflow store at {path}: run from the folder of the store, or name it "
            "with the environment variable MLFLOW_TRACKING_URI"
        )
    return mlflow.MlflowClient()


def _fetched(uri: str, temporary: str) -> str:
    import mlflow
    from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR

    if not sys.stderr.isatty():
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
    return str(mlflow.artifacts.download_artifacts(uri, dst_path=temporary))


def _facts(client: Any, name: str, version: Any) -> dict[str, Json]:
    """Return what the store tells, checked: its texts come from anyone."""
    facts: dict[str, Json] = {"model": name, "version": int(version.version)}
    facts["tags"] = dict(version.tags)
    if version.run_id:
        run = client.get_run(version.run_id)
        facts["run"] = {
            "id": run.info.run_id,
            "name": run.info.run_name or "",
            "params": dict(run.data.params),
            # JSON has no NaN, and a metric that is none tells nothing.
            "metrics": {k: v for k, v in run.data.metrics.items() if math.isfinite(v)},
            "tags": {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")},
        }
    schema.plain("the MLflow store", facts)
    return facts


def _model(source: str, root: Path, facts: Mapping[str, Json]) -> RegisteredModel:
    path = root / DESCRIPTION
    try:
        described = yaml.safe_load(read_file(path, MAX_DESCRIPTION_BYTES))
    except yaml.YAMLError as error:
        raise InputError(f"{source}: {path.name} is not YAML: {error}") from None
    flavors = described.get("flavors") if isinstance(described, dict) else None
    if not isinstance(flavors, dict):
        raise InputError(f"{source}: {path.name} names no flavors: it is no model of MLflow")
    flavor = flavors.get("transformers")
    if not isinstance(flavor, dict):
        named = ", ".join(sorted(map(str, flavors.keys() - {PLAIN}))) or PLAIN
        raise InputError(
            f"{source} has the flavor {preview(named)}, whose models are pickles, and taskbank "
            "reads none: train the task from its data, with taskbank add-task NAME --train DATA; "
            "--method linear trains a linear head on frozen vectors, as scikit-learn and SetFit do"
        )
    whole = _part(source, root, flavor, "model_binary")
    config = whole / "config.json"
    if "peft_adaptor" in flavor:
        return RegisteredModel(_part(source, root, flavor, "peft_adaptor"), "peft", config, facts)
    return RegisteredModel(whole, "transformers", config, facts)


def _part(source: str, root: Path, flavor: Mapping[str, Any], key: str) -> Path:
    """Return a folder of the model that its description names; the name is not trusted."""
    name = flavor.get(key)
    if not isinstance(name, str) or not PART.fullmatch(name):
        raise InputError(
            f"{source}: {DESCRIPTION} has {key} {preview(name)}: it must be a folder beside it"
        )
    return root / name


@contextmanager
def _explained(source: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        reason = redacted(str(error).strip().splitlines()[0])
        raise InputError(f"{source} cannot be read from the MLflow store: {reason}") from None
