"""Many tasks at once give what each gives alone, and share what they have in common."""

from __future__ import annotations

import json
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import taskbank
from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.cli.main import run
from taskbank.data.encoded import Encoded
from taskbank.data.tokenization import encode
from taskbank.errors import DamagedError, DataError, NotFoundError
from taskbank.kinds.single import SINGLE
from taskbank.kinds.tagging import TAGGING
from taskbank.model import mixed_batch as together
from taskbank.model.load import model_of
from taskbank.model.mixed_batch import Asked, predict_mixed
from taskbank.model.predict import predict_outputs
from taskbank.model.task_model import TaskModel, task_model
from taskbank.runtime.prefetch import prefetch
from taskbank.serve import predictor
from taskbank.serve.model_cache import ModelCache
from taskbank.serve.predictor import Predictor
from tests.backbone.test_forward import CLOSE, moved, texts
from tests.helpers.making import DEFINITION, put_model


def encoded_of(backbone: Backbone, count: int, seed: int = 0) -> Encoded:
    """Return some encoded sentences."""
    return encode(backbone.tokenizer, {"text": texts(count, seed)}, ("text",), 16)


def layers_seen(backbone: Backbone, layer: int) -> tuple[list[int], Any]:
    """Return a list that gets the number of tokens whenever a layer is computed, and its hook."""
    seen: list[int] = []
    module = backbone.model.get_submodule(f"{backbone.layer(layer)}.attention")
    return seen, module.register_forward_hook(lambda _m, given, _o: seen.append(given[0].shape[1]))


def check(backbone: Backbone, asked: list[Asked]) -> None:
    """Raise unless tasks give together what each gives alone."""
    for one, found in zip(asked, predict_mixed(backbone, asked), strict=True):
        alone = predict_outputs(one.model, one.encoded)
        assert found.dtype == np.float32
        torch.testing.assert_close(torch.from_numpy(found), torch.from_numpy(alone), **CLOSE)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("tokens", [1, 100, 4096])
def test_tasks_of_every_kind_of_change_give_together_what_each_gives_alone(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch, shared: bool, tokens: int
) -> None:
    """All methods, layers, sizes, and heads on texts and on tokens, over the same texts or each
    its own, in batches of any size."""
    monkeypatch.setattr(together, "TOKENS", tokens)
    models = [moved(backbone, name, seed) for seed, name in enumerate(plugins.names("methods"))]
    models += [
        moved(backbone, "houlsby", 20, size=3, layers="top:1"),
        moved(backbone, "lora", 21, layers="top:1"),
        moved(backbone, "pfeiffer", 22, kind=TAGGING, layers="1"),
        moved(backbone, "houlsby", 23, kind=TAGGING),
    ]
    inputs = [
        encoded_of(backbone, 6 if shared else 1 + n % 5, 0 if shared else n) for n in range(50)
    ]
    check(backbone, [Asked(m, e) for m, e in zip(models, inputs, strict=False)])


def test_a_backbone_that_needs_padding_computes_each_task_alone(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where texts cannot be laid end to end, the outputs are the same."""
    asked = [Asked(moved(backbone, "houlsby", n), encoded_of(backbone, 3, n)) for n in range(3)]
    expected = predict_mixed(backbone, asked)
    monkeypatch.setattr(backbone, "packs", False)
    monkeypatch.setattr(backbone.model.config, "_attn_implementation", "sdpa")
    for one, other in zip(predict_mixed(backbone, asked), expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(one), torch.from_numpy(other), **CLOSE)


def test_what_tasks_have_in_common_is_computed_once_a_text(backbone: Backbone) -> None:
    """Twenty tasks that adapt the top layer read the same texts: the layer below sees each token
    once, the top one twenty times."""
    models = [moved(backbone, "houlsby", seed, size=4, layers="top:1") for seed in range(20)]
    encoded = [encoded_of(backbone, 5) for _ in models]  # equal, and not the same object
    below, hook = layers_seen(backbone, 0)
    above, other = layers_seen(backbone, 1)
    predict_mixed(backbone, [Asked(m, e) for m, e in zip(models, encoded, strict=True)])
    hook.remove()
    other.remove()
    tokens = int(encoded[0].offsets[-1])
    assert sum(below) == tokens
    assert sum(above) == 20 * tokens


def test_texts_of_tasks_that_adapt_every_layer_are_not_raised_for_others(
    backbone: Backbone,
) -> None:
    """States are only computed of the texts that some task needs them of."""
    asked = [
        Asked(moved(backbone, "houlsby", 0, size=4), encoded_of(backbone, 9, 0)),
        Asked(moved(backbone, "houlsby", 1, size=4, layers="top:1"), encoded_of(backbone, 2, 1)),
    ]
    below, hook = layers_seen(backbone, 0)
    predict_mixed(backbone, asked)
    hook.remove()
    assert sum(below) == sum(int(one.encoded.offsets[-1]) for one in asked)


# In memory


def put(bank: Bank, backbone: Backbone, task: str, **options: Any) -> AdapterRecord:
    """Record a task with weights of its own."""
    options = {"size": 4, **options}
    seed = len(bank)
    return put_model(bank, task, moved(backbone, "houlsby", seed, **options), options)


def test_adapters_are_loaded_once_and_let_go_of_by_bytes(bank: Bank, backbone: Backbone) -> None:
    """The adapters used last stay, as many as the bytes allow; one that is gone is loaded anew."""
    records = [put(bank, backbone, name) for name in "abc"]
    size = sum(tensor.nbytes for tensor in records[0].state_dict().values())
    loaded = ModelCache(backbone, memory=2 * size)
    first, second = loaded.model(records[0]), loaded.model(records[1])
    assert loaded.model(records[0]) is first
    loaded.model(records[2])
    assert len(loaded) == 2
    assert loaded.model(records[0]) is first
    assert loaded.model(records[1]) is not second
    tiny = ModelCache(backbone, memory=0)
    assert [tiny.model(record) for record in records]
    assert len(tiny) == 1


def test_the_command_keeps_no_more_adapters_than_it_computes_with(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many tasks are asked, those of two rounds are in memory, and one more."""
    for number in range(12):
        put(bank, backbone, f"task-{number}")
    models: weakref.WeakSet[TaskModel] = weakref.WeakSet()
    most = 0

    def load(record: AdapterRecord, on: Backbone) -> TaskModel:
        nonlocal most
        model = model_of(record, on)
        models.add(model)
        most = max(most, len(models))
        return model

    monkeypatch.setattr("taskbank.serve.model_cache.model_of", load)
    monkeypatch.setattr(predictor, "TASKS", 2)
    assert run(["--bank", bank.url, "predict", "--task", "*", "good day"]) == 0
    assert 2 < most <= 2 * 2 + 1


def test_a_loaded_adapter_is_made_of_the_tensors_that_were_read(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored tensors become the model's own: no value is copied, and none is drawn before."""
    tensors = {n: t.clone() for n, t in moved(backbone, "houlsby", 0).trained().items()}
    state = torch.random.get_rng_state()
    monkeypatch.setattr(torch.nn.init, "trunc_normal_", None)
    model = task_model(backbone, SINGLE, DEFINITION, "houlsby", {}, None)
    model.take_over(tensors)
    assert torch.equal(torch.random.get_rng_state(), state)
    own = model.trained()
    assert all(own[name].data_ptr() == tensor.data_ptr() for name, tensor in tensors.items())


@pytest.mark.parametrize("method", plugins.names("methods"))
def test_every_method_loads_without_drawing_values(backbone: Backbone, method: str) -> None:
    """A model that was made of stored tensors alone gives what the one gives that they are of."""
    first = moved(backbone, method, 3)
    tensors = {name: tensor.clone() for name, tensor in first.trained().items()}
    second = task_model(backbone, SINGLE, DEFINITION, method, {}, None).eval()
    second.take_over(tensors)
    encoded = encoded_of(backbone, 5)
    assert (predict_outputs(second, encoded) == predict_outputs(first, encoded)).all()


def test_adapters_are_loaded_from_many_threads(bank: Bank, backbone: Backbone) -> None:
    """Eight threads that ask for more tasks than fit get the right ones, and the bytes hold."""
    records = [put(bank, backbone, name) for name in "abcde"]
    wanted = {one.task: one.state_dict()["head.weight"] for one in records}
    loaded = ModelCache(backbone, memory=3 * 4 * records[0].parameters)

    def use(turn: int) -> bool:
        record = records[turn % len(records)]
        return torch.equal(loaded.model(record).head.weight, wanted[record.task])

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(use, range(200)))
    assert len(loaded) == 3


# The tasks of a bank


def test_a_predictor_answers_many_tasks_as_each_alone(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same texts for all tasks or other texts for each, in blocks, in order, by any name."""
    monkeypatch.setattr(predictor, "BLOCK", 3)
    monkeypatch.setattr(predictor, "TASKS", 2)
    for name, layers in (("a", "all"), ("b", "top:1"), ("c", "top:1")):
        put(bank, backbone, name, layers=layers)
    bank.alias("b@1", "live")
    given = texts(7)
    many = Predictor(bank)
    asked = [("a", given), ("b@live", given), ("c@1", given[:2]), ("a", given[:4])]
    found = many.predict_many(asked)
    for (ref, inputs), answers in zip(asked, found, strict=True):
        alone = taskbank.predict(bank, ref, inputs)
        assert [one["text"] for one in answers] == inputs
        for one, other in zip(answers, alone, strict=True):
            assert one.keys() == other.keys()
            assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)


def test_the_backbone_is_loaded_once(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Further questions load neither the backbone nor an adapter again."""
    put(bank, backbone, "a")
    many = Predictor(bank)
    first = many.predict("a", ["good day"])
    monkeypatch.setattr(predictor, "load_recorded", None)
    monkeypatch.setattr("taskbank.serve.model_cache.model_of", None)
    assert many.predict("a", ["good day"]) == first


def test_bad_inputs_are_refused_before_the_backbone_is_loaded(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that is not there, no text, or a text that is blank is said at once."""
    put(bank, backbone, "a")
    monkeypatch.setattr(predictor, "load_recorded", None)
    many = Predictor(bank)
    with pytest.raises(NotFoundError, match="'b'"):
        many.predict_many([("a", ["good"]), ("b", ["good"])])
    with pytest.raises(DataError, match="nothing to predict"):
        many.predict_many([("a", [])])
    with pytest.raises(DataError, match="input 2 is ' '"):
        many.predict_many([("a", ["good", " "])])


def test_outputs_that_are_no_numbers_are_named_by_task_and_input(
    bank: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several tasks the one whose weights are broken is named, and which of its inputs."""
    monkeypatch.setattr(predictor, "BLOCK", 2)
    put(bank, backbone, "a")
    model = moved(backbone, "houlsby", 9, size=4)
    record = put_model(bank, "b", model, {"size": 4})
    many = Predictor(bank)
    many.predict("b", ["good"])
    head = many._load(record.backbone).model(record).head
    head.weight.data[:] = float("nan")
    with pytest.raises(DamagedError, match=r"b@1 predicts what is no number for input 1: run"):
        many.predict_many([("a", texts(5)), ("b", texts(5))])


def test_many_tasks_are_asked_on_the_command_line(
    bank: Bank, backbone: Backbone, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`--task` takes patterns and names; answers come by text, in tables and as JSON."""
    for name in ("ticket-a", "ticket-b", "other"):
        put(bank, backbone, name)

    def said(*arguments: str, code: int = 0) -> str:
        assert run(["--bank", bank.url, "predict", *arguments]) == code
        captured = capsys.readouterr()
        return captured.err if code else captured.out

    found = json.loads(said("--task", "ticket-*", "good day", "bad", "--json"))
    assert [(one["task"], one["text"]) for one in found] == [
        ("ticket-a@1", "good day"),
        ("ticket-b@1", "good day"),
        ("ticket-a@1", "bad"),
        ("ticket-b@1", "bad"),
    ]
    assert len(json.loads(said("--task", "*", "good", "--json"))) == 3
    assert len(json.loads(said("--task", "other@1", "--task", "ticket-?", "good", "--json"))) == 3
    assert "ticket-b@1" in said("--task", "*", "good day")
    (tmp_path / "texts.txt").write_text("good\nbad\n")
    assert len(json.loads(said("--task", "*", "--file", "texts.txt", "--json"))) == 6
    assert "no task is named like 'x*'" in said("--task", "x*", "good", code=2)
    assert "say which task" in said(code=2)
    assert "one of the two" in said("--task", "*", code=2)


def test_tasks_that_take_other_inputs_are_left_out_and_named(
    mood: Bank, data: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of all tasks those that take one text are asked; a pair is left out, and it is said."""
    taskbank.add_task(
        mood, "same", str(data / "pairs.jsonl"), kind="pair", training={"epochs": 1}, verify="none"
    )
    assert run(["--bank", mood.url, "predict", "--task", "*", "good day", "--json"]) == 0
    captured = capsys.readouterr()
    assert [one["task"] for one in json.loads(captured.out)] == ["mood@1"]
    assert "left out, as an input of theirs is another: same" in captured.err


# One ahead


def test_the_next_thing_is_made_while_the_one_before_is_used() -> None:
    """Making runs one thing ahead, in another thread, and keeps the order."""
    made: list[int] = []
    started = threading.Event()

    def make(number: int) -> int:
        made.append(number)
        if number == 1:
            started.set()
        assert threading.current_thread() is not threading.main_thread()
        return number * 10

    found = []
    for one in prefetch(make, range(4)):
        if one == 0:
            assert started.wait(5)
        found.append(one)
    assert found == [0, 10, 20, 30]
    assert made == [0, 1, 2, 3]
    assert list(prefetch(make, [])) == []


def test_what_making_raises_is_raised_where_it_is_asked_for() -> None:
    """What came before is given first."""

    def make(number: int) -> int:
        return 1 // number

    found = prefetch(make, [1, 0, 1])
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)
