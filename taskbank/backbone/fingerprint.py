"""The digests that identify a backbone: weights, configuration and tokenizer.

They cover every loaded tensor, the rules of the loaded tokenizer, and the configuration as it was
saved, so a newer library that only adds defaults does not change them. The settings of the
tokenizer stand beside them: adapters of earlier versions of taskbank were recorded without.

No digest covers the tokens of sample texts, although that would find any change: a newer version of
the tokenizers library that splits one rare character otherwise would then refuse every bank. A
verification predicts again after such an upgrade, and says which answers changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from taskbank.data.tokenization import tokenizer_settings
from taskbank.digests import Json, canonical_json, digest_bytes, digest_json

# Keys of a saved configuration that describe a library, a training or a head, not the encoder.
IGNORED_KEYS = (
    "_commit_hash",
    "_name_or_path",
    "architectures",
    "dtype",
    "finetuning_task",
    "gradient_checkpointing",
    "id2label",
    "label2id",
    "problem_type",
    "torch_dtype",
    "transformers_version",
    "use_cache",
)
# Keys of a saved tokenizer configuration that change no token of a text.
IGNORED_TOKENIZER_KEYS = (
    "auto_map",
    "chat_template",
    "clean_up_tokenization_spaces",
    "model_max_length",
    "name_or_path",
    "padding_side",
    "processor_class",
    "transformers_version",
)


def weights_digest(model: torch.nn.Module) -> str:
    """Return one digest of all parameters and buffers of a model, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        plain = tensor.detach().cpu().contiguous()
        digest.update(canonical_json([name, str(plain.dtype), list(plain.shape)]).encode())
        digest.update(plain.flatten().view(torch.uint8).numpy().data)
    return "sha256:" + digest.hexdigest()


def tokenizer_digest(tokenizer: Any) -> str:
    """Return the digest of a tokenizer's rules, vocabulary and special tokens."""
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        rules: Any = {
            "class": type(tokenizer).__name__,
            "vocabulary": tokenizer.get_vocab(),
            "lower": getattr(tokenizer, "do_lower_case", None),
        }
    else:
        rules = json.loads(backend.to_str())
        # They hold the state of the last call, and the version of the file format.
        for name in ("truncation", "padding", "version"):
            rules.pop(name, None)
    return digest_json({"rules": rules, "special": special})


def settings_of(tokenizer: Any, saved: Mapping[str, Any], max_length: int) -> dict[str, Json]:
    """Return what decides the tokens of an input besides the tokenizer's rules, by name.

    Args:
        tokenizer: the loaded tokenizer.
        saved: the tokenizer's configuration as it was saved.
        max_length: maximum number of tokens per input.
    """
    settings = tokenizer_settings(tokenizer) | {"max_length": max_length}
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        # Its rules are code and files, of which the digest of the rules covers little.
        used = {k: v for k, v in saved.items() if k not in IGNORED_TOKENIZER_KEYS}
        settings["configuration"] = digest_json(used)
        settings["files"] = digest_json(_files(tokenizer))
    return settings


def _files(tokenizer: Any) -> dict[str, Json]:
    """Return the digests of the files that a tokenizer read its vocabulary from, by name."""
    paths = {name: tokenizer.init_kwargs.get(name) for name in tokenizer.vocab_files_names}
    return {
        name: digest_bytes(Path(path).read_bytes())
        for name, path in paths.items()
        if path and Path(path).is_file()
    }
