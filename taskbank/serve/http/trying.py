"""Answers what a visitor tries on a page, with the engine that answers everybody.

One version, several tasks or all of them answer in one mixed batch. What is tried is not counted
as an answer of a task, and no canary or shadow takes part: the page says which version answered.
"""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.requests import Request

from taskbank.bank.records import AdapterRecord
from taskbank.checks import is_pattern
from taskbank.errors import InputError, NotFoundError, TaskbankError
from taskbank.pages.inputs import fields_of, inputs_for, title_of
from taskbank.pages.leave_out import effects, first_words, without, words_of
from taskbank.pages.nearest import Nearest, nearest
from taskbank.pages.try_page import ALL, OFFERED, TryPage, answer_of
from taskbank.pages.why import why
from taskbank.serve.http.problems import Problem, problem_of
from taskbank.serve.http.service import Service
from taskbank.serve.job import Job
from taskbank.serve.live import LONGEST

TASKS = 100  # that answer together
Skipped = tuple[tuple[str, str], ...]


async def empty_page(service: Service, task: str) -> TryPage:
    """Return the page before anything was asked.

    Args:
        service: the service.
        task: the task, or a pattern of tasks; empty means all.

    Raises:
        NotFoundError: if there is no such task, or it is not served.
        DamagedError: if the rows of the task differ from what was recorded.
    """
    task = task or ALL
    record = None if is_pattern(task) else await service.record(task)
    return TryPage(task, await _offered(service), inputs_for(record, ()))


async def answered_page(
    service: Service, request: Request, form: Mapping[str, str]
) -> tuple[TryPage, Problem | None]:
    """Return the page with the answers, and what went wrong.

    Args:
        service: the service.
        request: the request.
        form: the fields of the page's form.
    """
    task = form.get("task", "").strip() or ALL
    values = [form.get(name, "").replace("\r\n", "\n") for name in ("input1", "input2")]
    page = TryPage(task, await _offered(service), inputs_for(None, values))
    try:
        records, skipped, remark = await _records(service, task)
        if len(records) == 1:
            page = replace(page, inputs=inputs_for(records[0], values))
            return await _ask_one(service, request, page, records[0]), None
        page = replace(page, skipped=skipped, remark=remark)
        return await _ask_many(service, request, page, records), None
    except (Problem, TaskbankError) as error:
        problem = error if isinstance(error, Problem) else problem_of(error)
        if problem.status == 429:
            service.metrics.dropped.labels("overloaded").inc()
        return replace(page, problem=problem.detail), problem


async def _offered(service: Service) -> tuple[str, ...]:
    names = await asyncio.to_thread(service.bank.tasks)
    return tuple(name for name in names if service.tasks.serves(name))[:OFFERED]


async def _records(service: Service, task: str) -> tuple[list[AdapterRecord], Skipped, str]:
    """Return the versions that answer, tasks that cannot and why, and what is left out."""
    if not is_pattern(task):
        return [await service.record(task)], (), ""
    if len(task) > LONGEST:
        raise InputError(f"the pattern of tasks has {len(task):,} characters: shorten it")
    names = fnmatch.filter(await asyncio.to_thread(service.bank.tasks), task)
    names = [name for name in names if service.tasks.serves(name)]
    records: list[AdapterRecord] = []
    skipped: list[tuple[str, str]] = []
    for name in names[:TASKS]:
        try:
            records.append(await service.record(name))
        except NotFoundError:  # on another encoder, or without the alias
            continue
        except TaskbankError as error:
            skipped.append((name, problem_of(error).detail))
    if not records and not skipped:
        raise NotFoundError(f"no task that is served matches {task[:80]!r}: see the list of tasks")
    left = len(names) - TASKS
    remark = f"Only the first {TASKS} of {len(names):,} tasks were asked: use a pattern."
    return records, tuple(skipped), remark if left > 0 else ""


async def _ask_many(
    service: Service, request: Request, page: TryPage, records: Sequence[AdapterRecord]
) -> TryPage:
    values = [one.value for one in page.inputs]
    jobs: list[Job] = []
    skipped = list(page.skipped)
    if not values[0].strip():
        raise InputError("there is nothing to try: write a text")
    for record in records:
        try:
            jobs.append(Job(record, [_row(record, values)]))
        except TaskbankError as error:
            skipped.append((record.ref, problem_of(error).detail))
    if not jobs:
        raise InputError("none of the tasks takes such an input: fill in the second text, too")
    answers = []
    failures = await service.predict_each(jobs, request, counted=False)
    for job, failure in zip(jobs, failures, strict=True):
        if failure is None:
            found = job.predictions[0].to_json()
            answers.append(answer_of(job.record, job.rows[0], found))
        elif isinstance(failure, TaskbankError):
            skipped.append((job.record.ref, problem_of(failure).detail))
        else:
            raise failure
    return replace(page, answers=tuple(answers), skipped=tuple(skipped))


async def _ask_one(
    service: Service, request: Request, page: TryPage, record: AdapterRecord
) -> TryPage:
    row = _row(record, [one.value for one in page.inputs])
    words = words_of(row)
    left_out = first_words(words, row, service.options.max_rows - 1)
    job = Job(record, [row, *(without(row, word) for word in left_out)])
    for failure in await service.predict_each([job], request, counted=False):
        if failure is not None:
            raise failure
    # Also of a withheld answer it is worth knowing which words move it.
    found, *others = [
        prediction.to_json() | {"label": prediction.best_label} for prediction in job.predictions
    ]
    unit = float(record.definition.settings.get("std", 1.0)) if "value" in found else 1.0
    answer = answer_of(record, row, job.predictions[0].to_json())
    page = replace(
        page,
        answers=(answer,),
        why=why(record, row, answer.label, effects(found, left_out, others, unit), len(words)),
    )
    try:
        return replace(page, nearest=await asyncio.to_thread(_nearest, service, record.ref, row))
    except TaskbankError as error:  # the answer is shown all the same
        return replace(page, no_nearest=problem_of(error).detail)


def _nearest(service: Service, ref: str, row: Sequence[str]) -> Nearest | None:
    return nearest(service.bank, service.bank[ref], row)


def _row(record: AdapterRecord, values: Sequence[str]) -> tuple[str, ...]:
    """Return the input that a version takes from what was typed.

    Raises:
        InputError: if it needs a text that was left empty.
    """
    fields = fields_of(record)
    for field, value in zip(fields, values, strict=False):
        if not value.strip():
            raise InputError(f"{record.ref} needs a {title_of(field)}: write one")
    return tuple(values[: len(fields)])
