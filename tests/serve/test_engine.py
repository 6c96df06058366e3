"""The engine: right answers in any batch, fair turns, bounded queues, and counters that return."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.bank.records import AdapterRecord
from taskbank.data.tokenization import MIN_CACHED_TEXTS
from taskbank.errors import DamagedError, DataError, OverloadedError
from taskbank.kinds.definition import Definition
from taskbank.model.load import encode_for
from taskbank.model.stored_model import StoredModel
from taskbank.serve import engine as module
from taskbank.serve.engine import BatchReport, Engine
from taskbank.serve.job import TURN_ROWS, Job
from taskbank.serve.model_cache import ModelCache
from taskbank.serve.predictor import Predictor
from tests.helpers.adapters import new_adapter, put_model
from tests.helpers.models import ensemble, put_moved, texts
from tests.helpers.serving import put_nan, put_version

TASKS = ("alpha", "beta", "gamma", "delta")
WAIT = 20.0
pytestmark = pytest.mark.usefixtures("cores")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory, backbone: Backbone) -> Iterator[Bank]:
    """A bank with four tasks, and one whose outputs are NaN."""
    place = tmp_path_factory.mktemp("engine") / "bank.db"
    with create_bank(f"sqlite:///{place}") as bank:
        for name in TASKS:
            put_moved(bank, backbone, name)
        put_version(bank, backbone, "alpha", 50)
        put_nan(bank, bank["alpha@1"], "nan")
        yield bank


@pytest.fixture(params=[1, 2], ids=["one-core", "two-cores"])
def cores(request: pytest.FixtureRequest) -> Iterator[int]:
    """The number of cores: with two, two threads compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


class Gate:
    """Holds the computing thread after each batch until it is opened, and remembers the batches."""

    def __init__(self) -> None:
        self.reports: list[BatchReport] = []
        self.busy, self.opened = Event(), Event()

    def __call__(self, report: BatchReport) -> None:
        """Be what an engine calls after each batch."""
        self.reports.append(report)
        self.busy.set()
        self.opened.wait(WAIT)


@contextmanager
def running(
    bank: Bank,
    backbone: Backbone,
    *,
    memory: int = 1 << 28,
    on_batch: Callable[[BatchReport], None] = lambda _: None,
    **options: Any,
) -> Iterator[Engine]:
    """Run an engine, and expect all its counters to return to nothing."""
    settings = {"batch_tokens": 256, "max_rows": 100_000, "deadline": 60.0, **options}
    engine = Engine(ModelCache(bank, backbone, memory), on_batch=on_batch, **settings)
    try:
        yield engine
    finally:
        engine.close()
    assert engine.waiting_rows == 0
    assert not engine._ahead
    assert not engine._pinned
    assert not engine._waiting
    assert not engine._ready


def job_of(record: AdapterRecord, count: int, seed: int = 0, shadow: Any = None) -> Job:
    """Return a job of some texts."""
    rows = [(text,) for text in texts(count, seed)]
    return Job(record, rows, None if shadow is None else Job(shadow, rows))


def check(bank: Bank, jobs: Sequence[Job]) -> None:
    """Compare the answers of jobs with those of `taskbank predict`."""
    predictor = Predictor(bank)
    for job in jobs:
        expected = predictor.predict(job.record.ref, [row[0] for row in job.rows])
        for found, wanted in zip(job.future.result(WAIT).predictions, expected, strict=True):
            assert (found.text, found.label) == (wanted.text, wanted.label)
            assert found.score == pytest.approx(wanted.score, abs=1e-5)
            assert found.truncated == wanted.truncated


def test_answers_equal_those_of_predict(tasks: Bank, backbone: Backbone) -> None:
    """Jobs of several tasks and sizes that are computed together get the answers of each alone."""
    jobs = [job_of(tasks[name], 1 + 7 * number, number) for number, name in enumerate(TASKS)]
    with running(tasks, backbone) as engine:
        engine.submit(jobs)
        check(tasks, jobs)
    assert all(job.spent.computing > 0 for job in jobs)


def test_one_text_for_many_tasks_is_one_batch_per_thread(
    tasks: Bank, backbone: Backbone, cores: int
) -> None:
    """The same input of several tasks is computed in one batch, or one of each thread."""
    gate = Gate()
    gate.opened.set()
    rows = [("the film was good",)]
    jobs = [Job(tasks[name], rows) for name in TASKS]
    with running(tasks, backbone, on_batch=gate) as engine:
        for job in jobs:
            engine.cache.give_back(engine.cache.borrow(job.record))
        engine.submit(jobs)
        check(tasks, jobs)
    assert sum(one.rows for one in gate.reports) == 4
    assert max(one.tasks for one in gate.reports) == 4 // cores


@pytest.mark.slow
def test_one_row_does_not_wait_for_ten_thousand(
    tasks: Bank, backbone: Backbone, cores: int
) -> None:
    """A row that comes while 10,000 of another task wait is in its thread's next batch but one."""
    gate = Gate()
    large, small = job_of(tasks["alpha"], 10_000), job_of(tasks["beta"], 1)
    with running(tasks, backbone, on_batch=gate) as engine:
        engine.submit([large])
        assert gate.busy.wait(WAIT)
        engine.submit([small])
        deadline = time.monotonic() + WAIT
        while not engine._ready._waiting.get("beta") and time.monotonic() < deadline:
            time.sleep(0.005)
        batches: list[int] = []
        small.future.add_done_callback(lambda _: batches.append(len(gate.reports)))
        gate.opened.set()
        small.future.result(WAIT)
        assert batches[0] <= 1 + 2 * cores
        assert not large.future.done()
        large.future.cancel()
    assert len(gate.reports) < 20  # what nobody wants is not computed


def test_rows_of_loaded_tasks_do_not_wait_for_a_store_that_hangs(
    tasks: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While adapters of other tasks are being loaded, a task in memory is answered."""
    hanging, loading = Event(), Event()
    real = ModelCache.borrow

    def borrow(cache: ModelCache, record: AdapterRecord) -> StoredModel:
        if record.task != "alpha":
            loading.set()
            hanging.wait(WAIT)
        return real(cache, record)

    monkeypatch.setattr(ModelCache, "borrow", borrow)
    cold = [job_of(tasks[name], 40, seed) for seed, name in enumerate(TASKS[1:])]
    with running(tasks, backbone) as engine:
        engine.cache.give_back(engine.cache.borrow(tasks["alpha"]))
        engine.submit(cold)
        assert loading.wait(WAIT)
        warm = [job_of(tasks["alpha"], 5, seed) for seed in range(3)]
        engine.submit(warm)
        check(tasks, warm)
        assert not any(job.future.done() for job in cold)
        hanging.set()
        check(tasks, cold)


def test_requests_of_one_task_take_turns(tasks: Bank, backbone: Backbone) -> None:
    """A small request is done before a large one of the same task that came earlier."""
    large, small = job_of(tasks["alpha"], 600), job_of(tasks["alpha"], 2, 1)
    done: list[Job] = []
    for job in (large, small):
        job.future.add_done_callback(lambda future: done.append(future.result()))
    with running(tasks, backbone) as engine:
        engine.submit([large, small])
    assert done == [small, large]


def test_too_many_rows_are_refused_at_once(tasks: Bank, backbone: Backbone) -> None:
    """A full queue refuses all of a request, says why and when to come again, and recovers."""
    gate = Gate()
    first = job_of(tasks["alpha"], 1)
    with running(tasks, backbone, on_batch=gate, max_rows=10) as engine:
        engine.submit([first])
        assert gate.busy.wait(WAIT)
        fitting = job_of(tasks["alpha"], 9)
        engine.submit([fitting])
        refused = [job_of(tasks["alpha"], 1), job_of(tasks["beta"], 1)]
        with pytest.raises(OverloadedError, match="at most 10 rows may wait") as caught:
            engine.submit(refused)
        assert caught.value.retry_after >= 1
        assert engine.waiting_rows == 10
        gate.opened.set()
        fitting.future.result(WAIT)
        engine.submit(refused)
        check(tasks, refused)


def test_slow_first_batches_refuse_nobody(tasks: Bank, backbone: Backbone) -> None:
    """A batch that had only one row to compute says nothing of how many could be computed."""

    def slow(_report: BatchReport) -> None:
        time.sleep(0.05)

    with running(tasks, backbone, on_batch=slow, deadline=0.5) as engine:
        job = job_of(tasks["alpha"], 1)
        engine.submit([job])
        job.future.result(WAIT)
        assert all(lane.rate == 0 for lane in engine._lanes)


def test_a_cancelled_job_is_not_computed(tasks: Bank, backbone: Backbone) -> None:
    """Rows whose client is gone are skipped, wherever they are."""
    gate = Gate()
    first = job_of(tasks["alpha"], 1)
    with running(tasks, backbone, on_batch=gate) as engine:
        engine.submit([first])
        assert gate.busy.wait(WAIT)
        jobs = [job_of(tasks[name], 20, seed) for seed, name in enumerate(TASKS)]
        engine.submit(jobs)
        for job in jobs[1:]:
            job.future.cancel()
        assert engine.waiting_rows == len(jobs[0].rows) + len(first.rows)
        gate.opened.set()
        check(tasks, [jobs[0]])
    assert sum(report.rows for report in gate.reports) <= 1 + 20


def test_nan_is_an_error_of_its_task_alone(tasks: Bank, backbone: Backbone) -> None:
    """A task whose outputs are NaN fails; the others of its batch are answered."""
    jobs = [job_of(tasks["nan"], 3), job_of(tasks["alpha"], 3), job_of(tasks["nan"], 30)]
    with running(tasks, backbone) as engine:
        engine.submit(jobs)
        for job in (jobs[0], jobs[2]):
            with pytest.raises(DamagedError, match="NaN or infinity for input 1"):
                job.future.result(WAIT)
        check(tasks, [jobs[1]])


def test_a_failing_model_fails_alone(
    tasks: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that cannot be loaded, or raises while it computes, fails only its own jobs."""
    real = ModelCache.borrow

    class Failing(torch.nn.Module):
        def forward(self, *_: Any) -> torch.Tensor:
            raise ValueError("no head")

    def model(cache: ModelCache, record: AdapterRecord) -> StoredModel:
        if record.task == "beta":
            raise DamagedError("beta's tensors are missing")
        loaded = real(cache, record)
        if record.task == "gamma":
            loaded.head = Failing()
        return loaded

    monkeypatch.setattr(ModelCache, "borrow", model)
    jobs = [job_of(tasks[name], 40, seed) for seed, name in enumerate(TASKS)]
    with running(tasks, backbone) as engine:
        engine.submit(jobs)
        with pytest.raises(DamagedError, match="missing"):
            jobs[1].future.result(WAIT)
        with pytest.raises(ValueError, match="no head"):
            jobs[2].future.result(WAIT)
        check(tasks, [jobs[0], jobs[3]])


def test_a_defect_while_tokenising_ends_no_thread(
    tasks: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong there, the jobs that had it get the error, and the next are answered."""

    def fail(*_: Any) -> None:
        raise KeyError("a defect")

    with running(tasks, backbone) as engine:
        job = job_of(tasks["alpha"], 3)
        with monkeypatch.context() as patch:
            patch.setattr(engine, "_encode", fail)
            engine.submit([job])
            with pytest.raises(KeyError):
                job.future.result(WAIT)
        other = job_of(tasks["alpha"], 3)
        engine.submit([other])
        check(tasks, [other])


def test_an_input_without_tokens_fails_alone(tasks: Bank, backbone: Backbone) -> None:
    """An input that the tokenizer refuses fails its job, not those that it is tokenised with."""
    real = encode_for

    def refuse(record: AdapterRecord, loaded: Backbone, columns: Any) -> Any:
        if "bad" in columns["text"]:
            raise DataError("row 1 has no tokens")
        return real(record, loaded, columns)

    jobs = [Job(tasks["alpha"], [(text,)]) for text in ("good", "bad", "film")]
    with pytest.MonkeyPatch.context() as patch, running(tasks, backbone) as engine:
        patch.setattr(module, "encode_for", refuse)
        engine.submit(jobs)
        with pytest.raises(DataError):
            jobs[1].future.result(WAIT)
        check(tasks, [jobs[0], jobs[2]])


def test_a_shadow_never_affects_the_answer(
    tasks: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shadow is computed beside its job; one that fails only fails itself."""
    old, new = tasks["alpha@1"], tasks["alpha@2"]
    good = job_of(old, 40, shadow=new)
    nan = job_of(old, 40, 1, shadow=tasks["nan"])
    with running(tasks, backbone) as engine:
        engine.submit([good, nan])
        check(tasks, [good, nan])
        assert good.shadow is not None
        assert nan.shadow is not None
        check(tasks, [good.shadow])
        with pytest.raises(DamagedError):
            nan.shadow.future.result(WAIT)
        real = ModelCache.borrow

        def model(cache: ModelCache, record: AdapterRecord) -> StoredModel:
            if record.version == 2:
                raise DamagedError("the shadow's tensors are missing")
            return real(cache, record)

        monkeypatch.setattr(ModelCache, "borrow", model)
        lost = job_of(old, 40, 2, shadow=new)
        engine.submit([lost])
        check(tasks, [lost])
        assert lost.shadow is not None
        with pytest.raises(DamagedError):
            lost.shadow.future.result(WAIT)


def test_closing_finishes_what_was_submitted(tasks: Bank, backbone: Backbone) -> None:
    """An engine that is closed while it is busy answers every job first."""
    jobs = [job_of(tasks[name], 50, seed) for seed, name in enumerate(TASKS)]
    with running(tasks, backbone) as engine:
        engine.submit(jobs)
    assert all(job.future.done() for job in jobs)
    check(tasks, jobs)


@pytest.mark.slow
def test_closing_ends_although_clients_are_gone(tasks: Bank, backbone: Backbone) -> None:
    """An engine ends at once if the rows that wait are no longer wanted, whoever finds that out."""
    record = tasks["alpha"]
    for turn in range(30):
        engine = Engine(
            ModelCache(tasks, backbone), batch_tokens=64, max_rows=100_000, deadline=60.0
        )
        job = job_of(record, 300)
        engine.submit([job])
        time.sleep(0.001 * (turn % 8))
        job.future.cancel()
        closing = Thread(target=engine.close, daemon=True)
        closing.start()
        closing.join(WAIT / 4)
        assert not closing.is_alive(), f"closing hangs in turn {turn}"


@pytest.mark.slow
def test_few_models_are_in_use_if_memory_is_small(tasks: Bank, backbone: Backbone) -> None:
    """With memory for hardly one adapter, one at a time is in use, and all jobs are answered."""
    gate = Gate()
    gate.opened.set()
    jobs = [job_of(tasks[name], 5, seed) for seed, name in enumerate(TASKS * 5)]
    with running(tasks, backbone, memory=1, on_batch=gate) as engine:
        first = job_of(tasks["alpha"], 1)
        engine.submit([first])
        first.future.result(WAIT)
        gate.reports.clear()
        engine.submit(jobs)
        check(tasks, jobs)
    assert {report.tasks for report in gate.reports} == {1}


def test_what_clients_send_is_not_cached_on_the_disk() -> None:
    """The texts that are tokenised together are fewer than those whose tokens are kept in files."""
    assert module.TURNS * TURN_ROWS < MIN_CACHED_TEXTS


def test_inputs_that_become_several_are_told_apart(
    tasks: Bank, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If tokenising returns another number of inputs than were given, jobs are kept apart."""
    real = encode_for
    calls: list[int] = []

    def odd(record: AdapterRecord, loaded: Backbone, columns: Any) -> Any:
        calls.append(len(columns["text"]))
        if len(columns["text"]) > 1:
            columns = {"text": [*columns["text"], "one more"]}
        return real(record, loaded, columns)

    monkeypatch.setattr(module, "encode_for", odd)
    jobs = [Job(tasks["alpha"], [(text,)]) for text in ("good film", "bad day")]
    with running(tasks, backbone) as engine:
        engine.submit(jobs)
        check(tasks, jobs)


def test_long_contexts_are_answered(own: Bank, backbone: Backbone) -> None:
    """Inputs that become many windows get the answers of `taskbank predict`."""
    record = _put_span(own, backbone)
    rows = [("who was good?", " ".join(texts(40, seed))) for seed in range(5)]
    job = Job(record, rows)
    with running(own, backbone) as engine:
        engine.submit([job])
        expected = Predictor(own).predict(record.ref, rows)
        found = job.future.result(WAIT).predictions
    assert [one.label for one in found] == [one.label for one in expected]
    np.testing.assert_allclose(
        [one.score for one in found], [one.score for one in expected], atol=1e-5
    )


def _put_span(bank: Bank, backbone: Backbone) -> AdapterRecord:
    from safetensors.torch import save

    from taskbank.kinds.span import SPAN
    from taskbank.model.task_model import task_model
    from taskbank.specs import MethodSpec, TrainingSpec

    definition = Definition((), {"unanswerable": True, "null_threshold": 0.0})
    model = task_model(backbone, SPAN, definition, "houlsby", {"size": 4}, 3)
    method = new_adapter().method
    return bank.put(
        new_adapter(
            "answers",
            kind="span",
            backbone=backbone.identity,
            method=MethodSpec("houlsby", {**method.options, "size": 4}),
            training=TrainingSpec(max_length=32),
            definition=definition,
            weights=save({k: v.contiguous() for k, v in model.trained_tensors().items()}),
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize("memory", [1, 1 << 28])
def test_many_clients_at_once(tasks: Bank, backbone: Backbone, memory: int) -> None:
    """Whatever is cancelled, fails, or has a shadow: the rest is right and nothing is left over."""
    jobs: list[Job] = []

    def client(seed: int) -> None:
        chance = random.Random(seed)
        for turn in range(20):
            record = tasks[chance.choice([*TASKS, "nan"])]
            shadow = tasks["alpha@2"] if record.task == "alpha" else None
            job = job_of(record, chance.choice([1, 1, 2, 20, 60]), seed * 100 + turn, shadow)
            engine.submit([job])
            jobs.append(job)
            if chance.random() < 0.3:
                time.sleep(0.01 * chance.random())
                job.future.cancel()

    with running(tasks, backbone, memory=memory) as engine:
        clients = [Thread(target=client, args=(seed,)) for seed in range(5)]
        for one in clients:
            one.start()
        for one in clients:
            one.join()
    answered = []
    for job in jobs:
        try:
            answered.append(job.future.result(WAIT))
        except CancelledError:
            continue
        except DamagedError:
            assert job.record.task == "nan"
    assert not {"nan"} & {job.record.task for job in answered}
    check(tasks, answered)


def test_a_row_of_an_ensemble_counts_once_per_member(own: Bank, backbone: Backbone) -> None:
    """The tokens of a batch are those that are computed, and the answers those of `predict`."""
    put_moved(own, backbone, "mood")
    put_model(own, "moods", ensemble(backbone, "houlsby", range(3), size=4), {"size": 4})
    reports: list[BatchReport] = []
    with running(own, backbone, on_batch=reports.append) as engine:
        for name in ("mood", "moods"):
            job = job_of(own[name], 5)
            engine.submit([job])
            check(own, [job])
    tokens = [report.tokens for report in reports]
    assert sum(report.rows for report in reports) == 10
    assert sum(tokens) == (1 + 3) * min(tokens)
