"""Changes each key of each file of a backbone's folder, and checks that none is silent.

    python scripts/verification/attacks/backbones.py [--number 40] [--seed 0]

Makes tiny backbones with tokenizers of the families WordPiece, BPE and Unigram, and records each in
a bank. Then changes one key at a time in a copy of the folder: `--number` random ones of each
family (0 means all). A changed folder must be refused, or give the same tokens, masks, types and
hidden states as before for single texts, pairs, long texts and texts in many scripts.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

import taskbank
from scripts.shared.arguments import script_parser
from scripts.verification.attacks.outcomes import Outcomes
from scripts.verification.changed_folders import FolderChange, folder_changes
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import run_backbone
from taskbank.bank.bank import Bank
from taskbank.data.encoded import Encoded
from taskbank.data.tokenization import encode, encode_windows, truncate
from taskbank.errors import TaskbankError
from taskbank.model.load import check_backbone_source, load_recorded_backbone

FAMILIES = ("wordpiece", "bpe", "unigram")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LONG = " ".join(f"the film number {number} was good" for number in range(30))
TEXTS = [
    "The film was good.",
    "a [SEP] in the text [MASK] and  two   spaces\tand a tab\nand a line",
    "Ünïcödé Éclair ﬁne ½ ①",
    "電影很好 фильм хороший فيلم جيد",
    "😀👍🏽 e\u0301 \u200bzero width",
    "can't won't it's U.S.A. 3.14 1,000",
    LONG,
]


def main() -> int:
    """Change the folders and return the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--number", type=int, default=40, help="changes per family; 0 means all")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    outcomes = Outcomes()
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as place:
            attack(Path(place), family, arguments.number, generator, outcomes)
    return outcomes.finish()


def attack(
    place: Path, family: str, number: int, generator: random.Random, outcomes: Outcomes
) -> None:
    """Change the folder of a backbone in many ways, one at a time.

    Args:
        place: an empty folder to work in.
        family: of the tokenizer, one of `FAMILIES`.
        number: number of changes; 0 means every one.
        generator: chooses the changes.
        outcomes: counts what happened.
    """
    folder = make_folder(place / "original", family)
    taskbank.init(f"sqlite:///{place}/bank.db", str(folder))
    with taskbank.open(f"sqlite:///{place}/bank.db") as bank:
        (recorded,) = bank.backbones()
        expected = behaviour(load_recorded_backbone(bank, recorded))
        changes = list(folder_changes(folder, generator))
        chosen = changes if number == 0 else generator.sample(changes, min(number, len(changes)))
        for change in chosen:
            outcome = attempt(bank, folder, change, expected)
            outcomes.add(outcome, f"{family}: {change.description}", broken=outcome in BROKEN)


BROKEN = ("silent change", "refused by a defect")


def attempt(bank: Bank, folder: Path, change: FolderChange, expected: list[Any]) -> str:
    """Return what happens when a bank's backbone is loaded from a changed folder."""
    copy = folder.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    change.apply(copy)
    (recorded,) = bank.backbones()
    try:
        loaded = load_recorded_backbone(bank, recorded, str(copy))
        check_backbone_source(bank, loaded)
    except TaskbankError:
        return "refused"
    except Exception:
        return "refused by a defect"
    return "same tokens and states" if same(behaviour(loaded), expected) else "silent change"


def behaviour(backbone: Backbone) -> list[Any]:
    """Return everything that a backbone makes of the texts."""
    tokenizer = backbone.tokenizer
    columns = {"text": TEXTS, "other": TEXTS[::-1]}
    inputs = [
        encode(tokenizer, columns, names, length)
        for names in (("text",), ("text", "other"))
        for length in (8, 16, 48)
    ]
    inputs.append(encode_windows(tokenizer, TEXTS, 16, 4)[0])
    inputs.append(encode_windows(tokenizer, TEXTS, 24, 4, before=["who is it?"] * len(TEXTS))[0])
    found: list[Any] = [backbone.identity.max_length, truncate(tokenizer, TEXTS, 5)]
    for encoded in inputs:
        found += [encoded.offsets, *(encoded.flat[name] for name in sorted(encoded.flat))]
        found += [sorted(encoded.flat), vectors(backbone, encoded)]
    return found


@torch.no_grad()
def vectors(backbone: Backbone, encoded: Encoded) -> np.ndarray:
    """Return the hidden states of all inputs."""
    output = run_backbone(backbone, encoded.batch(np.arange(len(encoded))), ())
    return torch.cat([output.states, output.vectors]).numpy()


def same(one: list[Any], other: list[Any]) -> bool:
    """Return whether two behaviours are equal, to the last bit."""
    return len(one) == len(other) and all(
        np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
        for a, b in zip(one, other, strict=True)
    )


# Tiny backbones


def make_folder(folder: Path, family: str) -> Path:
    """Write a tiny random BERT with a trained tokenizer of a family; return the folder."""
    core = train_tokenizer(family)
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, core.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="[PAD]",  # noqa: S106
        unk_token="[UNK]",  # noqa: S106
        cls_token="[CLS]",  # noqa: S106
        sep_token="[SEP]",  # noqa: S106
        mask_token="[MASK]",  # noqa: S106
        model_max_length=64,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    config = AutoConfig.for_model(
        "bert",
        vocab_size=len(tokenizer) + 8,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModel.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # Files that older models have beside it.
    named = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    for name, content in {
        "special_tokens_map.json": named,
        "generation_config.json": {"pad_token_id": 0},
        "sentence_bert_config.json": {"max_seq_length": 64, "do_lower_case": False},
        "modules.json": [{"idx": 0, "name": "0", "path": "", "type": "Transformer"}],
    }.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    if family == "wordpiece":
        order = sorted(core.get_vocab().items(), key=lambda item: item[1])
        (folder / "vocab.txt").write_text("\n".join(word for word, _ in order) + "\n")
    return folder


def train_tokenizer(family: str) -> Tokenizer:
    """Return a tokenizer of a family, trained on the texts."""
    size: dict[str, Any] = {"vocab_size": 300, "special_tokens": SPECIAL, "show_progress": False}
    if family == "wordpiece":
        core = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106
        core.normalizer = normalizers.BertNormalizer(lowercase=True)
        core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        core.decoder = decoders.WordPiece()
        trainer: Any = trainers.WordPieceTrainer(**size)
    elif family == "bpe":
        core = Tokenizer(models.BPE(unk_token="[UNK]"))  # noqa: S106
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **size | {"vocab_size": 500}
        )
    else:
        core = Tokenizer(models.Unigram())
        core.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        core.pre_tokenizer = pre_tokenizers.Metaspace()
        core.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(unk_token="[UNK]", **size)  # noqa: S106
    core.train_from_iterator(TEXTS, trainer)
    return core


if __name__ == "__main__":
    sys.exit(main())
