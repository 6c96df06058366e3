"""Makes tiny random backbones: real code paths in milliseconds."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE, WordPiece
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


GOOD = ["good", "great", "fine", "lovely", "warm", "bright", "happy", "sweet"]


BAD = ["bad", "awful", "poor", "nasty", "cold", "dark", "sad", "bitter"]


PLAIN = [
    "the",
    "a",
    "film",
    "book",
    "meal",
    "day",
    "was",
    "is",
    "very",
    "quite",
    "today",
    "here",
    "and",
    "it",
    "this",
    "that",
]


SIZES: dict[str, dict[str, Any]] = {
    "bert": {"hidden_size": 32, "intermediate_size": 64},
    "roberta": {"hidden_size": 32, "intermediate_size": 64},
    "electra": {"hidden_size": 32, "intermediate_size": 64, "embedding_size": 16},
    "distilbert": {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2},
    "deberta-v2": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 16,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
    },
    "modernbert": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "bos_token_id": 2,
        "cls_token_id": 2,
        "eos_token_id": 3,
        "sep_token_id": 3,
        "attention_dropout": 0.1,
        "mlp_dropout": 0.1,
        "mlp_bias": True,
        "embedding_dropout": 0.1,
    },
}


MODEL_TYPES = tuple(SIZES)


def make_tokenizer(*, lowercase: bool = True) -> PreTrainedTokenizerFast:
    """Return a WordPiece tokenizer that knows some words, and any other text by its letters."""
    letters = list(string.ascii_lowercase + string.digits + string.punctuation)
    words = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters), *GOOD, *BAD, *PLAIN]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    core = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of bytes, which many characters take several of."""
    signs = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(BPE({sign: number for number, sign in enumerate(["[PAD]", *signs])}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="[PAD]")


def make_backbone(
    folder: Path, model_type: str = "bert", *, seed: int = 0, lowercase: bool = True, **config: Any
) -> Path:
    """Write a tiny random model with its tokenizer into a folder, and return the folder.

    Args:
        folder: where to.
        model_type: one of `MODEL_TYPES`.
        seed: of the weights.
        lowercase: whether the tokenizer lower-cases.
        config: further settings of the model's configuration.
    """
    tokenizer = make_tokenizer(lowercase=lowercase)
    common: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
    }
    if model_type == "distilbert":
        common = {k: v for k, v in common.items() if not k.startswith("num_")}
    types = tokenizer_types(model_type)
    settings = common | SIZES[model_type] | types | config
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModel.from_config(AutoConfig.for_model(model_type, **settings))
        # Random weights of the usual size give nearly constant outputs: make them livelier.
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(4)
    model.save_pretrained(folder)
    if not types:
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tokenizer.save_pretrained(folder)
    return folder


def tokenizer_types(model_type: str) -> dict[str, Any]:
    """Return the configuration of token types for the models that have them."""
    return {"type_vocab_size": 2} if model_type in ("bert", "electra", "deberta-v2") else {}
