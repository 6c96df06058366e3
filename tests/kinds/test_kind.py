"""The contract that every kind keeps."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.data.encoded import Encoded
from taskbank.data.examples import Examples
from taskbank.data.splits import hold_out
from taskbank.digests import canonical_json
from taskbank.errors import DataError, InputError
from taskbank.kinds.definition import Definition
from taskbank.kinds.kind import Columns, Kind
from taskbank.kinds.metrics import orient
from taskbank.model import predict as evaluate
from taskbank.model.predict import predict_examples, predict_outputs
from taskbank.model.task_model import task_model
from taskbank.specs import TrainingSpec
from taskbank.training.loop import Training, train
from tests.helpers.models import prepared
from tests.helpers.rows import ROWS, labelled

SPEC = TrainingSpec(epochs=5, learning_rate=0.02, batch_size=16)
OPTIONS = {"size": 8}
NOISE = 1e-4  # more than rounding moves an output, as a share of the largest


@dataclass(frozen=True)
class Taught:
    """A task of a kind that a tiny model has learned, and what it predicts for validation."""

    kind: Kind
    defined: Definition
    columns: Columns
    encoded: Encoded
    course: Training
    outputs: np.ndarray
    untrained: np.ndarray
    weights: dict[str, torch.Tensor]

    @property
    def definition(self) -> Definition:
        """What training has fixed, with what was chosen on validation."""
        return self.course.definition

    @property
    def predictions(self) -> np.ndarray:
        """Those of the best epoch."""
        return self.course.predictions

    @property
    def inputs(self) -> Columns:
        """The columns without what is to be predicted."""
        return {name: own for name, own in self.columns.items() if name != self.kind.label.name}

    def score(self, predictions: np.ndarray) -> float:
        """Return the kind's own metric, higher being better, with what is chosen on validation."""
        tuned = self.kind.tune(predictions, self.columns, self.defined)
        return orient(
            self.kind.metric,
            self.kind.scores(predictions, self.columns, tuned)[self.kind.metric],
        )


@pytest.fixture(params=plugins.names("kinds"), scope="module")
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind in turn."""
    found: Kind = plugins.load("kinds", request.param)
    return found


@pytest.fixture(scope="module")
def taught(kind: Kind, backbone: Backbone) -> Taught:
    """A task of each kind in turn, trained well."""
    columns = labelled(kind.name, 240, seed=1)
    definition = kind.define(columns, "here", {})
    data = prepared(backbone, kind, definition, columns)
    validation = prepared(backbone, kind, definition, labelled(kind.name, 40, seed=2))
    model = task_model(backbone, kind, definition, "houlsby", OPTIONS, SPEC.seed)
    untrained = predict_outputs(model, validation.encoded)
    course = train(model, kind, definition, data, validation, SPEC, kind.metric)
    outputs = predict_outputs(model, validation.encoded)
    weights = {name: tensor.clone() for name, tensor in model.trained_tensors().items()}
    return Taught(
        kind,
        definition,
        validation.columns,
        validation.encoded,
        course,
        outputs,
        untrained,
        weights,
    )


# What a kind is


def test_a_kind_goes_by_its_own_name(kind: Kind) -> None:
    """The name in the table is the name that is recorded."""
    assert plugins.load("kinds", kind.name) is kind


def test_a_kind_names_its_columns_once(kind: Kind) -> None:
    """Every way to make an input has columns of its own names, and none is the label's."""
    for fields in kind.inputs:
        names = [*(field.name for field in fields), kind.label.name]
        assert len(set(names)) == len(names)
        assert [field.option for field in fields] == ["--text", "--text-pair"][: len(fields)]
    assert kind.label.option == "--label"
    assert set(kind.training) <= set(TrainingSpec.__dataclass_fields__)


# Data


def test_train_defines_a_task_that_other_examples_fit(taught: Taught) -> None:
    """What is defined is plain JSON, survives being stored, and lets other rows pass."""
    kind, definition = taught.kind, taught.definition
    stored = json.loads(canonical_json([list(definition.labels), dict(definition.settings)]))
    again = Definition(tuple(stored[0]), stored[1])
    assert again == definition
    kind.check(taught.columns, again, "there")
    assert kind.define(labelled(kind.name, 240, seed=1), "here", {}) == taught.defined


def test_a_setting_that_a_kind_does_not_have_is_refused(kind: Kind) -> None:
    """A wish that cannot be had is an error that names it."""
    with pytest.raises(InputError, match="no setting 'colour'"):
        kind.define(labelled(kind.name, 40), "here", {"colour": "red"})


def test_settings_that_were_tampered_with_are_refused(taught: Taught) -> None:
    """A setting that no training makes, as in a forged export, is an error that names it."""
    for name in taught.definition.settings:
        wrongs: tuple[Any, ...] = ("x", [], [None], math.nan, 10**400, {})
        for wrong in wrongs:
            settings = {**taught.definition.settings, name: wrong}
            forged = Definition(taught.definition.labels, settings)
            with pytest.raises(DataError, match=f"the setting {name!r} is "):
                taught.kind.check(taught.columns, forged, "here")


def test_unknown_settings_are_refused(taught: Taught) -> None:
    """A kind takes the settings that its training makes and no others."""
    for name in {"surprise", "inputs"} - set(taught.definition.settings):
        settings = {**taught.definition.settings, name: ["text"]}
        forged = Definition(taught.definition.labels, settings)
        with pytest.raises(DataError, match=f"the setting {name!r} is unknown to tasks of kind"):
            taught.kind.check(taught.columns, forged, "here")


def test_inputs_are_those_of_the_split(taught: Taught) -> None:
    """Where a setting says what an input is made of, another way to make one is refused."""
    if "inputs" not in taught.definition.settings:
        return
    for fields in taught.kind.inputs:
        names = [field.name for field in fields]
        forged = Definition(
            taught.definition.labels, {**taught.definition.settings, "inputs": names}
        )
        if set(names) <= set(taught.columns):
            taught.kind.check(taught.columns, forged, "here")
        else:
            with pytest.raises(DataError, match="the setting 'inputs' is "):
                taught.kind.check(taught.columns, forged, "here")


def test_a_held_out_part_has_some_of_every_stratum(kind: Kind) -> None:
    """A tenth is held out, as nearly as whole numbers allow of each stratum, and none is lost."""
    examples = Examples(labelled(kind.name, 200, seed=3), "here")
    strata = list(kind.strata(examples.columns))
    assert len(strata) == 200
    numbered = Examples({**examples.columns, "number": tuple(range(200))}, "here")
    rest, held = hold_out(numbered, strata, 0.1, seed=0)
    assert len(held) == 20
    assert sorted([*rest.columns["number"], *held.columns["number"]]) == list(range(200))
    counts, chosen = Counter(strata), Counter(strata[row] for row in held.columns["number"])
    assert all(abs(chosen[name] - count / 10) <= 1 for name, count in counts.items())


def test_examples_survive_being_stored(kind: Kind) -> None:
    """A split comes back from its bytes as it was, so that it can be scored again."""
    examples = Examples(labelled(kind.name, 20), "here")
    again = Examples.from_bytes(examples.to_bytes(), "there")
    assert list(again.rows()) == list(examples.rows())


# Inputs, outputs and the loss


def test_right_outputs_are_those_of_right_answers(taught: Taught) -> None:
    """For each example, the share of right outputs agrees with the correctness of its answer; of
    numbers, all are right. A kind may count only some tokens, and never padding."""
    kind, encoded, definition = taught.kind, taught.encoded, taught.definition
    for outputs in (taught.outputs, taught.untrained):
        found = kind.right(outputs, encoded, definition)
        assert found.dtype == bool
        assert found.shape == outputs.shape[:1]
        predictions = kind.predictions(outputs, encoded)
        correctness = kind.correctness(predictions, taught.columns, definition)
        if not kind.per_token:
            numbers = kind.name == "regression"
            assert found.tolist() == [numbers or one == 1 for one in correctness.tolist()]
        elif kind.name == "tagging":
            words = found[encoded.alignment.tokens]
            of = kind.examples_of(taught.columns)
            shares = [words[of == row].mean() for row in range(len(correctness))]
            assert shares == pytest.approx(correctness.tolist())
            assert found.sum() == words.sum()
        else:
            for number, window in enumerate(encoded.alignment):
                tokens = found[encoded.offsets[number] : encoded.offsets[number + 1]]
                assert not tokens.any() or correctness[window.example] == 1
    assert kind.right(taught.outputs, encoded, definition).any()


def test_inputs_do_not_depend_on_the_labels(taught: Taught, backbone: Backbone) -> None:
    """Examples without their labels are tokenised just as with them."""
    found = taught.kind.encode(
        backbone.tokenizer, taught.inputs, taught.definition, 48, labelled=False
    )
    assert np.array_equal(found.offsets, taught.encoded.offsets)
    assert found.flat.keys() == taught.encoded.flat.keys()
    for name, values in found.flat.items():
        assert np.array_equal(values, taught.encoded.flat[name])
    with pytest.raises(InputError, match="max_length is 2"):
        taught.kind.encode(backbone.tokenizer, taught.inputs, taught.definition, 2, labelled=False)


def test_a_head_is_seeded_small_and_of_the_right_shape(kind: Kind, backbone: Backbone) -> None:
    """A head depends on its seed alone and starts from a cut normal and zero biases."""
    definition = kind.define(labelled(kind.name, 40), "here", {})
    heads: list[Any] = []
    for seed in (0, 0, 1):
        model = task_model(backbone, kind, definition, "houlsby", OPTIONS, seed)
        heads.append(model.head)
    assert heads[0].weight.shape == (kind.outputs(definition), 32)
    assert torch.equal(heads[0].weight, heads[1].weight)
    assert not torch.equal(heads[0].weight, heads[2].weight)
    assert heads[0].weight.abs().max() <= 0.04
    assert not heads[0].bias.any()


@pytest.mark.parametrize("balanced", [False, True])
def test_the_loss_is_a_number_with_a_gradient(taught: Taught, balanced: bool) -> None:
    """Any outputs have a finite loss, and every output that is told of anything a gradient."""
    kind, rows = taught.kind, np.arange(len(taught.encoded))
    shape = [len(rows), kind.outputs(taught.definition)]
    if kind.per_token:
        shape.insert(1, taught.encoded.lengths.max())
    outputs = torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weights = kind.balance(taught.columns, taught.definition) if balanced else None
    told = taught.encoded.supervision(rows)
    loss = kind.loss(outputs, told, None if weights is None else torch.from_numpy(weights))
    assert loss.shape == ()
    assert math.isfinite(loss.item())
    loss.backward()
    assert outputs.grad is not None
    assert torch.isfinite(outputs.grad).all()
    assert outputs.grad.reshape(len(rows), -1).any(dim=1).all()


@pytest.mark.parametrize("scale", [0.0, 1e4, -1e4])
def test_the_loss_of_extreme_outputs_is_a_number(taught: Taught, scale: float) -> None:
    """Outputs of nought and outputs far out neither overflow nor divide by nothing."""
    kind, rows = taught.kind, np.arange(len(taught.encoded))
    shape = [len(rows), kind.outputs(taught.definition)]
    if kind.per_token:
        shape.insert(1, taught.encoded.lengths.max())
    loss = kind.loss(torch.full(shape, scale), taught.encoded.supervision(rows), None)
    assert math.isfinite(loss.item())


def test_a_tiny_model_learns(taught: Taught) -> None:
    """The loss falls, and what was learned is clearly better than predictions without inputs."""
    losses = [epoch.loss for epoch in taught.course.epochs]
    assert losses[-1] < losses[0]
    constant_baseline = taught.kind.constant_baseline(taught.columns, taught.defined)
    assert taught.score(taught.predictions) > taught.score(constant_baseline) + 0.05


# Predictions and metrics


def test_predictions_are_of_the_shape_that_is_said(taught: Taught) -> None:
    """They are float32 numbers, as many as the kind says of the examples."""
    expected = taught.kind.shape(taught.columns, taught.definition)
    for outputs in (taught.outputs, taught.untrained):
        found = taught.kind.predictions(outputs, taught.encoded)
        assert found.dtype == np.float32
        assert found.shape == expected
        assert np.isfinite(found).all()


@pytest.mark.parametrize("batch_size", [1, 64])
def test_predictions_do_not_depend_on_the_company_of_a_batch(
    taught: Taught, backbone: Backbone, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    """An example is predicted alone as among longer ones, but for rounding."""
    monkeypatch.setattr(evaluate, "EVALUATION_BATCH", batch_size)
    kind = taught.kind
    model = task_model(backbone, kind, taught.definition, "houlsby", OPTIONS, 0)
    model.load_tensors(taught.weights)
    found = predict_examples(model, kind, taught.encoded)
    np.testing.assert_allclose(found, taught.predictions, atol=1e-5)


def scored(taught: Taught) -> Iterator[tuple[np.ndarray, Columns, Definition]]:
    """Give predictions, good ones and odd ones, with their examples."""
    kind, definition, columns = taught.kind, taught.definition, taught.columns
    yield taught.predictions, columns, definition
    yield kind.predictions(taught.untrained, taught.encoded), columns, definition
    yield kind.constant_baseline(columns, definition), columns, definition
    yield np.zeros_like(taught.predictions), columns, definition
    alike = {name: tuple(own[:1]) * 7 for name, own in columns.items()}  # every label is the same
    yield kind.constant_baseline(alike, definition), alike, definition
    one = {name: own[-1:] for name, own in columns.items()}
    yield kind.constant_baseline(one, definition), one, definition


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_every_metric_has_its_value_and_its_error(taught: Taught) -> None:
    """Metrics are the scores, none is missing, and errors are numbers even where nothing varies."""
    kind = taught.kind
    for predictions, columns, definition in scored(taught):
        scores = kind.scores(predictions, columns, definition)
        found = kind.metrics(predictions, columns, definition)
        assert kind.metric in scores
        assert {name: one.value for name, one in found.items()} == scores
        rows = len(columns[kind.label.name])
        for one in found.values():
            assert type(one.value) is type(one.standard_error) is float
            assert math.isfinite(one.value)
            assert 0 <= one.standard_error < math.inf
            assert one.count == rows


def test_the_metrics_of_equal_predictions_are_equal(taught: Taught) -> None:
    """A metric with its error, bootstraps and all, is the same every time."""
    arguments = (taught.predictions, taught.columns, taught.definition)
    assert taught.kind.metrics(*arguments) == taught.kind.metrics(*arguments)


def test_predictions_without_inputs_are_the_same_for_every_example(taught: Taught) -> None:
    """They look at no input, and so score no better than any model that learned something."""
    kind, definition = taught.kind, taught.definition
    constant_baseline = kind.constant_baseline(taught.columns, definition)
    assert constant_baseline.dtype == np.float32
    assert constant_baseline.shape == kind.shape(taught.columns, definition)
    assert (constant_baseline == constant_baseline[0]).all()
    scores = kind.scores(constant_baseline, taught.columns, definition)
    shuffled = {name: own[::-1] for name, own in taught.columns.items()}
    assert kind.scores(constant_baseline, shuffled, definition) == pytest.approx(scores)
    tuned = kind.tune(constant_baseline, taught.columns, taught.defined)
    best = kind.scores(taught.predictions, taught.columns, definition)[kind.metric]
    assert kind.scores(constant_baseline, taught.columns, tuned)[kind.metric] < best


def test_what_is_chosen_on_validation_is_never_worse(taught: Taught) -> None:
    """The kind's metric is at least what it is without the choice, and choosing again is idle."""
    kind, columns = taught.kind, taught.columns
    for predictions in (taught.predictions, kind.predictions(taught.untrained, taught.encoded)):
        tuned = kind.tune(predictions, columns, taught.defined)
        before = kind.scores(predictions, columns, taught.defined)[kind.metric]
        assert kind.scores(predictions, columns, tuned)[kind.metric] >= before
        assert kind.tune(predictions, columns, tuned) == tuned
        assert tuned.labels == taught.defined.labels


# Changes


def test_nothing_has_changed_in_equal_predictions(taught: Taught) -> None:
    """Predictions compared with themselves moved by nothing."""
    for predictions, columns, definition in scored(taught):
        found = taught.kind.changes(predictions, predictions.copy(), columns, definition)
        rows = len(columns[taught.kind.label.name])
        assert found.changed.shape == found.margin.shape == found.moved.shape == (rows,)
        assert not found.changed.any()
        assert not found.moved.any()
        assert 1 <= found.scale < np.inf


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_a_change(taught: Taught, broken: float) -> None:
    """A prediction that is no number any more is a change of its example, and no near miss."""
    kind, shape = taught.kind, taught.predictions.shape
    for row in (0, shape[0] - 1):
        for column in range(shape[1]):
            predictions = taught.predictions.copy()
            predictions[row, column] = broken
            found = kind.changes(taught.predictions, predictions, taught.columns, taught.definition)
            place = 0 if row == 0 else -1
            assert found.changed[place]
            assert found.changed.sum() == 1
            assert found.margin[place] == found.moved[place] == np.inf
    kind.scores(np.nan_to_num(predictions), taught.columns, taught.definition)
    kind.answers(np.nan_to_num(predictions), taught.columns, taught.definition)


def test_an_output_that_is_no_number_is_a_prediction_that_is_none(taught: Taught) -> None:
    """A model that gives NaN anywhere an example is read cannot pass for one that predicts."""
    outputs = np.full_like(taught.outputs, np.nan)
    assert not np.isfinite(taught.kind.predictions(outputs, taught.encoded)).all(axis=1).any()


def test_what_is_predicted_differently_is_a_change(taught: Taught) -> None:
    """Whoever gets another answer is found, and only they."""
    kind, columns, definition = taught.kind, taught.columns, taught.definition
    other = kind.predictions(taught.untrained, taught.encoded)
    found = kind.changes(taught.predictions, other, columns, definition)
    before, after = (kind.answers(one, columns, definition) for one in (taught.predictions, other))
    for changed, one, two in zip(found.changed, before, after, strict=True):
        same = {key for key in one if key != "score" and one[key] == two[key]}
        assert changed == (not same.issuperset({"label"}))
    assert found.changed.any()
    assert (found.moved[found.changed] > 0).all()
    assert (found.changed & ~found.within(NOISE * found.scale)).any()


@pytest.mark.slow
def test_a_near_tie_is_told_from_a_change(taught: Taught) -> None:
    """Outputs that cross from one answer to the next by less than rounding are a near miss."""
    kind, columns, definition = taught.kind, taught.columns, taught.definition

    def mixed(share: float) -> np.ndarray:
        outputs = (1 - share) * taught.outputs + share * taught.untrained
        return kind.predictions(outputs.astype(np.float32), taught.encoded)

    first = kind.answers(mixed(0), columns, definition)
    last = kind.answers(mixed(1), columns, definition)
    rows = [row for row, one in enumerate(first) if one["label"] != last[row]["label"]]
    assert rows
    for row in rows[:4]:
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            answer = kind.answers(mixed(middle), columns, definition)[row]
            low, high = (middle, high) if answer["label"] == first[row]["label"] else (low, middle)
        found = kind.changes(mixed(low), mixed(high), columns, definition)
        noise = NOISE * found.scale
        assert not (found.changed & ~found.within(noise)).any()
        assert (found.moved <= noise).all()


def test_credit_is_what_is_right(taught: Taught) -> None:
    """A model that learned earns more than none does, example by example no more than 1, and
    an answer that did not change earns what it did."""
    kind, columns, definition = taught.kind, taught.columns, taught.definition
    rows = len(columns[kind.label.name])
    other = kind.predictions(taught.untrained, taught.encoded)
    earned, less = (
        kind.correctness(one, columns, definition) for one in (taught.predictions, other)
    )
    assert earned.shape == less.shape == (rows,)
    assert earned.max() <= 1
    assert earned.mean() > less.mean()
    same = ~kind.changes(taught.predictions, other, columns, definition).changed
    assert earned[same] == pytest.approx(less[same], abs=1e-3)


def test_a_lead_is_what_it_takes_to_change_an_answer(taught: Taught) -> None:
    """No answer whose lead is more than twice of what moved is another one now."""
    kind, columns, definition = taught.kind, taught.columns, taught.definition
    margins = kind.margins(taught.predictions, columns, definition)
    assert margins.shape == (len(columns[kind.label.name]),)
    assert (margins >= 0).all()
    if not margins.any():
        return  # between numbers there is no boundary
    generator = np.random.default_rng(0)
    nudge = generator.normal(scale=0.3, size=taught.outputs.shape).astype(np.float32)
    now = kind.predictions(taught.outputs + nudge, taught.encoded)
    found = kind.changes(taught.predictions, now, columns, definition)
    assert (margins > 2 * found.moved).any()
    assert not found.changed[margins > 2 * found.moved].any()


def test_every_prediction_is_of_an_example(taught: Taught) -> None:
    """Examples have their rows of predictions in order, each at least one."""
    found = taught.kind.examples_of(taught.columns)
    assert len(found) == len(taught.predictions)
    assert np.unique(found).tolist() == list(range(len(taught.columns[taught.kind.label.name])))
    assert (np.diff(found) >= 0).all()


# Answers


def test_answers_say_what_is_predicted(taught: Taught) -> None:
    """Each example has a label and a score, and all of it can be printed as JSON."""
    for predictions, columns, definition in scored(taught):
        found = taught.kind.answers(predictions, columns, definition)
        assert len(found) == len(columns[taught.kind.label.name])
        for answer in found:
            assert isinstance(answer["label"], str)
            assert type(answer["score"]) is float
            assert math.isfinite(answer["score"])
        assert json.loads(json.dumps(found, allow_nan=False)) == found


def rows_of(taught: Taught) -> list[tuple[Any, ...]]:
    """Return the inputs as a caller of `predict` gives them."""
    return list(zip(*taught.inputs.values(), strict=True))


def test_inputs_are_predicted_as_the_stored_examples_are(
    taught: Taught, backbone: Backbone
) -> None:
    """The same inputs, given by a caller, get the same predictions bit for bit."""
    kind, definition = taught.kind, taught.definition
    columns = kind.parse(rows_of(taught), definition)
    encoded = kind.encode(backbone.tokenizer, columns, definition, 48, labelled=False)
    model = task_model(backbone, kind, definition, "houlsby", OPTIONS, 0)
    model.load_tensors(taught.weights)
    found = predict_examples(model, kind, encoded)
    assert np.array_equal(found, taught.predictions)
    answers = kind.answers(found, columns, definition)
    assert answers == kind.answers(taught.predictions, taught.columns, definition)


@pytest.mark.parametrize("wrong", ["", " \n", None, 5, 0.5, b"text", {}, [], [""], [5], [None]])
def test_inputs_that_are_no_text_are_refused_by_number(taught: Taught, wrong: Any) -> None:
    """Empty texts and what is none are errors with the input's number and the value."""
    good = rows_of(taught)[:2]
    for place in range(len(good[0])):
        row = tuple(wrong if i == place else value for i, value in enumerate(good[0]))
        with pytest.raises(DataError, match=f"input 3 is .*of kind {taught.kind.name!r} takes"):
            taught.kind.parse([*good, row], taught.definition)


def test_inputs_of_a_wrong_number_of_texts_are_refused_by_number(taught: Taught) -> None:
    """One text too few or too many, or none, is an error with the input's number."""
    good = rows_of(taught)[0]
    for row in ((), good[:-1], (*good, "more")):
        with pytest.raises(DataError, match=f"input 2 is .*of kind {taught.kind.name!r} takes"):
            taught.kind.parse([good, row], taught.definition)
    long = ("word " * 9999,) * (len(good) + 1)
    with pytest.raises(DataError) as caught:
        taught.kind.parse([long], taught.definition)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("wrong", ["a\x00b", "a\ud800"])
def test_inputs_that_cannot_be_stored_are_refused_by_number(taught: Taught, wrong: str) -> None:
    """A NUL or half a surrogate pair is an error with the input's number."""
    good = rows_of(taught)[0]
    with pytest.raises(InputError, match=r"input 2, .*NUL"):
        taught.kind.parse([good, (wrong,) * len(good)], taught.definition)


def test_tests_make_rows_of_no_other_kinds() -> None:
    """A kind that is no longer there leaves nothing behind in the tests."""
    assert set(ROWS) <= set(plugins.names("kinds"))


# Combinations


def test_equal_models_combine_to_one_of_them(taught: Taught) -> None:
    """Up to rounding in every output, and so in predictions and answers."""
    outputs = [taught.outputs] * 3
    found = taught.kind.combine(outputs, taught.encoded)
    assert found.dtype == np.float32
    assert found.shape == taught.outputs.shape
    np.testing.assert_allclose(found, taught.outputs, rtol=1e-5, atol=1e-5)


def test_a_combination_is_between_its_models(taught: Taught) -> None:
    """In any order and in float32 it is the same, and it scores no worse than the worse model."""
    outputs = [taught.outputs, taught.untrained]
    found = taught.kind.combine(outputs, taught.encoded)
    assert found.dtype == np.float32
    assert found.shape == taught.outputs.shape
    again = taught.kind.combine(outputs[::-1], taught.encoded)
    np.testing.assert_allclose(found, again, rtol=1e-5, atol=1e-5)
    assert not np.allclose(found, taught.outputs, rtol=1e-3)
    assert not np.allclose(found, taught.untrained, rtol=1e-3)
    score, least = (
        taught.score(taught.kind.predictions(one, taught.encoded))
        for one in (found, taught.untrained)
    )
    assert score >= least


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_model_that_is_broken_breaks_the_combination(taught: Taught, broken: float) -> None:
    """Its NaN or infinity stays visible, where it would be for the model alone."""
    wrong = taught.outputs.copy()
    wrong[: taught.encoded.lengths[0] if taught.kind.per_token else 1] = broken  # one input
    found = taught.kind.combine([taught.outputs, wrong], taught.encoded)
    predictions = taught.kind.predictions(found, taught.encoded)
    assert not np.isfinite(predictions[0]).all()
    assert np.isfinite(predictions[-1]).all()
