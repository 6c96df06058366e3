"""Tags of words: entities, sub-words, windows, and rows that do not fit."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import pytest
import torch
from seqeval.metrics import f1_score
from seqeval.scheme import BILOU, IOB2, IOBES
from sklearn.utils.class_weight import compute_class_weight
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from taskbank.backbone.backbone import Backbone
from taskbank.data.encoded import Encoded
from taskbank.data.examples import Examples
from taskbank.data.splits import hold_out
from taskbank.data.tokenization import Window
from taskbank.errors import DataError, MissingExtraError
from taskbank.kinds.definition import Definition
from taskbank.kinds.kind import Columns
from taskbank.kinds.tagging import TAGGING
from taskbank.kinds.words import first_tokens
from taskbank.model.predict import predict_examples
from taskbank.model.task_model import task_model
from tests.helpers.backbones import PLAIN, byte_tokenizer, make_tokenizer
from tests.helpers.rows import tagged

BIO = ("B-loc", "B-per", "I-loc", "I-per", "O")


def columns_of(*rows: tuple[list[str], list[str]]) -> dict[str, list[Any]]:
    """Return examples of words and tags."""
    return {"words": [row[0] for row in rows], "tags": [row[1] for row in rows]}


def tags_only(*rows: list[str]) -> dict[str, list[Any]]:
    """Return examples with some tags, whatever the words."""
    return columns_of(*((["x"] * len(tags), tags) for tags in rows))


def as_predictions(rows: list[list[str]], definition: Definition) -> np.ndarray:
    """Return predictions of some tags."""
    places = [definition.labels.index(tag) for tags in rows for tag in tags]
    return np.eye(len(definition.labels), dtype=np.float32)[places]


def random_tags(labels: tuple[str, ...], count: int, seed: int) -> list[list[str]]:
    """Return sentences of tags in any order, forbidden ones included."""
    chance = random.Random(seed)
    return [chance.choices(labels, k=4 + row % 5) for row in range(count)]


# Scores


@pytest.mark.parametrize(
    "labels",
    [
        BIO,
        ("B-a", "B-b", "E-a", "E-b", "I-a", "I-b", "O", "S-a", "S-b"),
        ("I-a", "I-b", "O"),
        ("B-a-b", "I-a-b", "I-b", "O"),
        ("B-a", "I-a"),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_entities_are_scored_by_seqeval(labels: tuple[str, ...], seed: int) -> None:
    """F1 is that of seqeval called directly, for every form and for tags in any order."""
    wanted, found = (random_tags(labels, 40, 2 * seed + side) for side in (0, 1))
    definition, columns = Definition(labels), tags_only(*wanted)
    scores = TAGGING.scores(as_predictions(found, definition), columns, definition)
    assert scores["f1"] == pytest.approx(f1_score(wanted, found), abs=1e-12)
    pairs = [(a, b) for x, y in zip(wanted, found, strict=True) for a, b in zip(x, y, strict=True)]
    assert scores["accuracy"] == pytest.approx(np.mean([a == b for a, b in pairs]))


def test_well_formed_tags_are_scored_alike_in_every_scheme() -> None:
    """The same entities in BIO, BIOES and BILOU have the F1 of seqeval's strict reading of each."""
    chance = random.Random(0)
    letters = {"S": "BSU", "B": "BBB", "I": "III", "E": "IEL", "O": "OOO"}

    def entities() -> list[tuple[str, str]]:
        return [(chance.choice(["O", "S", "BE", "BIE"]), chance.choice("ab")) for _ in range(4)]

    def missed(marks: str, kind: str) -> tuple[str, str]:
        return chance.choice([(marks, kind), (marks, "a"), ("O" * len(marks), kind)])

    def written(entities: list[tuple[str, str]], scheme: int) -> list[str]:
        flat = [(letters[mark][scheme], kind) for marks, kind in entities for mark in marks]
        return [mark if mark == "O" else f"{mark}-{kind}" for mark, kind in flat]

    wanted = [entities() for _ in range(60)]
    found = [[missed(*one) for one in own] for own in wanted]
    scores = set()
    for place, scheme in enumerate((IOB2, IOBES, BILOU)):
        one, other = ([written(own, place) for own in side] for side in (wanted, found))
        columns = tags_only(*one)
        definition = TAGGING.define(columns, "here", {})
        scores.add(TAGGING.scores(as_predictions(other, definition), columns, definition)["f1"])
        assert f1_score(one, other, mode="strict", scheme=scheme) in scores
    assert len(scores) == 1


def test_tags_of_no_such_form_are_entities_of_one_word() -> None:
    """Parts of speech and other labels count word by word, but for the one that means nothing."""
    labels = ("ADJ", "B-", "NOUN", "O", "VERB")
    wanted, found = (random_tags(labels, 40, seed) for seed in (0, 1))
    definition = Definition(labels)
    scores = TAGGING.scores(as_predictions(found, definition), tags_only(*wanted), definition)
    single = [
        [[tag if tag == "O" else f"S-{tag}" for tag in tags] for tags in side]
        for side in (wanted, found)
    ]
    assert scores["f1"] == pytest.approx(f1_score(*single))
    pairs = [(a, b) for x, y in zip(wanted, found, strict=True) for a, b in zip(x, y, strict=True)]
    hits = sum(a == b != "O" for a, b in pairs)
    assert scores["f1"] == pytest.approx(
        2 * hits / (sum(a != "O" for a, _ in pairs) + sum(b != "O" for _, b in pairs))
    )


@pytest.mark.filterwarnings("error")
def test_sentences_without_entities_score_nought_and_say_nothing() -> None:
    """Where nothing is wanted and nothing found, F1 is 0, accuracy 1, and errors are numbers."""
    definition = Definition(BIO)
    columns = tags_only(["O", "O"], ["O"])
    found = TAGGING.metrics(as_predictions([["O", "O"], ["O"]], definition), columns, definition)
    assert {name: one.value for name, one in found.items()} == {"f1": 0, "accuracy": 1}
    assert {one.standard_error for one in found.values()} == {0}


@pytest.mark.slow
def test_errors_are_what_resampling_examples_gives() -> None:
    """The quick bootstrap over counts agrees with one that scores sentences by seqeval."""
    chance, definition = random.Random(0), Definition(BIO)
    wanted = random_tags(BIO, 80, 0)
    found = [[tag if chance.random() < 0.7 else "O" for tag in tags] for tags in wanted]
    plain = []
    for _ in range(200):
        rows = chance.choices(range(80), k=80)
        plain.append(f1_score([wanted[row] for row in rows], [found[row] for row in rows]))
    measured = TAGGING.metrics(as_predictions(found, definition), tags_only(*wanted), definition)
    assert measured["f1"].standard_error == pytest.approx(np.std(plain), rel=0.2)


# Words, sub-words and windows


def read_at(encoded: Encoded, tokenizer: Any) -> list[str]:
    """Return the token that each word is read at."""
    ids = encoded.flat["input_ids"][encoded.alignment.tokens]
    return list(tokenizer.convert_ids_to_tokens(ids.tolist()))


def test_a_word_is_read_at_its_first_sub_word() -> None:
    """Words of many sub-words count once, at the first, and have the target of their tag."""
    tokenizer = make_tokenizer()
    columns = columns_of((["it", "xyz", "good-day", "!"], ["O", "B-a", "I-a", "O"]))
    definition = TAGGING.define(columns, "here", {})
    encoded = TAGGING.encode(tokenizer, columns, definition, 48, labelled=True)
    assert read_at(encoded, tokenizer) == ["it", "x", "good", "!"]
    targets = encoded.token_targets["targets"]
    assert (targets > 0).sum() == 4
    assert [definition.labels[target - 1] for target in targets[targets > 0]] == columns["tags"][0]


@pytest.mark.parametrize("max_length", [3, 4, 8, 13, 24])
def test_every_word_of_a_long_text_is_read_once_where_it_has_most_context(max_length: int) -> None:
    """Over all windows each word has one token, its first, in the window that has most around."""
    chance, tokenizer = random.Random(0), make_tokenizer()
    words = [[chance.choice([*PLAIN, "xyzzy", "ab"]) for _ in range(size)] for size in (50, 3, 90)]
    columns = columns_of(*((own, chance.choices(BIO, k=len(own))) for own in words))
    definition = Definition(BIO)
    encoded = TAGGING.encode(tokenizer, columns, definition, max_length, labelled=True)
    assert encoded.lengths.max() <= max_length
    flat = [word for own in words for word in own]
    tokens = encoded.alignment.tokens
    assert len(set(tokens.tolist())) == len(flat)
    firsts = [tokenizer.tokenize(word)[0] for word in flat]
    assert read_at(encoded, tokenizer) == firsts
    wanted = [BIO.index(tag) + 1 for tags in columns["tags"] for tag in tags]
    assert encoded.token_targets["targets"][tokens].tolist() == wanted
    assert (encoded.token_targets["targets"] > 0).sum() == len(flat)
    window = np.searchsorted(encoded.offsets, tokens, side="right") - 1
    around = np.minimum(tokens - encoded.offsets[window], encoded.offsets[window + 1] - 1 - tokens)
    # Windows share a quarter: in the middle of a text, no word has to be read at an edge.
    overlap = (max_length - 2) // 4
    middle = around[20:40]
    assert middle.min() >= max(overlap // 2, 1)


@pytest.mark.parametrize("max_length", [3, 4, 6, 9, 48])
def test_a_character_of_several_tokens_is_read_at_its_first(max_length: int) -> None:
    """A tokenizer of bytes reads a word at its first byte, wherever windows begin and end."""
    tokenizer = byte_tokenizer()
    words = ["é", "\u4e2d\u6587", "ab", "\U0001f642", "éa"] * 3
    columns = columns_of((words, ["O", "B-a", "I-a"] * 5))
    encoded = TAGGING.encode(
        tokenizer, columns, Definition(("B-a", "I-a", "O")), max_length, labelled=True
    )
    assert read_at(encoded, tokenizer) == [tokenizer.tokenize(word)[0] for word in words]
    assert len(set(encoded.alignment.tokens.tolist())) == len(words)


def test_a_window_that_begins_inside_a_word_does_not_read_it() -> None:
    """The earliest piece counts, however little context it has where it is seen."""
    word = ["abcdefgh"]
    windows = [
        Window(0, np.array([-1, 0, 1, 2, -1]), np.array([-1, 1, 2, 3, -1])),
        Window(0, np.array([-1, 2, 3, 4, -1]), np.array([-1, 3, 4, 8, -1])),
    ]
    assert first_tokens([word], word, windows, np.array([0, 5, 10])).tolist() == [1]


def test_a_token_that_begins_with_the_space_before_it_is_of_its_word() -> None:
    """Tokenizers that count a space to the word after it read the same words."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "▁Ada": 2, "▁lives": 3, "▁here": 4}
    core = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]")
    found = tokenizer("Ada lives here", return_offsets_mapping=True)["offset_mapping"]
    assert found[1] == (3, 9), "this test needs a tokenizer whose tokens begin with a space"
    columns = columns_of((["Ada", "lives", "here"], ["B-a", "O", "O"]), (["here"], ["O"]))
    encoded = TAGGING.encode(tokenizer, columns, Definition(("B-a", "O")), 48, labelled=True)
    assert encoded.alignment.tokens.tolist() == [0, 1, 2, 3]


def test_a_word_that_has_no_token_is_outside(backbone: Backbone) -> None:
    """What the tokenizer makes nothing of is learned from no token, and tagged O."""
    columns = columns_of((["it", "\u200b", "was"], ["O", "B-per", "O"]), (["\u200b"], ["O"]))
    definition = Definition(BIO)
    encoded = TAGGING.encode(backbone.tokenizer, columns, definition, 48, labelled=True)
    assert (encoded.alignment.tokens < 0).tolist() == [False, True, False, True]
    assert (encoded.token_targets["targets"] > 0).sum() == 2
    model = task_model(backbone, TAGGING, definition, "houlsby", {"size": 4}, 0)
    predictions = predict_examples(model, TAGGING, encoded)
    assert predictions.shape == (4, 5)
    answers = TAGGING.answers(predictions, columns, definition)
    assert answers[0]["tags"][1] == answers[1]["tags"][0] == "O"
    only = np.zeros((1, int(encoded.lengths.max()), 5), dtype=np.float32)
    told = encoded.supervision(np.array([1]))
    loss = TAGGING.loss(torch.from_numpy(only[:, : encoded.lengths[1]]), told, None)
    assert loss.item() == 0


def test_a_word_without_a_token_has_the_first_label_where_there_is_no_o() -> None:
    """Where no label means nothing, one has to be predicted all the same."""
    columns = columns_of((["it", "\u200b"], ["NOUN", "VERB"]))
    definition = Definition(("NOUN", "VERB"))
    encoded = TAGGING.encode(make_tokenizer(), columns, definition, 48, labelled=False)
    found = TAGGING.predictions(np.zeros((encoded.offsets[-1], 2), dtype=np.float32), encoded)
    assert found[1].tolist() == [1, 0]


# The loss


@pytest.mark.parametrize("balanced", [False, True])
def test_the_loss_is_the_mean_over_words(balanced: bool) -> None:
    """Other tokens have no part in it, and balanced weights are those of scikit-learn."""
    columns = columns_of(
        (["it", "xyz", "was"], ["O", "B-a", "O"]), (["day"], ["O"]), (["a", "b"], ["O", "B-a"])
    )
    definition = TAGGING.define(columns, "here", {})
    encoded = TAGGING.encode(make_tokenizer(), columns, definition, 48, labelled=True)
    flat = np.array([definition.labels.index(tag) for tags in columns["tags"] for tag in tags])
    weights = TAGGING.balance(columns, definition)
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=flat)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(3, int(encoded.lengths.max()), 2, generator=generator)
    rows, told = np.arange(3), encoded.supervision(np.arange(3))
    given = torch.from_numpy(weights) if balanced else None
    loss = TAGGING.loss(outputs, told, given)
    index, inside = encoded.padded_index(rows)
    found = np.empty((encoded.offsets[-1], 2), dtype=np.float32)
    found[index[inside]] = outputs.numpy()[inside]
    words = torch.from_numpy(TAGGING.predictions(found, encoded))
    by_hand = torch.nn.functional.cross_entropy(words, torch.from_numpy(flat), given)
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-6)


# Data


@pytest.mark.parametrize(
    ("words", "tags", "says"),
    [
        (["a", "b"], ["O"], r"row 2 of here has 2 words and 1 tags: \['a', 'b'\] and \['O'\]"),
        (["a"], [], "row 2 of here has 1 words and 0 tags"),
        (["a"], ["X-per"], r"row 2 of here has the tag 'X-per', which train does not.*'B-loc'"),
    ],
)
def test_a_row_that_does_not_fit_is_named(words: list[str], tags: list[str], says: str) -> None:
    """Words and tags of different number, and tags that train lacks, are errors with the row."""
    good = (["Ada"], ["B-per"])
    with pytest.raises(DataError, match=says):
        TAGGING.check(columns_of(good, (words, tags)), Definition(BIO), "here")
    if len(words) != len(tags):
        with pytest.raises(DataError, match=says):
            TAGGING.define(columns_of(good, (words, tags)), "here", {})


def test_tags_that_make_no_task_are_refused() -> None:
    """One tag alone, and tags that look alike, are errors."""
    with pytest.raises(DataError, match="every tag of here is 'O': there is nothing to predict"):
        TAGGING.define(tags_only(["O", "O"], ["O"]), "here", {})
    with pytest.raises(DataError, match="'O' and 'O ' of here differ only in the space"):
        TAGGING.define(tags_only(["O", "O "]), "here", {})
    assert TAGGING.define(tags_only(["O", "I-b", "B-b"]), "here", {}).labels == ("B-b", "I-b", "O")


def test_a_missing_seqeval_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without seqeval nothing is trained that could not be scored."""
    monkeypatch.setitem(sys.modules, "seqeval", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'taskbank\[tagging\]'"):
        TAGGING.define(tags_only(["O", "B-a"]), "here", {})


def test_rows_are_held_out_by_their_rarest_type() -> None:
    """However the types combine, some of each are in both parts; parts of speech as well."""
    rows = [["B-a", "I-a", "O"], ["B-a", "B-b"], ["O"], ["B-a"], ["S-b", "L-a"]]
    assert TAGGING.strata(tags_only(*rows)) == ["a", "b", "", "a", "b"]
    speech = tuple(f"T{number}" for number in range(12))
    examples = Examples(
        {name: tuple(own) for name, own in tags_only(*random_tags(speech, 200, 0)).items()}, "here"
    )
    _, held = hold_out(examples, TAGGING.strata(examples.columns), 0.1, seed=0)
    assert len(held) == 20
    assert {tag for tags in held.columns["tags"] for tag in tags} == set(speech)


# Changes and answers


def test_a_change_is_counted_by_sentence() -> None:
    """One word with another tag changes its sentence; the margin is the largest of such words."""
    definition = Definition(("B-a", "O"))
    columns = tags_only(["O", "O", "O"], ["O"], ["O", "O"])
    before = np.array([[0, 1], [1, 1 - 1e-6], [0, 2], [0, 1], [0, 1], [3, 0]], dtype=np.float32)
    now = before.copy()
    now[1] = [1, 1 + 1e-6]
    now[5] = [0, 3]
    found = TAGGING.changes(before, now, columns, definition)
    assert found.changed.tolist() == [True, False, True]
    assert found.margin == pytest.approx([1e-6, 0, 3], abs=1e-7)
    assert found.moved == pytest.approx([2e-6, 0, 3], abs=1e-6)


def test_entities_stand_where_they_are_said_to_stand() -> None:
    """For raw text and for given words, the place of an entity in the text is its own text."""
    definition = Definition(BIO)
    raw = "  Ada  Lovelace, of London\t(born 1815)."
    given = ["Ada", "Lovelace", "of", "New York", "."]
    columns = TAGGING.parse([(raw,), (given,)], definition)
    assert columns["words"][0] == [
        "Ada", "Lovelace", ",", "of", "London", "(", "born", "1815", ")", ".",
    ]  # fmt: skip
    tags = [
        ["B-per", "I-per", "O", "O", "B-loc", "O", "O", "O", "O", "I-loc"],
        ["B-per", "I-per", "O", "B-loc", "O"],
    ]
    first, second = TAGGING.answers(as_predictions(tags, definition), columns, definition)
    assert [(one["text"], one["type"]) for one in first["entities"]] == [
        ("Ada  Lovelace", "per"),
        ("London", "loc"),
        (".", "loc"),
    ]
    assert all(raw[one["start"] : one["end"]] == one["text"] for one in first["entities"])
    text = "Ada Lovelace of New York ."
    assert [(one["text"], one["type"]) for one in second["entities"]] == [
        ("Ada Lovelace", "per"),
        ("New York", "loc"),
    ]
    assert all(text[one["start"] : one["end"]] == one["text"] for one in second["entities"])
    assert second["label"] == "Ada Lovelace (per), New York (loc)"
    assert (second["words"], second["tags"]) == (given, tags[1])


def test_an_answer_is_as_sure_as_its_least_sure_word() -> None:
    """So is an entity, over its own words."""
    definition = Definition(("B-a", "I-a", "O"))
    logits = np.array([[4, 0, 0], [0, 1, 0], [0, 0, 0.5]], dtype=np.float32)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    columns: Columns = {"words": [["x", "y", "z"]]}
    (found,) = TAGGING.answers(logits, columns, definition)
    assert found["entities"][0]["score"] == pytest.approx(shares[1, 1])
    assert found["score"] == pytest.approx(shares[2, 2])


def test_raw_text_and_its_words_are_predicted_alike(backbone: Backbone) -> None:
    """Text split by taskbank has the tags of the same words given as a list."""
    definition = Definition(BIO)
    rows = [(" ".join(row["words"]),) for row in tagged(10)]
    split = [(row["words"],) for row in tagged(10)]
    found = []
    model = task_model(backbone, TAGGING, definition, "houlsby", {"size": 4}, 0)
    for given in (rows, split):
        columns = TAGGING.parse(given, definition)
        encoded = TAGGING.encode(backbone.tokenizer, columns, definition, 48, labelled=False)
        found.append(predict_examples(model, TAGGING, encoded))
    assert np.array_equal(found[0], found[1])
