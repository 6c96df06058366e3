"""Makes tiny random backbones and small labelled files: real code paths in milliseconds."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE, WordPiece
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from taskbank.backbone.backbone import Backbone
from taskbank.kinds.definition import Definition
from taskbank.kinds.kind import Columns, Kind
from taskbank.training.prepared import Prepared

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


def sentences(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Return labelled sentences that even a tiny model can tell apart by their words."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        label = ("bad", "good")[number % 2]
        words = chance.choices(PLAIN, k=chance.randint(2, 8))
        words += chance.choices(GOOD if label == "good" else BAD, k=2)
        chance.shuffle(words)
        rows.append({"text": " ".join(words), "label": label})
    return rows


def pairs(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Return labelled pairs of sentences: do both say something good?"""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        both = number % 2 == 0
        sides = (GOOD, GOOD) if both else chance.choice([(GOOD, BAD), (BAD, GOOD), (BAD, BAD)])
        one, other = (chance.choice(words) for words in sides)
        rows.append({"text_a": f"it was {one}", "text_b": f"{other} day", "label": "yn"[not both]})
    return rows


def numbered(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return sentences with how many more good words than bad ones they have."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        good, bad = chance.randint(0, 3), chance.randint(0, 3)
        words = chance.choices(GOOD, k=good) + chance.choices(BAD, k=bad)
        words += chance.choices(PLAIN, k=3)
        chance.shuffle(words)
        rows.append({"text": " ".join(words), "label": float(good - bad)})
    return rows


def topics(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return sentences with what they are: praise, blame, both or neither."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        labels = [label for label in ("blame", "praise") if chance.random() < 0.5]
        words = chance.choices(PLAIN, k=chance.randint(2, 6))
        for label in labels:
            words += chance.choices(GOOD if label == "praise" else BAD, k=2)
        chance.shuffle(words)
        rows.append({"text": " ".join(words), "labels": labels})
    return rows


def questions(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return contexts, of which a good word is the answer; a fifth has none."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        words = chance.choices(PLAIN, k=chance.randint(3, 8)) + chance.choices(BAD, k=1)
        answers: dict[str, list[Any]] = {"text": [], "answer_start": []}
        place = chance.randint(0, len(words))
        if number % 5:
            answers["text"].append(chance.choice(GOOD))
            answers["answer_start"].append(len("".join(f"{word} " for word in words[:place])))
        words[place:place] = answers["text"]
        rows.append({"question": "was it", "context": " ".join(words), "answers": answers})
    return rows


def tagged(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return words with tags: good ones come in twos, bad ones alone."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        parts = [([word], ["O"]) for word in chance.choices(PLAIN, k=chance.randint(2, 6))]
        parts += [([chance.choice(BAD)], ["B-blame"]) for _ in range(chance.randint(0, 2))]
        if chance.random() < 0.7:
            parts.append((chance.choices(GOOD, k=2), ["B-praise", "I-praise"]))
        chance.shuffle(parts)
        words, tags = ([one for part in parts for one in part[side]] for side in (0, 1))
        rows.append({"words": words, "tags": tags})
    return rows


ROWS = {
    "single": sentences,
    "pair": pairs,
    "regression": numbered,
    "multilabel": topics,
    "span": questions,
    "tagging": tagged,
}


def labelled(kind: str, count: int, seed: int = 0) -> Columns:
    """Return labelled examples of a kind, as columns, that even a tiny model can learn from."""
    assert kind in ROWS, f"give tests/helpers/tiny.py a function for rows of kind {kind!r}"
    rows = ROWS[kind](count, seed)
    return {name: tuple(row[name] for row in rows) for name in rows[0]}


def prepared(backbone: Backbone, kind: Kind, definition: Definition, columns: Columns) -> Prepared:
    """Return labelled examples ready for a model."""
    encoded = kind.encode(backbone.tokenizer, columns, definition, 48, labelled=True)
    return Prepared(encoded, columns)


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> str:
    """Write rows as JSON lines and return the path as text."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)
