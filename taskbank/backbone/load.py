"""Loads a backbone from a folder, a Python package or the hub.

No code from a model repository is run and no pickle is read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import RemoteEntryNotFoundError
from torch.overrides import TorchFunctionMode
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedConfig
from transformers.models.auto.tokenization_auto import get_tokenizer_config
from transformers.utils import (
    CONFIG_NAME,
    SAFE_WEIGHTS_INDEX_NAME,
    SAFE_WEIGHTS_NAME,
    cached_file,
    logging,
)
from transformers.utils.hub import extract_commit_hash

from taskbank.backbone.architectures import Architecture, architecture_of
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.dropout import replace_dropout
from taskbank.backbone.fingerprint import (
    IGNORED_KEYS,
    settings_of,
    tokenizer_digest,
    weights_digest,
)
from taskbank.digests import digest_json
from taskbank.errors import InputError, ResourceError
from taskbank.runtime.hub_errors import hub_reason
from taskbank.runtime.resources import lacking
from taskbank.specs import BackboneIdentity

PACKAGE = "package:"
HUB_ID = re.compile(r"(?P<name>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[\w./-]+))?", re.ASCII)


def load_backbone(spec: str | os.PathLike[str], device: str = "cpu") -> Backbone:
    """Load a backbone, frozen, in float32.

    Args:
        spec: a hub id (optionally `@revision`), a folder, or `package:NAME/FOLDER`.
        device: the model's device.

    Raises:
        InputError: if the model does not exist or is incomplete, its weights are not
            safetensors, or its architecture is unknown.
    """
    spec = os.fspath(spec)
    with quiet(), _explained(spec):
        location, revision, shown = _locate(spec)
        source = {"pretrained_model_name_or_path": location, "revision": revision}
        saved, _ = PreTrainedConfig.get_config_dict(**source)
        architecture = architecture_of(str(saved.get("model_type")))
        config = AutoConfig.from_pretrained(**source, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(**source, trust_remote_code=False)
        saved_tokenizer = get_tokenizer_config(**source)
        with _WithoutStorage():
            model, loading = AutoModel.from_pretrained(
                **source,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        pooling = _pooling(location, revision, saved, model, loading)
    _check_whole(spec, model, tokenizer, loading)
    model.requires_grad_(False)
    model.eval()
    replace_dropout(model)
    max_length = _max_length(config, tokenizer, architecture)
    identity = BackboneIdentity(
        spec=shown,
        model_type=config.model_type,
        pooling=pooling,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        hidden_size=config.hidden_size,
        layers=config.num_hidden_layers,
        max_length=max_length,
        weights=weights_digest(model),
        config=digest_json({k: v for k, v in saved.items() if k not in IGNORED_KEYS}),
        tokenizer=tokenizer_digest(tokenizer),
        settings=settings_of(tokenizer, saved_tokenizer, max_length),
    )
    return Backbone(model.to(device), tokenizer, identity, architecture)


class _WithoutStorage(TorchFunctionMode):
    """Answers for tensors without storage what torch imports sympy to answer, half a second.

    A model is made of such tensors before its weights are read. Only how they look matters: the
    numbers that they are filled with go nowhere.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if func is torch.nn.init.normal_ and _is_meta(named.get("tensor")):
            return named["tensor"]
        if func is torch.arange and str(named.get("device")) == "meta":
            return func(*args, **named | {"device": "cpu"}).to("meta")
        if func is torch.empty_like and _is_meta(*args) and named.keys() <= {"device"}:
            (like,) = args
            return torch.empty(like.shape, dtype=like.dtype, device=named.get("device", "meta"))
        return func(*args, **named)


def _is_meta(*tensors: Any) -> bool:
    return all(isinstance(tensor, torch.Tensor) and tensor.is_meta for tensor in tensors)


def absolute_spec(spec: str) -> str:
    """Return what a backbone's source is called in every working directory of this machine.

    Args:
        spec: the source, as `load_backbone` takes it.
    """
    path = Path(spec).expanduser()
    return str(path.resolve()) if path.is_dir() else spec


def _locate(spec: str) -> tuple[str, str | None, str]:
    """Return where to load from, the revision, and the specification to record.

    A branch of the hub may move, and would take all tasks of the bank with it: the specification
    to record names the commit.
    """
    if spec.startswith(PACKAGE):
        return str(_package_folder(spec)), None, spec
    path = Path(spec).expanduser()
    if path.is_dir() or spec.startswith((".", "/", "~")):
        return str(_model_folder(spec, path)), None, str(path.resolve())
    match = HUB_ID.fullmatch(spec)
    if match is None:
        raise InputError(
            f"backbone {spec!r} is neither a folder nor a hub id: write OWNER/NAME or "
            "OWNER/NAME@REVISION, a folder, or package:NAME/FOLDER"
        )
    commit = _hub_commit(spec, match["name"], match["revision"])
    return match["name"], commit, f"{match['name']}@{commit}"


def _hub_commit(spec: str, name: str, revision: str | None) -> str:
    """Return the commit of a model on the hub, after checking that it has what is needed."""
    try:
        config = hf_hub_download(name, CONFIG_NAME, revision=revision)
    except RemoteEntryNotFoundError:
        raise InputError(f"backbone {spec!r} holds no model, as it has no {CONFIG_NAME}") from None
    commit = str(extract_commit_hash(config, None))
    weights = (
        cached_file(name, file, revision=commit, _raise_exceptions_for_missing_entries=False)
        for file in (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME)
    )
    if not any(weights):
        raise InputError(
            f"backbone {spec!r} has no weights in safetensors, and taskbank reads no pickle: load "
            "it with transformers, save it with save_pretrained, and give that folder"
        )
    return commit


def _package_folder(spec: str) -> Path:
    name, _, rest = spec.removeprefix(PACKAGE).partition("/")
    package = find_spec(name) if name.isidentifier() else None
    if package is None or not package.submodule_search_locations:
        raise InputError(
            f"backbone {spec!r} names the package {name!r}, which is not installed: "
            f"install it with pip install {name.replace('_', '-')}"
        )
    if ".." in PurePosixPath(rest).parts or rest.startswith("/"):
        raise InputError(f"backbone {spec!r} leaves its package: name a folder inside it")
    return _model_folder(spec, Path(next(iter(package.submodule_search_locations))) / rest)


def _model_folder(spec: str, folder: Path) -> Path:
    if not folder.is_dir():
        raise InputError(f"backbone {spec!r}: there is no folder {folder}")
    if not (folder / "config.json").is_file():
        raise InputError(
            f"backbone {spec!r}: the folder {folder} holds no model, as it has no config.json; "
            "give the folder that save_pretrained wrote"
        )
    if not any(folder.glob("*.safetensors")):
        raise InputError(
            f"backbone {spec!r}: the folder {folder} has no weights in safetensors, and taskbank "
            "reads no pickle; save them again with save_pretrained"
        )
    return folder


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers: taskbank checks what it loads, and messages about it are noise."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _explained(spec: str) -> Iterator[None]:
    try:
        yield
    except (InputError, KeyboardInterrupt, SystemExit):
        raise
    # transformers raises many types of error, and a panic of tokenizers' Rust is no Exception.
    except BaseException as error:
        lack = lacking(error)
        if lack is not None:
            raise ResourceError(f"backbone {spec!r} cannot be loaded: {lack}") from error
        reason = hub_reason(error)
        if reason is not None:
            raise InputError(f"backbone {spec!r} cannot be loaded: {reason}") from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(
            f"backbone {spec!r} cannot be loaded: {reason}. Check that its files are whole; a "
            "damaged copy of one from the hub goes with hf cache rm model/NAME"
        ) from error


def _pooling(
    location: str,
    revision: str | None,
    saved: dict[str, Any],
    model: Any,
    loading: dict[str, Any],
) -> str:
    """Choose how a text is pooled to one vector, and remove an unused pooler."""
    untrained = any(key.startswith("pooler.") for key in loading["missing_keys"])
    has_pooler = getattr(model, "pooler", None) is not None and not untrained
    pooling = _sentence_pooling(location, revision) or saved.get("classifier_pooling")
    pooling = {"cls": "first", "mean": "mean"}.get(str(pooling)) or (
        "pooler" if has_pooler else "first"
    )
    if pooling != "pooler" and hasattr(model, "pooler"):
        model.pooler = None
    return pooling


def _sentence_pooling(location: str, revision: str | None) -> str | None:
    """Return the pooling of a sentence-transformers model: `mean`, `cls` or None."""
    path = cached_file(
        location,
        "1_Pooling/config.json",
        revision=revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if path is None:
        return None
    pooling = json.loads(Path(path).read_text(encoding="utf-8"))
    if pooling.get("pooling_mode") in ("mean", "cls"):
        return str(pooling["pooling_mode"])
    modes = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token"}
    return next((mode for mode, key in modes.items() if pooling.get(key) is True), None)


def _check_whole(spec: str, model: Any, tokenizer: Any, loading: dict[str, Any]) -> None:
    missing = sorted(key for key in loading["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise InputError(
            f"backbone {spec!r} is not whole: its weights lack {', '.join(missing[:5])}"
            f"{', …' if len(missing) > 5 else ''}; save or download it again"
        )
    rows = model.get_input_embeddings().weight.shape[0]
    # Without tokenizer files, transformers creates a tokenizer of special tokens only.
    if not len(tokenizer.all_special_tokens) < len(tokenizer) <= rows:
        raise InputError(
            f"backbone {spec!r} has a tokenizer of {len(tokenizer):,} tokens and embeddings for "
            f"{rows:,}: the tokenizer is missing or of another model"
        )


def _max_length(config: Any, tokenizer: Any, architecture: Architecture) -> int:
    positions = config.max_position_embeddings
    if architecture.padded_positions:
        positions -= config.pad_token_id + 1
    return int(min(positions, tokenizer.model_max_length))
