"""The page that compares two versions, or two verifications of one: A and B."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, MetricRecord, ResultSummary
from taskbank.checks import check_text
from taskbank.errors import TaskbankError
from taskbank.kinds.intervals import Interval, difference_interval
from taskbank.pages.common_examples import Side
from taskbank.pages.paired_evidence import AskedPairs, PairedEvidence, read_pairs
from taskbank.pages.scores import Score, score_of
from taskbank.pages.version import recorded_groups, texts_of
from taskbank.verify.significance import SIGNIFICANCE_LEVEL

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

SETTINGS = ("Options", "Training", "Data", "Backbone", "Task", "Environment")
RESULTS = 1000  # verifications of a version that are looked through
# What is counted of answers, by the type of the kind's label.
COUNTED = {
    "class": "answers",
    "classes": "labels",
    "tags": "tags of words",
    "answers": "words of the answers",
}


@dataclass(frozen=True)
class SideView:
    """What is shown of one of the two.

    Attributes:
        ref: the version's full name.
        task: the task's name.
        verification: the verification whose predictions are compared; None means the reference.
        score: the version's recorded score.
        method: the adaptation method.
        aliases: the aliases that point at it.
        retired: whether it is retired.
        created_at: when it was recorded.
    """

    ref: str
    task: str
    verification: int | None
    score: Score
    method: str
    aliases: tuple[str, ...]
    retired: bool
    created_at: str

    @property
    def name(self) -> str:
        """What sentences call it."""
        if self.verification is None:
            return self.ref
        return f"{self.ref} in verification {self.verification}"


@dataclass(frozen=True)
class SettingRow:
    """A recorded setting of both; None where one has no such setting."""

    group: str
    name: str
    first: str | None
    second: str | None

    @property
    def differs(self) -> bool:
        """Whether the two are not alike."""
        return self.first != self.second


@dataclass(frozen=True)
class ComparePage:
    """What the page shows.

    Attributes:
        a: the first reference, as it was asked for; empty if none was.
        b: the second one.
        sides: both; empty as long as two are not chosen.
        settings: the recorded settings of both; the environment is that of the predictions.
        every_setting: whether those that are alike are shown too.
        evidence: what both answer to the same examples; None if nothing can be compared.
        problem: why nothing can be compared; None if it can.
        apart: the 95 % interval of the difference between scores on different examples; None
            unless that is all that can be said.
        known: results of the verifications that were asked for.
        same_backbone: whether both have one backbone.
    """

    template: ClassVar[str] = "compare.html"

    a: str
    b: str
    sides: tuple[SideView, ...] = ()
    settings: tuple[SettingRow, ...] = ()
    every_setting: bool = False
    evidence: PairedEvidence | None = None
    problem: str | None = None
    apart: Interval | None = None
    known: tuple[ResultSummary, ...] = ()
    same_backbone: bool = True

    @property
    def title(self) -> str:
        """The page's title."""
        if not self.sides:
            return "Compare"
        return f"{self.sides[0].name} | {self.sides[1].name}"

    @property
    def differing(self) -> int:
        """Number of settings that differ."""
        return sum(row.differs for row in self.settings)

    @property
    def verdict(self) -> str:
        """What the paired test says, for people who do not know tests."""
        found = self.evidence
        if found is None:
            return ""
        first, second = (side.name for side in self.sides)
        if self.sides[0] == self.sides[1]:
            return f"Both are {first}."
        tested = found.paired
        if not tested.worse and not tested.better:
            return (
                f"Every one of the {tested.examples:,} answers is as right in one as in the other."
            )
        better = tested.difference > 0
        if found.numeric:
            said = (
                f"The mean error of {second} is {-tested.after:.4g}, that of {first} "
                f"{-tested.before:.4g}: {abs(tested.difference):.3g} "
                f"{'less' if better else 'more'} (95 % interval of the change: "
                f"{_signed(-tested.interval[1], '.3g')} to {_signed(-tested.interval[0], '.3g')})."
            )
        else:
            said = (
                f"{second} gets {tested.after:.1%} of the {COUNTED[found.label_type]} right, "
                f"{first} {tested.before:.1%}: {100 * abs(tested.difference):.1f} points "
                f"{'more' if better else 'less'} (95 % interval of the change: "
                f"{_signed(100 * tested.interval[0], '.1f')} to "
                f"{_signed(100 * tested.interval[1], '.1f')} points)."
            )
        shown = "less than 0.001" if tested.p_value < 0.001 else f"{tested.p_value:.2g}"
        if tested.p_value < SIGNIFICANCE_LEVEL and tested.difference:
            meaning = f"{second} is {'better' if better else 'worse'}"
        else:
            meaning = f"these {tested.examples:,} examples do not show which is better"
        return (
            f"{said} If neither were better, chance would make a difference this large with a "
            f"probability of {shown}: {meaning}."
        )


def compare_page(
    bank: Bank,
    a: str,
    b: str,
    *,
    verifications: tuple[int | None, int | None] = (None, None),
    asked: AskedPairs = AskedPairs(),  # noqa: B008 - frozen
    every_setting: bool = False,
) -> ComparePage:
    """Return what the page shows.

    Args:
        bank: an open bank.
        a: the baseline: `NAME@VERSION` or `NAME@ALIAS`; empty if it is to be chosen yet.
        b: what is compared with it.
        verifications: for each the verification whose predictions to compare; None means the
            reference predictions.
        asked: which examples to show.
        every_setting: whether to show settings that are alike, too.

    Raises:
        InputError: if a reference has characters that no database holds.
        NotFoundError: if there is no such version.
        DamagedError: if a row differs from what was recorded.
    """
    if not a or not b:
        return ComparePage(a, b)
    records = [bank[check_text(ref, "version")] for ref in (a, b)]
    first, second = (
        Side(record, number) for record, number in zip(records, verifications, strict=True)
    )
    evidence, problem, apart = None, None, None
    try:
        evidence = read_pairs(bank, first, second, asked)
    except TaskbankError as error:  # everything else can be shown
        problem, apart = str(error), _difference_apart(first, second)
    aliases = bank.current_aliases([record.task for record in records])
    return ComparePage(
        a,
        b,
        tuple(_view(side, aliases.get(side.record.task, {})) for side in (first, second)),
        _settings(bank, first, second),
        every_setting,
        evidence,
        problem,
        apart,
        _known(bank, (first, second)),
        records[0].backbone == records[1].backbone,
    )


def _signed(value: float, form: str) -> str:
    return f"{value:+{form}}".replace("-", "\N{MINUS SIGN}")


def _view(side: Side, aliases: dict[str, int]) -> SideView:
    record = side.record
    return SideView(
        record.ref,
        record.task,
        side.verification,
        score_of(record),
        record.method,
        tuple(alias for alias, version in aliases.items() if version == record.version),
        record.retired,
        record.created_at,
    )


def _settings(bank: Bank, first: Side, second: Side) -> tuple[SettingRow, ...]:
    rows = [SettingRow("Adapter", "method", first.record.method, second.record.method)]
    groups = [_recorded(bank, side) for side in (first, second)]
    for title in SETTINGS:
        one, other = (group.get(title, {}) for group in groups)
        rows += [
            SettingRow(title, n, one.get(n), other.get(n)) for n in dict.fromkeys([*one, *other])
        ]
    labels = [", ".join(side.record.labels) for side in (first, second)]
    if any(labels):
        rows.append(SettingRow("Task", "labels", *(text[:400] for text in labels)))
    return tuple(rows)


def _recorded(bank: Bank, side: Side) -> dict[str, dict[str, str]]:
    """Return the settings of one of the two by group; the environment is that of its predictions.

    Raises:
        NotFoundError: if the verification does not exist.
    """
    groups = {group.title: dict(group.values) for group in recorded_groups(bank, side.record)}
    if side.verification is not None:
        found = bank.verification_log.verification(side.verification)
        groups["Environment"] = dict(texts_of(found.environment))
    return groups


def _difference_apart(first: Side, second: Side) -> Interval | None:
    """Return the interval of the difference between two scores on different examples."""
    one, other = (_measured(side.record) for side in (first, second))
    record = second.record
    if one is None or other is None or one.name != other.name or first.record.kind != record.kind:
        return None
    if first.verification is not None or second.verification is not None:
        return None
    kind: Kind = plugins.load("kinds", record.kind)
    return difference_interval(kind, one, other)


def _measured(record: AdapterRecord) -> MetricRecord | None:
    key = (record.split, record.metric)
    return next((one for one in record.metrics if (one.split, one.name) == key), None)


def _known(bank: Bank, sides: tuple[Side, Side]) -> tuple[ResultSummary, ...]:
    wanted = {
        (side.record.task, side.record.version, side.verification)
        for side in sides
        if side.verification is not None
    }
    if not wanted:
        return ()
    versions = sorted({(task, version) for task, version, _ in wanted})
    return tuple(
        result
        for result in bank.verification_log.recent_results(versions, each=RESULTS)
        if (result.task, result.version, result.verification) in wanted
    )
