"""The contract that every kind keeps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from taskbank import plugins
from taskbank.errors import DataError
from taskbank.kinds.kind import Kind


@pytest.fixture(params=plugins.names("kinds"))
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind in turn."""
    found: Kind = plugins.load("kinds", request.param)
    return found


def test_a_kind_goes_by_its_own_name(kind: Kind) -> None:
    """The name in the table is the name that is recorded."""
    assert plugins.load("kinds", kind.name) is kind


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["b", "a", "b"], ("a", "b")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["10", "9", "x"], ("10", "9", "x")),
        (["1.5 stars", "2.5 stars"], ("1.5 stars", "2.5 stars")),
        (["9" * 5000, "1"], ("1", "9" * 5000)),
    ],
)
def test_classes_are_in_the_order_people_expect(
    kind: Kind, labels: list[str], expected: tuple[str, ...]
) -> None:
    """Names sort as text, whole numbers as numbers."""
    assert kind.label_space(labels, "here") == expected


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["a", "a"], "every label of here is 'a'"),
        (["0.5", "1"], "fractions such as 0.5"),
        (["1e-3", "nan"], "fractions such as 1e-3"),
        (["1", "-inf"], "fractions such as -inf"),
        (["a", "b", "a "], "'a' and 'a ' of here differ only in the space"),
        (["x" * 999] * 2, "every label of here is '[x]{40}'…"),
        ([f"id {i}" for i in range(30)], "label of its own"),
    ],
)
def test_labels_that_make_no_task_are_refused(kind: Kind, labels: list[str], says: str) -> None:
    """One class, fractions, and a label a row are errors that say so."""
    with pytest.raises(DataError, match=says):
        kind.label_space(labels, "here")


def test_an_unknown_label_is_named_with_its_row(kind: Kind) -> None:
    """A class that train lacks is an error with row, value and the known classes."""
    assert kind.targets(["b", "a"], ("a", "b"), "here").tolist() == [1, 0]
    with pytest.raises(DataError, match=r"row 2 of here has the label 'c'.*'a', 'b'"):
        kind.targets(["a", "c"], ("a", "b"), "here")


def test_a_head_is_seeded_small_and_of_the_right_shape(kind: Kind) -> None:
    """A head depends on its generator alone and starts from a cut normal and zero biases."""
    heads = [kind.head(64, 5, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert heads[0].weight.shape == (kind.outputs(5), 64)
    assert torch.equal(heads[0].weight, heads[1].weight)
    assert not torch.equal(heads[0].weight, heads[2].weight)
    assert heads[0].weight.abs().max() <= 0.04
    assert not heads[0].bias.any()


def test_probabilities_are_a_stable_softmax(kind: Kind) -> None:
    """Large logits neither overflow nor stop summing to one."""
    found = kind.probabilities(np.array([[1000.0, 999.0], [-1000.0, 0.0]], dtype=np.float32))
    assert found.sum(axis=1) == pytest.approx([1, 1])
    assert found[0, 0] == pytest.approx(1 / (1 + math.exp(-1)))


def test_the_loss_is_that_of_the_right_classes(kind: Kind) -> None:
    """Equal logits cost the logarithm of the number of classes."""
    loss = kind.loss(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]))
    assert loss.item() == pytest.approx(math.log(3))


def test_metrics_are_counted_and_carry_their_error(kind: Kind) -> None:
    """Accuracy, its binomial error, and scikit-learn's macro F1."""
    targets = np.array([0, 0, 1, 2])
    logits = np.eye(3)[[0, 1, 1, 2]]
    found = kind.metrics(logits, targets)
    assert found["accuracy"].value == 0.75
    assert found["accuracy"].standard_error == pytest.approx(math.sqrt(0.75 * 0.25 / 4))
    assert found["f1_macro"].value == f1_score(targets, [0, 1, 1, 2], average="macro")
    assert {one.count for one in found.values()} == {4}
    assert kind.metric in found


def test_the_error_of_f1_is_what_resampling_examples_gives(kind: Kind) -> None:
    """The quick bootstrap over cells agrees with a plain one over examples."""
    generator = np.random.default_rng(1)
    targets = generator.integers(0, 4, 400)
    logits = np.eye(4)[np.where(generator.random(400) < 0.7, targets, (targets + 1) % 4)]
    predicted = logits.argmax(axis=1)
    plain = []
    for _ in range(400):
        rows = generator.integers(0, 400, 400)
        plain.append(f1_score(targets[rows], predicted[rows], average="macro"))
    found = kind.metrics(logits, targets)["f1_macro"].standard_error
    assert found == pytest.approx(np.std(plain), rel=0.2)
