"""Answers in a context: SQuAD's scoring, windows, no answer, and places that are wrong."""

from __future__ import annotations

import random
import re
import string
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.data.encoded import Encoded
from taskbank.errors import DataError, InputError
from taskbank.kinds.definition import Definition
from taskbank.kinds.kind import Columns
from taskbank.kinds.span import CANDIDATES, MAX_ANSWER, MAX_QUESTION, SPAN, STORED_ANSWERS
from taskbank.model.predict import predict_examples
from taskbank.model.task_model import task_model
from taskbank.specs import TrainingSpec
from taskbank.training.loop import train
from taskbank.training.prepared import PreparedSplit
from tests.helpers.backbones import GOOD, PLAIN, make_backbone, make_tokenizer

ANSWERED = Definition((), {"unanswerable": False, "null_threshold": 0.0})
MAYBE = Definition((), {"unanswerable": True, "null_threshold": 0.0})


def answers(*texts: str, context: str = "") -> dict[str, list[Any]]:
    """Return answers in SQuAD's form."""
    return {"text": list(texts), "answer_start": [max(context.find(text), 0) for text in texts]}


def columns_of(*rows: tuple[str, str, dict[str, Any]]) -> dict[str, list[Any]]:
    """Return examples of question, context and answers."""
    names = ("question", "context", "answers")
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def predicted(null: float, *places: tuple[int, int, float]) -> list[float]:
    """Return the prediction that has some places with their scores."""
    rest = [(-1, -1, 0)] * (STORED_ANSWERS - len(places))
    return [null, *(value for place in [*places, *rest] for value in place)]


def as_array(*rows: list[float]) -> np.ndarray:
    """Return predictions."""
    return np.array(rows, dtype=np.float32)


# Scores


@pytest.mark.parametrize(
    ("found", "wanted", "exact", "f1"),
    [
        ("The cat", ["cat"], 1, 1),
        ("cat", ["a cat."], 1, 1),
        ("CAT!", ["the  cat"], 1, 1),
        ("U.S.", ["us"], 1, 1),
        ("Naïve Café", ["naïve café"], 1, 1),
        ("ΣΟΦΌΣ", ["σοφός"], 1, 1),
        ("“cat”", ["cat"], 0, 0),  # only ASCII punctuation goes
        ("twenty-one", ["twenty one"], 0, 0),
        ("cat sat", ["cat"], 0, 2 / 3),
        ("cat cat", ["cat"], 0, 2 / 3),
        ("the cat in the hat", ["cat hat"], 0, 4 / 5),
        ("another theme", ["other heme"], 0, 0),
        ("cat", ["dog", "black cat", "a cat"], 1, 1),
        ("cat", ["dog", "black cat"], 0, 2 / 3),
        ("", [], 1, 1),
        ("cat", [], 0, 0),
        ("", ["cat"], 0, 0),
        ("the", ["a"], 1, 1),
        ("the", ["a", "cat"], 0, 0),
    ],
)
def test_answers_are_scored_as_squad_scores_them(
    found: str, wanted: list[str], exact: float, f1: float
) -> None:
    """Case, punctuation, articles and spaces do not count; the best of several answers does."""
    columns = columns_of(("?", found, answers(*wanted)))
    place = (0, len(found), 1.0) if found else (-1, -1, 0.0)
    scores = SPAN.scores(as_array(predicted(-9, place)), columns, MAYBE)
    assert scores == pytest.approx({"exact_match": exact, "f1": f1})


def official(found: str, wanted: list[str]) -> tuple[float, float]:
    """Return exact match and F1 by the rules of SQuAD 2.0's evaluation script."""

    def normal(text: str) -> str:
        text = "".join(sign for sign in text.lower() if sign not in set(string.punctuation))
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())

    def f1(gold: str) -> float:
        one, other = normal(gold).split(), normal(found).split()
        same = sum((Counter(one) & Counter(other)).values())
        if not one or not other:
            return float(one == other)
        if not same:
            return 0.0
        precision, recall = same / len(other), same / len(one)
        return 2 * precision * recall / (precision + recall)

    golds = [text for text in wanted if normal(text)] or [""]
    return max(float(normal(gold) == normal(found)) for gold in golds), max(map(f1, golds))


def test_random_answers_are_scored_by_the_official_rules() -> None:
    """Hundreds of answers of articles, signs and words in any case agree to the last digits."""
    chance = random.Random(0)
    words = ["a", "an", "The", "cat", "Cat", "cat.", "dog", "é", "-", "!", "in-law", "2", "\u2028"]

    def text() -> str:
        return " ".join(chance.choices(words, k=chance.randint(1, 4)))

    rows = [
        ("?", text(), answers(*(text() for _ in range(chance.randint(0, 3))))) for _ in range(400)
    ]
    columns = columns_of(*rows)
    predictions = as_array(*(predicted(-9, (0, len(row[1]), 1.0)) for row in rows))
    exact, f1 = zip(*(official(row[1], row[2]["text"]) for row in rows), strict=True)
    found = SPAN.metrics(predictions, columns, MAYBE)
    assert found["exact_match"].value == pytest.approx(np.mean(exact))
    assert found["f1"].value == pytest.approx(np.mean(f1))
    assert found["f1"].standard_error == pytest.approx(np.std(f1) / 20)


# No answer


def test_no_answer_is_predicted_beyond_the_threshold() -> None:
    """It has to score more above the best answer than the threshold says; on it, it does not."""
    rows = as_array(predicted(3, (0, 3, 1)), predicted(2.5, (0, 3, 1)), predicted(0, (0, 3, 1)))
    columns = columns_of(*[("?", "cat", answers())] * 3)
    task = Definition((), {"unanswerable": True, "null_threshold": 1.5})
    assert [one["answer"] for one in SPAN.answers(rows, columns, task)] == ["", "cat", "cat"]
    assert [one["answer"] for one in SPAN.answers(rows, columns, ANSWERED)] == ["cat"] * 3


@pytest.mark.parametrize("seed", range(6))
def test_the_threshold_is_the_best_of_all(seed: int) -> None:
    """No threshold gives a better F1, ties between scores and contexts without words included."""
    generator = np.random.default_rng(seed)
    rows, predictions = [], []
    for _ in range(40):
        wanted = answers("cat") if generator.random() < 0.6 else answers()
        rows.append(("?", "cat black", wanted))
        right = generator.random() < 0.7
        place = (0, 3, 1.0) if right else (0, 9, 1.0)
        lead = float(generator.integers(-2, 3)) + (0.5 if wanted["text"] else 1.0) * (seed % 2)
        empty = generator.random() < 0.1
        predictions.append(predicted(1 + lead) if empty else predicted(1 + lead, place))
    columns, array = columns_of(*rows), as_array(*predictions)

    def f1(threshold: float) -> float:
        task = Definition((), {"unanswerable": True, "null_threshold": threshold})
        return SPAN.scores(array, columns, task)["f1"]

    tuned = SPAN.tune(array, columns, MAYBE)
    every = [f1(threshold) for threshold in np.arange(-6, 6, 0.25)] + [f1(1e30), f1(-1e30)]
    assert f1(tuned.settings["null_threshold"]) == pytest.approx(max(every))
    settings = SPAN.tune(array, columns, ANSWERED).settings
    assert {name: settings[name] for name in ANSWERED.settings} == ANSWERED.settings


def test_questions_that_no_threshold_parts_are_counted_together() -> None:
    """Of questions with the same lead, all are answered or none is, whatever their order."""
    rows = [("?", "cat", answers("cat"))] * 2 + [("?", "cat", answers())] * 3
    columns, array = columns_of(*rows), as_array(*[predicted(1, (0, 3, 1))] * 5)
    tuned = SPAN.tune(array, columns, MAYBE)
    assert SPAN.scores(array, columns, tuned)["f1"] == 3 / 5


@pytest.mark.parametrize(("wanted", "expected"), [(answers("cat"), 1.0), (answers(), 1.0)])
def test_a_threshold_for_answers_all_of_one_sort_answers_so(
    wanted: dict[str, Any], expected: float
) -> None:
    """Where every question has an answer, or none has, the threshold says that and is finite."""
    columns = columns_of(*[("?", "cat", wanted)] * 3)
    array = as_array(*(predicted(null, (0, 3, 1)) for null in (-5, 0, 5)))
    tuned = SPAN.tune(array, columns, MAYBE)
    assert np.isfinite(tuned.settings["null_threshold"])
    assert SPAN.scores(array, columns, tuned)["f1"] == expected


# Windows


def long_context(seed: int, words: int, place: int, word: str = "lovely") -> tuple[str, int]:
    """Return plain words with one other at a place, and where that begins."""
    chance = random.Random(seed)
    parts = chance.choices(PLAIN, k=words)
    parts[place] = word
    return " ".join(parts), len("".join(f"{part} " for part in parts[:place]))


def windows_with(encoded: Encoded, start: int, end: int) -> list[int]:
    """Return the windows that have every character from start to end."""
    return [
        number
        for number, window in enumerate(encoded.alignment)
        if (window.starts[window.inside] <= start).any()
        and (window.ends[window.inside] >= end).any()
        and window.starts[window.inside].min() <= start
    ]


@pytest.mark.parametrize("place", [0, 7, 20, 33, 59])
def test_only_windows_that_hold_the_answer_point_at_it(place: int) -> None:
    """The others point at their first token; the answer is the same wherever it is seen."""
    context, start = long_context(place, 60, place)
    columns = columns_of(("was it", context, {"text": ["lovely"], "answer_start": [start]}))
    encoded = SPAN.encode(make_tokenizer(), columns, ANSWERED, 24, labelled=True)
    assert len(encoded) > 3
    holding = windows_with(encoded, start, start + 6)
    assert holding
    for number, window in enumerate(encoded.alignment):
        first, last = encoded.input_targets["first"][number], encoded.input_targets["last"][number]
        if number in holding:
            assert context[window.starts[first] : window.ends[last]] == "lovely"
        else:
            assert (first, last) == (0, 0)
    read = {int(s) for w in encoded.alignment for s in w.starts[w.inside]}
    assert read == {match.start() for match in re.finditer(r"\S+", context)}


def test_a_window_that_cuts_the_answer_points_at_its_first_token() -> None:
    """An answer of which a window has only a part is not in it; one that no window can hold is
    nowhere."""
    context = " ".join(random.Random(1).choices(PLAIN, k=40))
    spans = [match.span() for match in re.finditer(r"\S+", context)]
    for first, last in ((10, 14), (0, 1), (38, 39), (2, 37)):
        start, end = spans[first][0], spans[last][1]
        row = ("is", context, {"text": [context[start:end]], "answer_start": [start]})
        encoded = SPAN.encode(make_tokenizer(), columns_of(row), ANSWERED, 20, labelled=True)
        whole = 0
        for number, window in enumerate(encoded.alignment):
            one, other = (
                encoded.input_targets["first"][number],
                encoded.input_targets["last"][number],
            )
            if (one, other) != (0, 0):
                assert (window.starts[one], window.ends[other]) == (start, end)
                whole += 1
            else:
                inside = window.inside
                assert window.starts[inside].min() > start or window.ends[inside].max() < end
        assert (whole == 0) == (last - first > 20)


def test_an_answer_is_found_that_begins_or_ends_with_what_has_no_token() -> None:
    """Characters that the tokenizer drops do not hide the answer that they belong to."""
    context = "\u200bgood day here\u200b"
    for text, token in (("\u200bgood", "good"), ("here\u200b", "here")):
        columns = columns_of(("is", context, answers(text, context=context)))
        encoded = SPAN.encode(make_tokenizer(), columns, ANSWERED, 24, labelled=True)
        first, last = encoded.input_targets["first"][0], encoded.input_targets["last"][0]
        window = encoded.alignment[0]
        assert context[window.starts[first] : window.ends[last]] == token


def test_an_answer_in_a_late_window_is_predicted() -> None:
    """The best answer over all windows counts, and no answer by the window least sure of it."""
    context, start = long_context(3, 60, 50)
    columns = columns_of(("was it", context, answers()), ("is", "a day", answers()))
    encoded = SPAN.encode(make_tokenizer(), columns, MAYBE, 24, labelled=False)
    outputs = np.zeros((encoded.offsets[-1], 2), dtype=np.float32)
    outputs[encoded.offsets[:-1]] = 5  # every window says that there is no answer
    number = windows_with(encoded, start, start + 6)[-1]
    window = encoded.alignment[number]
    token = encoded.offsets[number] + int(np.flatnonzero(window.starts == start)[0])
    outputs[token] = 7
    outputs[encoded.offsets[number]] = 1
    predictions = SPAN.predictions(outputs, encoded)
    found = SPAN.answers(predictions, columns, MAYBE)
    assert (found[0]["answer"], found[0]["start"]) == ("lovely", start)
    assert (found[1]["answer"], found[1]["start"], found[1]["end"]) == ("", None, None)
    assert predictions[0, 0] == 2
    assert predictions[0, 3] == 14
    assert predictions[1, 0] == 10


@pytest.mark.slow
def test_a_model_that_learned_reads_long_contexts_to_their_end(backbone: Backbone) -> None:
    """Trained on windows, a tiny model finds the good word wherever in a long text it stands."""
    chance = random.Random(0)

    def task(count: int, seed: int) -> Columns:
        rows = []
        for number in range(count):
            word, place = chance.choice(GOOD), chance.randint(0, 39)
            context, start = long_context(seed + number, 40, place, word)
            rows.append(("was it", context, {"text": [word], "answer_start": [start]}))
        return columns_of(*rows)

    def data(columns: Columns) -> PreparedSplit:
        return PreparedSplit(
            SPAN.encode(backbone.tokenizer, columns, ANSWERED, 24, labelled=True), columns
        )

    spec = TrainingSpec(epochs=8, learning_rate=0.02, batch_size=32)
    learned, asked = data(task(300, 0)), data(task(30, 1000))
    model = task_model(backbone, SPAN, ANSWERED, "houlsby", {"size": 8}, 0)
    course = train(model, SPAN, ANSWERED, learned, asked, spec, "exact_match")
    again = predict_examples(model, SPAN, asked.encoded)
    assert course.best.score > 0.8
    assert np.array_equal(again, course.predictions)


def test_answers_are_neither_backwards_nor_endless() -> None:
    """A last token before the first, or too far behind it, makes no answer."""
    context = " ".join(PLAIN * 4)
    columns = columns_of(("is", context, answers()))
    encoded = SPAN.encode(make_tokenizer(), columns, ANSWERED, 80, labelled=False)
    generator = np.random.default_rng(0)
    outputs = generator.normal(size=(encoded.offsets[-1], 2)).astype(np.float32)
    predictions = SPAN.predictions(outputs, encoded)
    window, own = encoded.alignment[0], np.flatnonzero(encoded.alignment[0].inside)
    every = {
        (int(window.starts[i]), int(window.ends[j])): float(outputs[i, 0]) + float(outputs[j, 1])
        for i in sorted(own, key=lambda i: -outputs[i, 0])[:CANDIDATES]
        for j in sorted(own, key=lambda j: -outputs[j, 1])[:CANDIDATES]
        if i <= j < i + MAX_ANSWER
    }
    expected = sorted(every.items(), key=lambda item: -item[1])[:STORED_ANSWERS]
    found = predictions[0, 1:].reshape(STORED_ANSWERS, 3)
    assert [(int(a), int(b)) for a, b, _ in found] == [place for place, _ in expected]
    assert found[:, 2] == pytest.approx([score for _, score in expected], rel=1e-6)
    outputs[:] = 0
    outputs[own[9], 1] = outputs[own[10], 0] = 50  # the best last token is before the best first,
    outputs[own[10 + MAX_ANSWER], 1] = 50  # or just too far behind it
    outputs[own[9 + MAX_ANSWER], 1] = 20
    (place,) = SPAN.predictions(outputs, encoded)[:, 1:4].tolist()
    assert place == [window.starts[own[10]], window.ends[own[9 + MAX_ANSWER]], 70]


def test_a_long_question_leaves_room_for_the_context() -> None:
    """A question is cut to what it may have, and all of the context is read all the same."""
    context = " ".join(PLAIN * 2)
    columns = columns_of(("good " * 500, context, answers()))
    encoded = SPAN.encode(make_tokenizer(), columns, ANSWERED, 200, labelled=False)
    assert len(encoded) == 1
    assert encoded.lengths.tolist() == [MAX_QUESTION + len(PLAIN * 2) + 3]


@pytest.mark.slow
def test_any_length_and_any_text_can_be_encoded() -> None:
    """From the least length on, no question or context is too long, too short or too odd."""
    signs = ["good", "x", "xyzzy", "\U0001f642", "\u200b", "é", "...", "\u4e2d\u6587", " "]
    chance, tokenizer = random.Random(0), make_tokenizer()
    for length in (5, 6, 7, 8, 9, 12, 20, 63):
        rows = []
        for _ in range(30):
            question, context = (
                "".join(chance.choices(signs, k=chance.randint(1, 40))) + "?" for _ in range(2)
            )
            rows.append((question, context, answers()))
        encoded = SPAN.encode(tokenizer, columns_of(*rows), MAYBE, length, labelled=True)
        assert encoded.lengths.max() <= length
        assert {window.example for window in encoded.alignment} == set(range(30))
    with pytest.raises(InputError, match=r"max_length is 4: .*needs at least 5"):
        SPAN.encode(tokenizer, columns_of(*rows), MAYBE, 4, labelled=True)


def test_a_context_without_a_token_has_no_answer() -> None:
    """What the tokenizer makes nothing of can be asked about, and nothing is found in it."""
    columns = columns_of(("is it", "\u200b", answers()))
    encoded = SPAN.encode(make_tokenizer(), columns, ANSWERED, 24, labelled=True)
    assert encoded.input_targets["first"].tolist() == [0]
    outputs = np.ones((encoded.offsets[-1], 2), dtype=np.float32)
    predictions = SPAN.predictions(outputs, encoded)
    for task in (ANSWERED, MAYBE):
        (found,) = SPAN.answers(predictions, columns, task)
        assert (found["label"], found["start"], found["end"]) == ("", None, None)
        assert found["score"] == (1 if task is MAYBE else 0)
        assert not SPAN.changes(predictions, predictions, columns, task).changed.any()


# The loss


def test_the_loss_looks_at_the_context_and_the_first_token_only() -> None:
    """Outputs of the question, of the backbone's own tokens and of padding have no gradient."""
    columns = columns_of(
        ("was it", "it was good", answers("good", context="it was good")),
        ("was it", "it was a very good day here today", answers()),
    )
    encoded = SPAN.encode(make_tokenizer(), columns, MAYBE, 24, labelled=True)
    rows = np.arange(2)
    told = encoded.supervision(rows)
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(2, int(encoded.lengths.max()), 2, generator=generator)
    loss = SPAN.loss(outputs.requires_grad_(), told, None)
    loss.backward()
    expected = torch.zeros(outputs.shape[:2], dtype=torch.bool)
    for row, window in enumerate(encoded.alignment):
        expected[row, : len(window.inside)] = torch.from_numpy(window.inside)
    expected[:, 0] = True
    assert outputs.grad is not None
    assert torch.equal(outputs.grad.abs().sum(dim=2) > 0, expected)
    by_hand = 0.0
    for row, allowed in enumerate(expected):
        for side, name in enumerate(("first", "last")):
            shares = torch.log_softmax(outputs[row, allowed, side], dim=0)
            place = int(allowed[: told[name][row]].sum())
            by_hand -= shares[place].item() / 4
    assert loss.item() == pytest.approx(by_hand, rel=1e-5)


# Data


@pytest.mark.parametrize(
    ("text", "start", "says"),
    [
        ("good", 1, r"row 2 of here has the answer 'good', which is not at character 1 .*'t wa'"),
        ("good", -1, "not at character -1 of its context"),
        ("good", 10**30, "not at character 10{30} of its context: '' is"),
        ("Good", 7, "not at character 7 of its context: 'good' is; correct answer_start"),
        ("good ", 7, "not at character 7"),
        ("", 0, "row 2 of here has the blank answer '': leave it out"),
        (" ", 2, "has the blank answer ' '"),
    ],
)
def test_an_answer_that_is_not_where_it_is_said_to_be_is_named(
    text: str, start: int, says: str
) -> None:
    """The error has the row, the answer, the place, and what is there instead."""
    good = ("?", "it was good", answers("good", context="it was good"))
    columns = columns_of(good, ("?", "it was good", {"text": [text], "answer_start": [start]}))
    with pytest.raises(DataError, match=says):
        SPAN.define(columns, "here", {})
    with pytest.raises(DataError, match=says):
        SPAN.check(columns, ANSWERED, "here")


def test_questions_without_an_answer_must_be_known_from_train() -> None:
    """Where train has none, one is named with its row; where train has only such, that is said."""
    good = ("?", "it was good", answers("good", context="it was good"))
    none = ("?", "it was good", answers())
    assert SPAN.define(columns_of(good, good), "here", {}) == ANSWERED
    assert SPAN.define(columns_of(good, none), "here", {}) == MAYBE
    SPAN.check(columns_of(none, good), MAYBE, "here")
    with pytest.raises(DataError, match="row 2 of here has no answer, and every question of train"):
        SPAN.check(columns_of(good, none), ANSWERED, "here")
    with pytest.raises(DataError, match="no question of here has an answer"):
        SPAN.define(columns_of(none, none), "here", {})
    assert SPAN.strata(columns_of(good, none)) == [True, False]


# Answers and changes


def test_an_answer_begins_and_ends_with_a_word() -> None:
    """The space that some tokenizers count to a word is no part of the answer or its place."""
    columns = columns_of(("?", "it was good", answers()))
    (found,) = SPAN.answers(as_array(predicted(0, (6, 11, 2), (3, 6, 1))), columns, ANSWERED)
    assert (found["answer"], found["start"], found["end"]) == ("good", 7, 11)
    assert found["score"] == pytest.approx(1 / (1 + np.exp(-1)))


def test_a_near_tie_between_answers_is_told_from_a_change() -> None:
    """The margin is by how much the reference preferred its answer to that of now, no answer
    included; one that it did not consider is no near miss."""
    columns = columns_of(*[("?", "it was good", answers())] * 4)
    near = 1e-5
    before = as_array(
        predicted(0, (0, 2, 1 + near), (3, 6, 1)),
        predicted(1, (0, 2, 1 + near)),
        predicted(0, (0, 2, 1)),
        predicted(0, (0, 2, 5), (3, 6, 1)),
    )
    now = as_array(
        predicted(0, (3, 6, 1 + near), (0, 2, 1)),
        predicted(1 + 2 * near, (0, 2, 1 + near)),
        predicted(0, (7, 11, 1)),
        predicted(0, (3, 6, 5), (0, 2, 1)),
    )
    found = SPAN.changes(before, now, columns, MAYBE)
    assert found.changed.all()
    assert found.margin[:2] == pytest.approx([near, near], abs=2e-7)
    assert found.margin[2] == np.inf
    assert found.margin[3] == pytest.approx(4)
    assert found.within(1e-4 * found.scale).tolist() == [True, True, False, False]


def test_the_threshold_for_no_answer_is_part_of_its_lead() -> None:
    """A question near its threshold is a near tie, and what moved is the largest of all moves."""
    columns = columns_of(*[("?", "it was good", answers())] * 2)
    task = Definition((), {"unanswerable": True, "null_threshold": 2.0})
    before = as_array(predicted(3 + 1e-5, (0, 2, 1)), predicted(3, (0, 2, 9), (3, 6, 1)))
    now = as_array(predicted(3 - 1e-5, (0, 2, 1)), predicted(3, (0, 2, 9), (3, 6, 4)))
    found = SPAN.changes(before, now, columns, task)
    assert found.changed.tolist() == [True, False]
    assert found.margin[0] == pytest.approx(1e-5, abs=1e-6)
    assert found.moved == pytest.approx([2e-5, 3], abs=1e-6)
    assert SPAN.answers(before, columns, task)[0]["score"] == pytest.approx(0.5, abs=1e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e30, -5, 2.5])
def test_predictions_that_no_model_makes_are_compared_all_the_same(value: float) -> None:
    """Numbers from a forged export give findings, and never a traceback."""
    columns = columns_of(("?", "it was good", answers("good", context="it was good")))
    good = as_array(predicted(0, (0, 2, 1), (3, 6, 0.5)))
    for column in range(good.shape[1]):
        odd = good.copy()
        odd[0, column] = value
        for task in (ANSWERED, MAYBE):
            SPAN.changes(odd, good, columns, task)
            SPAN.changes(good, odd, columns, task)
            SPAN.scores(odd, columns, task)
            assert len(SPAN.answers(np.nan_to_num(odd), columns, task)) == 1


def test_every_architecture_has_a_first_token_for_no_answer(tmp_path: Path) -> None:
    """Without token types, windows and their places are the same."""
    columns = columns_of(("was it", long_context(1, 40, 30)[0], answers()))
    encodings = [
        SPAN.encode(
            load_backbone(str(make_backbone(tmp_path / name, name))).tokenizer,
            columns,
            MAYBE,
            24,
            labelled=True,
        )
        for name in ("bert", "roberta")
    ]
    assert np.array_equal(encodings[0].flat["input_ids"], encodings[1].flat["input_ids"])
    assert "token_type_ids" not in encodings[1].flat
    assert encodings[0].token_targets["allowed"][encodings[0].offsets[:-1]].all()
