"""Tagging schemes: recognised, read and written, in every form; tags of none are found."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from seqeval import scheme as seqeval
from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import get_entities

from taskbank.errors import DataError
from taskbank.kinds.schemes import (
    FORMS,
    SCHEMES,
    Entity,
    Scheme,
    find_scheme,
    irregular_rows,
    read_entities,
)

STRICT = {
    "IOB1": seqeval.IOB1,
    "IOB2": seqeval.IOB2,
    "BIOES": seqeval.IOBES,
    "BILOU": seqeval.BILOU,
    "IOE2": seqeval.IOE2,
}


def random_entities(chance: random.Random, words: int) -> list[Entity]:
    """Return entities of one to four words, many of them adjacent to one of the same type."""
    entities, place = [], 0
    while place < words:
        size = min(chance.randint(1, 4), words - place)
        if chance.random() < 0.6:
            entities.append((chance.choice(("PER", "LOC", "a-b_c")), place, place + size - 1))
        place += size
    return entities


def corpus(seed: int, rows: int = 120) -> list[tuple[list[Entity], int]]:
    """Return the entities and the number of words of some sentences."""
    chance = random.Random(seed)
    lengths = [chance.randint(1, 12) for _ in range(rows)]
    return [(random_entities(chance, words), words) for words in lengths]


@pytest.mark.parametrize("form", [form for form in FORMS if "TYPE" in form])
@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_is_recognised_and_read_in_every_form(name: str, form: str) -> None:
    """The tags of a corpus give back the scheme, the form and the entities, adjacent ones too."""
    scheme, sentences = Scheme(name, form), corpus(seed=1)
    written = [scheme.write(*sentence) for sentence in sentences]
    assert find_scheme(written, "here") == scheme
    assert irregular_rows(scheme, written) == []
    for tags, (entities, _) in zip(written, sentences, strict=True):
        assert read_entities([str(scheme.seqeval_tag(tag)) for tag in tags]) == entities


@pytest.mark.parametrize("form", ["MARK", "mark"])
@pytest.mark.parametrize("name", ["IOB2", "BIOES", "BILOU", "BMES", "BMEWO"])
def test_tags_without_types_are_read_too(name: str, form: str) -> None:
    """Tags that are nothing but marks, as of chunks and word segmentation, are entities."""
    scheme = Scheme(name, form)
    written = [
        scheme.write([("_", first, last) for _, first, last in entities], words)
        for entities, words in corpus(seed=2)
    ]
    assert find_scheme(written, "here") == scheme


@pytest.mark.parametrize("name", STRICT)
@pytest.mark.parametrize("suffix", [False, True])
def test_f1_is_that_of_seqeval_in_its_strict_mode(name: str, suffix: bool) -> None:
    """For well-formed tags, what is read gives the F1 that seqeval computes for the scheme."""
    scheme = Scheme(name, "TYPE-MARK" if suffix else "MARK-TYPE")
    sides = [corpus(seed) for seed in (3, 4)]
    pairs = [(a, b, words) for (a, words), (b, _) in zip(*sides, strict=True)]
    cut = [(a, [one for one in b if one[2] < words], words) for a, b, words in pairs]
    wanted, found = ([scheme.write(row[side], row[2]) for row in cut] for side in (0, 1))
    strict = f1_score(wanted, found, mode="strict", scheme=STRICT[name], suffix=suffix)
    read = [
        [[str(scheme.seqeval_tag(tag)) for tag in tags] for tags in side]
        for side in (wanted, found)
    ]
    assert f1_score(*read) == pytest.approx(strict, abs=1e-12)


@pytest.mark.parametrize("labels", ["B-a I-a B-b I-b O", "B-a E-a S-a I-a B-b I-b O", "I-a I-b O"])
def test_tags_in_any_order_are_read_as_seqeval_does_by_default(labels: str) -> None:
    """Tags in an order that no scheme allows have the entities of seqeval's lenient mode."""
    chance = random.Random(5)
    sentences = [chance.choices(labels.split(), k=7) for _ in range(200)]
    scheme = find_scheme(sentences, "here")
    assert scheme is not None
    for tags in sentences:
        assert read_entities([str(scheme.seqeval_tag(tag)) for tag in tags]) == get_entities(tags)


def test_a_data_set_tells_iob1_from_iob2() -> None:
    """The same tags are IOB1 where entities begin with I, and IOB2 where they begin with B."""
    one = [["I-PER", "I-PER", "B-PER", "O"], ["I-LOC"]]
    two = [["B-PER", "I-PER", "B-PER", "O"], ["B-LOC"]]
    assert find_scheme(one, "here") == Scheme("IOB1", "MARK-TYPE")
    assert find_scheme(two, "here") == Scheme("IOB2", "MARK-TYPE")
    entities = [("PER", 0, 1), ("PER", 2, 2)]
    assert read_entities(one[0]) == read_entities(two[0]) == entities


@pytest.mark.parametrize(
    "tags",
    [
        ["NOUN", "VERB", "O"],
        ["NN", "-LRB-", ".", "PRP$", "''"],
        ["l-s---mn-", "n-s---mn-", "v3spia---", "u--------", "i--------", "a-p---fa-", "d--------"],
        ["PER", "LOC", "O"],
        ["noun-m", "noun-s", "verb-s"],
        ["N", "V", "B", "A", "P"],
    ],
)
def test_tags_that_mark_no_entities_have_no_scheme(tags: list[str]) -> None:
    """Parts of speech in several tag sets, some of which look a little like marks."""
    assert find_scheme([tags, tags[::-1]], "here") is None


def spoil(change: Callable[[str], str]) -> list[list[str]]:
    """Return 1,000 sentences, with the tags of the 778th changed."""
    sentences = [["B-PER", "I-PER", "O", "B-LOC"] for _ in range(1000)]
    sentences[777] = [change(tag) for tag in sentences[777]]
    return sentences


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("O", "0"),
        ("O", "o"),
        ("B-PER", "PER"),
        ("B-PER", "B_PER"),
        ("I-PER", "M-PER"),
        ("I-PER", "E-PER"),
        ("I-PER", "X-PER"),
        ("B-LOC", "b-LOC"),
        ("B-LOC", "B-"),
    ],
)
def test_a_tag_outside_of_the_scheme_is_refused_with_its_row(old: str, new: str) -> None:
    """One slip in 1,000 rows is an error that names row, tag and scheme."""
    says = f"row 778 of here has the tag {new!r}, but the other tags, such as .* scheme IOB2"
    with pytest.raises(DataError, match=says):
        find_scheme(spoil(lambda tag: new if tag == old else tag), "here")


def test_zero_for_o_throughout_is_refused() -> None:
    """Where no word has the tag O, but most have 0, what to write is said."""
    sentences = [["B-PER", "0", "0", "0"]] * 10
    with pytest.raises(DataError, match=r"row 1 .* '0'.* 'O' for a word outside .*30 words"):
        find_scheme(sentences, "here")


def test_rows_in_an_order_that_the_scheme_does_not_allow_are_found() -> None:
    """An I without a B before it is counted, and no other row is."""
    sentences = [["B-a", "I-a"], ["O", "I-a"], ["B-a", "I-b"], ["O"]]
    assert irregular_rows(Scheme("IOB2", "MARK-TYPE"), sentences) == [2, 3]
