"""Cutting texts before tokenising them, without changing their first tokens."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from taskbank.data import shortening
from taskbank.data.shortening import is_divided_at_spaces, shorten
from taskbank.data.tokenization import encode, truncate
from tests.helpers.backbones import byte_tokenizer, make_tokenizer

SIGNS = (
    list(
        "aZé0ßΣςİŉ.,;'\"-_!\u0301\u0300\u200b\u200d\u00ad\u0600\u0d4e\u0f0b中文字가ｱ①ﬁ½🙂🇩🇪\ufeff\x07"
    )
    + [" "] * 25
    + ["  ", "\t", "\n", "\u00a0", "\u3000", "\r\n", "``", "''", "don't", "[SEP]", "<mask>", "▁"]
)


def _trained(model: Any, trainer: Any, pre_tokenizer: Any, normalizer: Any = None) -> Any:
    core = Tokenizer(model)
    core.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        core.normalizer = normalizer
    chance = random.Random(0)
    core.train_from_iterator(["".join(chance.choices(SIGNS, k=200)) for _ in range(50)], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]"
    )


def bert() -> Any:
    """Return a tokenizer as of BERT: WordPiece over words and signs."""
    return make_tokenizer()


def roberta() -> Any:
    """Return a tokenizer as of RoBERTa: BPE over bytes, a space with the word after it."""
    return byte_tokenizer()


def xlm_roberta() -> Any:
    """Return a tokenizer as of XLM-RoBERTa, ALBERT and DeBERTa: Unigram over SentencePiece."""
    special = ["[PAD]", "[UNK]", "[MASK]"]
    trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=special, unk_token="[UNK]")
    normalizer = normalizers.Sequence(
        [
            normalizers.Replace("``", '"'),
            normalizers.Replace("''", '"'),
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    return _trained(models.Unigram(), trainer, pre_tokenizers.Metaspace(), normalizer)


def modernbert() -> Any:
    """Return a tokenizer as of ModernBERT: BPE over bytes of composed text, digits apart."""
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["[PAD]", "[UNK]", "[MASK]"])
    divided = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer = _trained(models.BPE(), trainer, divided, normalizers.NFC())
    tokenizer.backend_tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


TOKENIZERS = (bert, roberta, xlm_roberta, modernbert)


def text_of(chance: random.Random, signs: int) -> str:
    """Return a text of odd signs, many of which some tokenizer treats in its own way."""
    return "".join(chance.choices(SIGNS, k=signs))


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut texts that are not long, too, to see many cuts."""
    monkeypatch.setattr(shortening, "LONG", 1)
    monkeypatch.setattr(shortening, "MARGIN", 0)
    monkeypatch.setattr(shortening, "FIRST", 1)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("make", TOKENIZERS)
def test_a_cut_text_has_the_same_first_tokens(make: Any) -> None:
    """Of odd texts in every script, the beginning that is kept has the tokens of the whole."""
    tokenizer, chance = make(), random.Random(1)
    assert is_divided_at_spaces(tokenizer)
    cut = 0
    for _ in range(300):
        text, tokens = text_of(chance, 150), chance.randint(1, 20)
        (kept,) = shorten(tokenizer, [text], tokens)
        ids, whole = (tokenizer(one, add_special_tokens=False)["input_ids"] for one in (kept, text))
        assert text.startswith(kept)
        assert ids == whole[: len(ids)]
        if kept != text:
            assert len(ids) > tokens
            cut += 1
    assert cut > 100


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("make", TOKENIZERS)
@pytest.mark.parametrize("names", [("a",), ("a", "b")])
def test_cutting_changes_no_token_of_an_input(
    make: Any, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts and pairs of all lengths are encoded as without any cut, and the same are truncated."""
    tokenizer, chance = make(), random.Random(2)
    columns = {
        name: [f"good {text_of(chance, chance.choice((3, 10, 40, 200)))}" for _ in range(150)]
        for name in names
    }
    for length in (8, 9, 24):
        found = encode(tokenizer, columns, names, length)
        with monkeypatch.context() as patch:
            patch.setattr("taskbank.data.tokenization.shorten", lambda _, texts, __: texts)
            patch.setattr("taskbank.data.tokenization.shorten_pairs", lambda _, texts, __: texts)
            whole = encode(tokenizer, columns, names, length)
        assert found.digest == whole.digest
        assert found.truncated.tolist() == whole.truncated.tolist()
        assert len(found.truncated) > 20


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("make", TOKENIZERS)
def test_cutting_changes_no_truncated_question(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts truncated as texts end where they end without any cut."""
    tokenizer, chance = make(), random.Random(3)
    texts = [text_of(chance, chance.choice((3, 10, 150))) for _ in range(150)]
    found = truncate(tokenizer, texts, 7)
    monkeypatch.setattr("taskbank.data.tokenization.shorten", lambda _, given, __: given)
    assert truncate(tokenizer, texts, 7) == found


@pytest.mark.parametrize("make", TOKENIZERS)
def test_of_a_text_of_megabytes_only_the_beginning_is_tokenised(make: Any) -> None:
    """What the tokenizer is given is a few times as long as what is used."""
    tokenizer = make()
    text = "good day and bad film " * 50_000
    assert len(shorten(tokenizer, [text], 32)[0]) < 1000
    found = encode(tokenizer, {"text": [text]}, ("text",), 32)
    assert found.lengths.tolist() == [32]
    assert found.truncated.tolist() == [0]


def test_a_tokenizer_with_any_other_step_gets_texts_whole() -> None:
    """Nothing is cut where a step may look beyond a space."""
    steps: list[tuple[str, Any]] = [
        ("normalizer", normalizers.Replace("a b", "c")),
        ("normalizer", normalizers.Replace(Regex("a b"), "c")),
        ("normalizer", normalizers.Sequence([normalizers.NFC(), normalizers.Replace(" ", "_")])),
        ("pre_tokenizer", pre_tokenizers.Split(Regex(r"\w+ \w+"), "isolated")),
        ("pre_tokenizer", pre_tokenizers.Metaspace(split=False)),
        ("pre_tokenizer", pre_tokenizers.ByteLevel(use_regex=False)),
        ("pre_tokenizer", pre_tokenizers.Sequence([pre_tokenizers.Digits()])),
    ]
    for name, step in steps:
        tokenizer = make_tokenizer()
        setattr(tokenizer.backend_tokenizer, name, step)
        assert not is_divided_at_spaces(tokenizer), step
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["New York"])
    assert not is_divided_at_spaces(tokenizer)
    tokenizer = make_tokenizer()
    tokenizer.truncation_side = "left"
    assert not is_divided_at_spaces(tokenizer)
    text = "good " * 20_000
    assert shorten(tokenizer, [text], 8) == [text]
    assert encode(tokenizer, {"a": [text]}, ("a",), 8).truncated.tolist() == [0]


def test_a_text_without_a_space_is_whole() -> None:
    """A word of any length stays, as its tokens depend on its end."""
    text = "good" * 20_000
    assert shorten(make_tokenizer(), [text], 8) == [text]


def test_only_inputs_with_more_tokens_are_truncated() -> None:
    """An input of exactly the maximum length is whole."""
    columns = {"a": ["good " * 6, "good " * 7, "good"]}
    found = encode(make_tokenizer(), columns, ("a",), 8)
    assert np.array_equal(found.truncated, [1])
