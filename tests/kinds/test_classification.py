"""Classification: labels, F1, the loss and its weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss, matthews_corrcoef
from sklearn.utils.class_weight import compute_class_weight

from taskbank.errors import DataError, InputError
from taskbank.kinds.definition import Definition
from taskbank.kinds.logits import softmax
from taskbank.kinds.single import SINGLE


@pytest.mark.parametrize("labels", [("a", "b"), ("a", "b", "c")])
def test_only_two_classes_have_a_positive_one(labels: tuple[str, ...]) -> None:
    """None is missing where there is none, and none is there where F1 is of no one class."""
    columns = {"text": ("x",), "label": ("a",)}
    SINGLE.check(columns, Definition(labels), "here")
    if len(labels) == 2:
        SINGLE.check(columns, Definition(labels, {"positive": "b"}), "here")
        labels = ("a",)
    for wrong in ("b", None):
        with pytest.raises(DataError, match="the setting 'positive' is "):
            SINGLE.check(columns, Definition(labels, {"positive": wrong}), "here")


def test_an_unknown_label_is_named_with_its_row() -> None:
    """A class that train lacks is an error with row, value and the known classes."""
    definition = Definition(("a", "b"))
    SINGLE.check({"label": ["b", "a"]}, definition, "here")
    assert SINGLE.targets({"label": ["b", "a"]}, definition).tolist() == [1, 0]
    with pytest.raises(DataError, match=r"row 2 of here has the label 'c'.*'a', 'b'"):
        SINGLE.check({"label": ["a", "c"]}, definition, "here")


def test_f1_is_about_the_class_that_was_asked_for() -> None:
    """Of two classes the last is the positive one, unless another was named; of more, none is."""
    assert SINGLE.define({"label": ["n", "y"]}, "here", {}).settings == {"positive": "y"}
    assert SINGLE.define({"label": ["n", "y"]}, "here", {"positive": "n"}).settings == {
        "positive": "n"
    }
    assert SINGLE.define({"label": ["a", "b", "c"]}, "here", {}).settings == {}
    for labels in (["n", "y"], ["a", "b", "c"]):
        with pytest.raises(InputError, match=rf"positive is 'x': .* here has '{labels[0]}', '"):
            SINGLE.define({"label": labels}, "here", {"positive": "x"})


def test_an_adapter_from_before_there_was_f1_is_scored_without() -> None:
    """A task without the setting has the other metrics, and passes its check."""
    columns, old = {"label": ["a", "b"]}, Definition(("a", "b"))
    SINGLE.check(columns, old, "here")
    assert "f1" not in SINGLE.scores(np.eye(2, dtype=np.float32), columns, old)
    with pytest.raises(DataError, match="'positive' is 'c'"):
        SINGLE.check(columns, Definition(("a", "b"), {"positive": "c"}), "here")


def test_the_loss_is_that_of_the_right_classes() -> None:
    """Equal logits cost the logarithm of the number of classes."""
    loss = SINGLE.loss(torch.zeros(4, 3), {"targets": torch.tensor([0, 1, 2, 0])}, None)
    assert loss.item() == pytest.approx(math.log(3))


@pytest.mark.parametrize("classes", [2, 4])
def test_metrics_are_those_of_scikit_learn(classes: int) -> None:
    """Accuracy, F1, macro F1, Matthews' coefficient and the log loss agree to the last digits."""
    generator = np.random.default_rng(classes)
    names = tuple("abcd"[:classes])
    targets = generator.integers(0, classes, 300)
    logits = generator.normal(size=(300, classes)).astype(np.float32)
    logits[np.arange(300), targets] += 1
    columns = {"label": [names[target] for target in targets]}
    found = SINGLE.metrics(logits, columns, SINGLE.define(columns, "here", {}))
    predicted = logits.argmax(axis=1)
    expected = {
        "accuracy": accuracy_score(targets, predicted),
        "f1_macro": f1_score(targets, predicted, average="macro"),
        "matthews": matthews_corrcoef(targets, predicted),
        "log_loss": log_loss(targets, softmax(logits)),
    }
    if classes == 2:
        expected["f1"] = f1_score(targets, predicted)
    assert {name: one.value for name, one in found.items()} == pytest.approx(expected, abs=1e-12)
    share = expected["accuracy"]
    assert found["accuracy"].standard_error == pytest.approx(math.sqrt(share * (1 - share) / 300))
    if classes == 2:
        other = SINGLE.define(columns, "here", {"positive": "a"})
        value = SINGLE.scores(logits, columns, other)["f1"]
        assert value == pytest.approx(f1_score(targets, predicted, pos_label=0))


def test_errors_are_what_resampling_examples_gives() -> None:
    """The quick bootstrap over cells agrees with a plain one over examples."""
    generator = np.random.default_rng(1)
    names = np.array(["a", "b"])
    targets = generator.integers(0, 2, 400)
    logits = np.eye(2)[np.where(generator.random(400) < 0.7, targets, 1 - targets)]
    logits = (logits + generator.normal(scale=0.1, size=(400, 2))).astype(np.float32)
    definition = Definition(("a", "b"), {"positive": "b"})
    plain = []
    for _ in range(200):
        rows = generator.integers(0, 400, 400)
        columns = {"label": names[targets[rows]].tolist()}
        plain.append(SINGLE.scores(logits[rows], columns, definition))
    found = SINGLE.metrics(logits, {"label": names[targets].tolist()}, definition)
    assert {name: one.standard_error for name, one in found.items()} == {
        name: pytest.approx(np.std([one[name] for one in plain]), rel=0.2) for name in plain[0]
    }


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    """Every class counts alike: the weights of `compute_class_weight("balanced")`."""
    labels = ["a"] * 70 + ["b"] * 25 + ["c"] * 5
    definition = SINGLE.define({"label": labels}, "here", {})
    expected = compute_class_weight("balanced", classes=np.array(["a", "b", "c"]), y=labels)
    found = SINGLE.balance({"label": labels}, definition)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    logits = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    told = {"targets": torch.from_numpy(SINGLE.targets({"label": labels}, definition))}
    weighted = SINGLE.loss(logits, told, torch.from_numpy(found))
    by_class = [
        SINGLE.loss(logits[a:b], {"targets": told["targets"][a:b]}, None)
        for a, b in ((0, 70), (70, 95), (95, 100))
    ]
    assert weighted.item() == pytest.approx(torch.stack(by_class).mean().item(), rel=1e-5)


def test_a_class_that_flips_at_a_tie_is_a_change_by_nothing() -> None:
    """A flip between two classes has the margin by which the reference preferred the first."""
    reference = np.array([[1.0, 1.0 - 1e-6, -3.0], [2.0, 0.0, 0.0]], dtype=np.float32)
    now = np.array([[1.0, 1.0 + 1e-6, -3.0], [0.0, 2.0, 0.0]], dtype=np.float32)
    found = SINGLE.changes(reference, now, {}, Definition(("a", "b", "c")))
    assert found.changed.tolist() == [True, True]
    assert found.margin == pytest.approx([1e-6, 2], abs=1e-7)
    assert found.moved == pytest.approx([1e-6, 2], abs=1e-6)
