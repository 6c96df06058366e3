"""The page of a task: its versions beside a baseline, its aliases, trials and verifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, AliasRecord, ResultSummary, TrialRecord
from taskbank.checks import check_text
from taskbank.digests import Json, canonical_json
from taskbank.errors import NotFoundError
from taskbank.pages.charts import Chart, score_chart
from taskbank.pages.scores import Score, comparable, score_of

VERSIONS = 100  # the newest that are shown
RESULTS = 50  # verifications, and trials, that are shown
PRODUCTION = "production"


@dataclass(frozen=True)
class VersionRow:
    """A version in the table of versions.

    Attributes:
        version: its number.
        aliases: the aliases that point at it.
        retired: whether it is retired.
        score: its score.
        difference: its score minus that of the baseline; None for the baseline, and where the two
            are not values of one metric.
        same_examples: whether it was scored on the examples of the baseline.
        method: the adaptation method.
        options: the options that differ between the versions shown, by name.
        bytes: size of its weights.
        created_at: when it was recorded.
        tags: its tags.
        verified: its newest result; None if it was never verified.
    """

    version: int
    aliases: tuple[str, ...]
    retired: bool
    score: Score
    difference: float | None
    same_examples: bool
    method: str
    options: tuple[tuple[str, str], ...]
    bytes: int
    created_at: str
    tags: tuple[tuple[str, str], ...]
    verified: ResultSummary | None


@dataclass(frozen=True)
class Live:
    """What a server counts of a task.

    Attributes:
        answered: number of answered inputs by version, since the server started.
        canary: share of the requests that the alias `canary` answers; 0 if there is none.
        shadow: whether the alias `shadow` is computed beside each answer.
        comparisons: how the answers of shadows differ, as `Comparison.to_json` has it.
    """

    answered: Mapping[int, int]
    canary: float
    shadow: bool
    comparisons: Sequence[Mapping[str, Json]]


@dataclass(frozen=True)
class TaskPage:
    """What the page shows.

    Attributes:
        task: the task's name.
        kind: its kind.
        description: the newest version's description.
        labels: number of classes.
        baseline: the version that the others are compared with.
        versions: the versions, newest first.
        more: whether there are older versions.
        same_metric: whether all scores are values of one metric on a split of one name.
        chart: the score over versions; None if they have different metrics.
        aliases: changes of aliases, newest first.
        trials: the newest trials.
        trial_count: number of trials.
        results: the newest results of verifications of these versions.
        live: what the server counts; None without a server.
    """

    template: ClassVar[str] = "task.html"

    task: str
    kind: str
    description: str
    labels: int
    baseline: int
    versions: tuple[VersionRow, ...]
    more: bool
    same_metric: bool
    chart: Chart | None
    aliases: tuple[AliasRecord, ...]
    trials: tuple[TrialRecord, ...]
    trial_count: int
    results: tuple[ResultSummary, ...]
    live: Live | None

    @property
    def current(self) -> str:
        """The full name of the version in production, or else of the newest one in use."""
        rows = [row for row in self.versions if PRODUCTION in row.aliases]
        rows += [row for row in self.versions if not row.retired]
        return f"{self.task}@{(rows or self.versions)[0].version}"

    @property
    def title(self) -> str:
        """The page's title."""
        return self.task


def task_page(
    bank: Bank, task: str, *, baseline: int | None = None, live: Live | None = None
) -> TaskPage:
    """Return what the page of a task shows.

    Args:
        bank: an open bank.
        task: the task's name.
        baseline: the version to compare with; None means that in production, or else the first.
        live: what a server counts of the task.

    Raises:
        InputError: if the name has characters that no database holds.
        NotFoundError: if the task does not exist, or has no such version.
        DamagedError: if a row differs from what was recorded.
    """
    history = bank.aliases(check_text(task, "task name"))
    aliases = bank.current_aliases([task]).get(task, {})
    found = bank.adapters(task=task, retired=True, newest=VERSIONS + 1)
    if not found:
        raise NotFoundError(
            f"every version of task {task!r} was destroyed by gc: add one with taskbank add-task "
            f"{task} --new-version"
        )
    records = list(found[-VERSIONS:])
    base = _baseline(bank, records, aliases, baseline)
    scores = {record.version: score_of(record) for record in records}
    results = bank.verification_log.recent_results(
        [(task, record.version) for record in records], each=RESULTS
    )
    newest = {result.version: result for result in results}
    differing = _differing([_options(record) for record in records])
    rows = tuple(
        VersionRow(
            record.version,
            tuple(alias for alias, version in aliases.items() if version == record.version),
            record.retired,
            scores[record.version],
            _difference(scores[record.version], score_of(base), record, base),
            _scored_examples(record) == _scored_examples(base),
            record.method,
            tuple((n, v) for n, v in _options(record).items() if n in differing),
            record.bytes,
            record.created_at,
            tuple(record.tags.items()),
            newest.get(record.version),
        )
        for record in reversed(records)
    )
    same = comparable(scores.values())
    trials = bank.trials(task)
    return TaskPage(
        task,
        records[-1].kind,
        records[-1].description,
        len(records[-1].labels),
        base.version,
        rows,
        len(found) > VERSIONS,
        same,
        _chart(records, scores) if same else None,
        tuple(reversed(history)),
        tuple(reversed(trials[-RESULTS:])),
        len(trials),
        tuple(reversed(results[-RESULTS:])),
        live,
    )


def _baseline(
    bank: Bank, records: Sequence[AdapterRecord], aliases: Mapping[str, int], wanted: int | None
) -> AdapterRecord:
    number = aliases.get(PRODUCTION) if wanted is None else wanted
    if number is None:
        return records[0]
    known = {record.version: record for record in records}
    return known.get(number) or bank[f"{records[0].task}@{number}"]


def _difference(
    score: Score, base: Score, record: AdapterRecord, baseline: AdapterRecord
) -> float | None:
    if record.version == baseline.version or not comparable((score, base)):
        return None
    return score.value - base.value


def _scored_examples(record: AdapterRecord) -> str | None:
    return next((one.digest for one in record.splits if one.name == record.split), None)


def _options(record: AdapterRecord) -> dict[str, str]:
    """Return the options of a version and of its training, as text."""
    values: dict[str, Any] = {"method": record.method, **record.options, **record.training}
    return {name: value if isinstance(value, str) else canonical_json(value)
            for name, value in values.items()}  # fmt: skip


def _differing(options: Sequence[Mapping[str, str]]) -> set[str]:
    """Return the names of the options that are not alike everywhere; the method has a column."""
    names = {name for one in options for name in one} - {"method"}
    return {name for name in names if len({one.get(name) for one in options}) > 1}


def _chart(records: Sequence[AdapterRecord], scores: Mapping[int, Score]) -> Chart | None:
    points = []
    for record in records:
        score = scores[record.version]
        error = score.standard_error or 0.0
        words = f"version {record.version}: {score.value:.4f} ± {error:.4f}"
        low, high = score.value - error, score.value + error
        points.append((f"@{record.version}", score.value, low, high, words))
    first = scores[records[0].version]
    description = f"{first.metric} on {first.split} by version, with standard errors"
    return score_chart(points, description)
