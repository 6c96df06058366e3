"""What the routes of a server share: the bank's tasks, the engine, and the server's state."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any, Literal

from starlette.requests import Request

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, BackboneRecord
from taskbank.checks import is_pattern
from taskbank.data.fields import Field
from taskbank.digests import Json
from taskbank.errors import InputError, NotFoundError, TaskbankError, UnreachableError
from taskbank.kinds.kind import input_fields
from taskbank.model.load import load_recorded_backbone
from taskbank.redaction import redacted
from taskbank.serve.comparison import Comparisons
from taskbank.serve.engine import Engine
from taskbank.serve.http.keys import Keys
from taskbank.serve.http.metrics import Metrics
from taskbank.serve.http.one_time_link import OneTimeLink
from taskbank.serve.http.options import BATCH_TOKENS, BATCH_TOKENS_GPU, ServeOptions
from taskbank.serve.http.problems import Problem, limit
from taskbank.serve.http.sessions import Sessions
from taskbank.serve.inputs import input_rows
from taskbank.serve.job import Job
from taskbank.serve.live import LONGEST, LiveTasks
from taskbank.serve.model_cache import ModelCache

INTERVAL = 0.5  # seconds between two looks at what has changed in the bank
MANY = 64  # inputs that are checked in a thread, so that other requests do not wait
MOST_PATTERNS = 100  # of a request: each is compared with every name
CANARY, SHADOW = "canary", "shadow"
Ending = Literal["done", "disconnected", "deadline"]
log = logging.getLogger("taskbank.serve")


class Service:
    """A bank's tasks on one encoder, ready to answer requests.

    Loading the encoder takes seconds. `start` and `stop` surround the time in which requests are
    answered.

    Args:
        bank: an open bank.
        options: what to serve.
        keys: the keys of clients, or the link that opens the pages and nothing else; None means
            that no key is needed.

    Raises:
        InputError: if the bank has no backbone, or several are in use and none was chosen.
        BackboneMismatchError: if the backbone differs from the recorded one.
    """

    def __init__(
        self, bank: Bank, options: ServeOptions, keys: Path | OneTimeLink | None = None
    ) -> None:
        self.bank, self.options = bank, options
        self.keys = Keys(keys) if isinstance(keys, Path) else keys
        recorded = chosen_backbone(bank, options)
        backbone = load_recorded_backbone(bank, recorded, options.backbone, options.device)
        self.backbone = backbone
        self.cache = ModelCache(bank, backbone, options.memory)
        self.tasks = LiveTasks(
            bank,
            fingerprint=recorded.fingerprint,
            patterns=options.tasks,
            alias=options.alias,
        )
        self.metrics = Metrics(
            lambda: self.engine.waiting_rows if self.engine else 0,
            lambda: (len(self.cache), self.cache.bytes),
        )
        self.comparisons = Comparisons()
        self.sessions = Sessions()
        self.engine: Engine | None = None
        self.draining = False
        self.started_at = time.time()
        self._stopped = Event()
        self._follower: Thread | None = None

    @property
    def batch_tokens(self) -> int:
        """Maximum number of tokens of a batch."""
        on_cpu = self.backbone.device.type == "cpu"
        return self.options.max_batch_tokens or (BATCH_TOKENS if on_cpu else BATCH_TOKENS_GPU)

    @property
    def ready(self) -> bool:
        """Whether new requests should be sent here."""
        return self.engine is not None and not self.draining

    def start(self) -> None:
        """Start to answer."""
        self._stopped.clear()
        self.draining = False
        self.engine = Engine(
            self.cache,
            batch_tokens=self.batch_tokens,
            max_rows=self.options.queue,
            deadline=self.options.deadline,
            on_batch=self.metrics.count_batch,
        )
        self._follower = Thread(target=self._follow, name="taskbank-follow", daemon=True)
        self._follower.start()

    def stop(self) -> None:
        """Finish what was begun, and end."""
        self.draining = True
        self._stopped.set()
        if self.engine is not None:
            self.engine.close()
        if self._follower is not None:
            self._follower.join()
        self.engine = None

    def preload(self) -> list[TaskbankError]:
        """Load adapters until the memory is full, and return what is wrong with the others."""
        problems: list[TaskbankError] = []
        after = 0
        while page := self.bank.page(after=after, limit=100):
            after = page[-1].id
            for name in dict.fromkeys(record.task for record in page):
                try:
                    if self.tasks.serves(name):
                        self.cache.give_back(self.cache.borrow(self.tasks.get(name)))
                except NotFoundError:  # not on this encoder, or without the alias
                    continue
                except TaskbankError as error:
                    problems.append(error)
                if self.cache.bytes >= self.options.memory * 0.9:
                    return problems
        return problems

    def _follow(self) -> None:
        bank = keys = ""  # what is wrong with them
        while not self._stopped.wait(INTERVAL):
            before = bank, keys
            bank = _problem(self.tasks.refresh)
            keys = _problem(self.keys.refresh) if self.keys else ""
            self.metrics.bank_reachable.set(not bank)
            if bank and not before[0]:
                log.error("the bank cannot be followed: %s", bank)
            elif before[0] and not bank:
                log.warning("the bank can be read again")
            if keys and not before[1]:
                log.error("the keys stay as they were: %s", keys)

    # What requests ask for

    async def record(self, ref: str) -> AdapterRecord:
        """Return the version that a reference means now.

        Raises:
            NotFoundError: if there is none, or it is not served.
            DamagedError: if its rows differ from what was recorded.
        """
        found = self.tasks.find(ref)
        return await asyncio.to_thread(self.tasks.get, ref) if found is None else found

    async def records(
        self, patterns: Sequence[str]
    ) -> tuple[list[AdapterRecord], dict[str, TaskbankError]]:
        """Return the versions that names and patterns of tasks mean now.

        Returns:
            the versions, and why tasks that match a pattern have none.

        Raises:
            NotFoundError: if a name means none, or nothing matches.
            DamagedError: if the rows of a named task differ from what was recorded.
            Problem: if there are too many patterns, or too long ones.
        """
        found: dict[str, AdapterRecord] = {}
        problems: dict[str, TaskbankError] = {}
        wild = {one for one in patterns if is_pattern(one)}
        if len(wild) > MOST_PATTERNS or any(len(one) > LONGEST for one in wild):
            raise limit(
                413,
                "pattern",
                f"the request has {len(wild):,} patterns: at most {MOST_PATTERNS} of at most "
                f"{LONGEST} characters are allowed; name the tasks, or send fewer at once",
            )
        names = await asyncio.to_thread(self.bank.tasks) if wild else ()
        for pattern in dict.fromkeys(patterns):
            if pattern not in wild:
                record = await self.record(pattern)
                found[record.ref] = record
                continue
            for name in await asyncio.to_thread(fnmatch.filter, names, pattern):
                try:
                    record = await self.record(name)
                except NotFoundError:  # on another encoder, or without the alias
                    continue
                except TaskbankError as error:
                    problems[name] = error
                else:
                    found[record.ref] = record
        if not found and not problems:
            raise NotFoundError(
                f"no task that is served matches {', '.join(patterns)[:200]!r}: see /v1/tasks"
            )
        return list(found.values()), problems

    async def job(self, ref: str, inputs: Any, request: Request) -> Job:
        """Return a job for one task's inputs of a request.

        Args:
            ref: the task; a plain name may be answered by its canary.
            inputs: the inputs, as `taskbank.serve.inputs.input_rows` accepts them; an input may
                also be an object with the names of its fields.
            request: the request.

        Raises:
            NotFoundError: if there is no such task.
            DataError: if the inputs do not suit it.
            Problem: if there are more inputs than allowed.
        """
        record = await self.record(ref)
        record = await self._canary(ref, record, request)
        shadow = await self._shadow(ref, record)
        if isinstance(inputs, list) and len(inputs) > MANY:
            return await asyncio.to_thread(self._job, record, shadow, inputs)
        return self._job(record, shadow, inputs)

    def _job(self, record: AdapterRecord, shadow: AdapterRecord | None, inputs: Any) -> Job:
        kind = plugins.load("kinds", record.kind)
        fields = input_fields(kind, record.definition)
        if isinstance(inputs, list):
            self.check_rows(len(inputs))
        rows = input_rows(_without_names(inputs, fields), fields)
        return Job(record, rows, None if shadow is None else _shadow_job(shadow, rows))

    async def _canary(self, ref: str, record: AdapterRecord, request: Request) -> AdapterRecord:
        """Return the version to answer with: the canary for its share of the requests."""
        if not self.options.canary or "@" in ref:
            return record
        try:
            canary = await self.record(f"{ref}@{CANARY}")
        except (NotFoundError, UnreachableError):  # what is loaded goes on being served
            return record
        key = request.headers.get("x-taskbank-key") or request.state.request_id
        share = int.from_bytes(hashlib.sha256(f"{ref} {key}".encode()).digest()[:6]) / 2**48
        return canary if share < self.options.canary else record

    async def _shadow(self, ref: str, record: AdapterRecord) -> AdapterRecord | None:
        if not self.options.shadow or "@" in ref:
            return None
        try:
            shadow = await self.record(f"{ref}@{SHADOW}")
        except TaskbankError:  # the answer does not depend on it
            return None
        return None if shadow.version == record.version else shadow

    async def predict(self, jobs: Sequence[Job], request: Request) -> None:
        """Wait until jobs are done.

        Raises:
            DamagedError: if a task cannot be loaded, or its outputs are not finite.
            OverloadedError: if too many rows are waiting.
            Problem: if the deadline passes, or there are more tokens than allowed.
        """
        for error in await self.predict_each(jobs, request):
            if error is not None:
                raise error

    async def predict_each(
        self, jobs: Sequence[Job], request: Request, *, counted: bool = True
    ) -> list[BaseException | None]:
        """Wait until jobs are done, and return what went wrong with each.

        Args:
            jobs: the jobs.
            request: the request that they belong to.
            counted: whether they count as answers of their tasks.

        Raises:
            OverloadedError: if too many rows are waiting.
            Problem: if the deadline passes, or there are more tokens than allowed.
        """
        self._check_tokens(jobs)
        if self.engine is None:
            raise Problem(503, "not-ready", "the server is not ready", {"retry-after": "1"})
        self.engine.submit(jobs)
        try:
            ending = await self._ending(jobs, request)
        finally:
            for job in jobs:
                job.future.cancel()
        if ending == "deadline":
            self.metrics.dropped.labels("deadline").inc()
            raise Problem(
                504,
                "deadline",
                f"the request was not answered within {self.options.deadline:g} s, "
                "--deadline: send fewer inputs at once, or try again later",
                {"retry-after": "1"},
            )
        if ending == "disconnected":
            self.metrics.dropped.labels("disconnected").inc()
            raise Problem(408, "disconnected", "the client closed the connection")
        request.state.jobs = jobs
        errors = [job.future.exception() for job in jobs]
        for job, error in zip(jobs, errors, strict=True):
            if error is None and counted:
                self._count(job)
        return errors

    async def _ending(self, jobs: Sequence[Job], request: Request) -> Ending:
        """Wait until jobs are done, the client is gone or the deadline has passed."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Ending] = loop.create_future()
        left = len(jobs)

        def end(how: Ending) -> None:
            if not ended.done():
                ended.set_result(how)

        def count_down() -> None:
            nonlocal left
            left -= 1
            if not left:
                end("done")

        def tell(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(count_down)

        for job in jobs:
            job.future.add_done_callback(tell)
        gone = asyncio.ensure_future(request.receive())
        gone.add_done_callback(lambda _: end("disconnected"))
        timer = loop.call_later(self.options.deadline, end, "deadline")
        try:
            return await ended
        finally:
            timer.cancel()
            gone.cancel()

    def _count(self, job: Job) -> None:
        record = job.record
        self.metrics.count_rows(record.task, record.version, len(job.rows), job.spent.waiting)
        if job.shadow is not None:
            job.shadow.future.add_done_callback(lambda _: self._compare(job))

    def check_room(self) -> None:
        """Raise if not even one more row may wait: known before a request is read.

        Raises:
            OverloadedError: if too many rows are waiting.
        """
        if self.engine is not None:
            self.engine.check_room(1)

    def check_rows(self, count: int) -> None:
        """Raise if a request may not have so many rows.

        Raises:
            Problem: naming the limit.
        """
        if count > self.options.max_rows:
            raise limit(
                413,
                "row",
                f"the request has {count:,} rows: at most {self.options.max_rows:,} are allowed, "
                "--max-rows; send fewer at once",
            )

    def _check_tokens(self, jobs: Sequence[Job]) -> None:
        tokens = sum(
            _tokens(row, None if job.kind.per_token else job.record.training["max_length"])
            for job in jobs
            for row in job.rows
        )
        if tokens > self.options.max_tokens:
            raise limit(
                413,
                "token",
                f"the request may have {tokens:,} tokens: at most {self.options.max_tokens:,} are "
                "allowed, --max-tokens; send fewer inputs at once",
            )

    def _compare(self, job: Job) -> None:
        shadow = job.shadow
        if shadow is None or shadow.future.cancelled() or shadow.future.exception():
            return
        agreeing = self.comparisons.add(job, shadow)
        self.metrics.count_compared(job.record.task, agreeing, len(job.rows))


def chosen_backbone(bank: Bank, options: ServeOptions) -> BackboneRecord:
    """Return the recorded backbone that a server serves.

    Raises:
        InputError: if the bank has no backbone, or its tasks use several.
    """
    backbones = bank.backbones()
    if not backbones:
        raise InputError("the bank has no backbone: run taskbank init --backbone SPEC first")
    if len(backbones) == 1:
        return backbones[0]
    in_use = [one for one in backbones if len(bank.adapters(backbone=one.fingerprint, newest=1))]
    if len(in_use) == 1:
        return in_use[0]
    named = [
        one for one in backbones if options.backbone and one.identity.is_from(options.backbone)
    ]
    if named:
        return named[-1]
    specs = ", ".join(one.identity.spec for one in in_use or backbones)
    raise InputError(
        f"the bank's tasks use several backbones: {specs}. A server has one: choose it with "
        "--backbone SPEC"
    )


def _problem(refresh: Callable[[], None]) -> str:
    """Return what is wrong with a source that is looked at again and again."""
    try:
        refresh()
    except TaskbankError as error:
        return redacted(str(error))
    except Exception as error:  # whatever it is, the next look may find it gone
        return type(error).__name__
    return ""


def _shadow_job(record: AdapterRecord, rows: Sequence[tuple[Json, ...]]) -> Job | None:
    try:
        return Job(record, rows)
    except TaskbankError:  # it takes other inputs
        return None


def _tokens(row: tuple[Json, ...], longest: int | None) -> int:
    """Return the number of tokens that an input may have; None if it may become several inputs."""
    count = sum(len(value) if isinstance(value, str) else sum(map(len, value)) for value in row)
    return count if longest is None else min(count, longest)


def _without_names(inputs: Any, fields: Sequence[Field]) -> Any:
    """Return inputs with objects such as {"question": …, "context": …} as lists of their values."""
    if isinstance(inputs, dict):
        inputs = [inputs]
    if not isinstance(inputs, list) or not any(isinstance(one, dict) for one in inputs):
        return inputs
    names = [field.name for field in fields]
    values = []
    for number, one in enumerate(inputs, 1):
        if isinstance(one, dict):
            if sorted(one) != sorted(names):
                raise InputError(
                    f"input {number} has the keys {', '.join(sorted(map(str, one)))[:80]!r}: it "
                    f"needs {', '.join(names)}"
                )
            one = tuple(one[name] for name in names)
        values.append(one)
    return values
