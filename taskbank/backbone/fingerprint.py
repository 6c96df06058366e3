"""The digests that identify a backbone: weights, configuration and tokenizer.

They cover every loaded tensor, the rules of the loaded tokenizer, and the configuration as it was
saved, so a newer library that only adds defaults does not change them.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch

from taskbank.digests import canonical_json, digest_json

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
