"""Prints metrics with their standard errors, and the report by class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import stdev
from typing import TYPE_CHECKING, Any

from taskbank.cli.output import echo
from taskbank.cli.text_table import fits, print_table

if TYPE_CHECKING:
    from taskbank.bank.records import MetricRecord
    from taskbank.kinds.class_report import Cell, ClassReport
    from taskbank.kinds.kind import Kind

SHOWN_CLASSES = 20  # classes, or pairs of confused classes, that a table lists
NOTHING = "(none)"  # in place of an entity that is missed, or that is not there


def metric_fields(kind: Kind, metrics: Iterable[MetricRecord]) -> dict[str, str]:
    """Return one field per metric: its split and name, and its value with its standard error."""
    return {f"{one.split} {one.name}": metric_text(kind, one) for one in metrics}


def metric_text(kind: Kind, measured: MetricRecord) -> str:
    """Return a metric's value with its standard error, and its interval where that is needed."""
    from taskbank.kinds.intervals import interval, needs_interval

    text = f"{measured.value:.4f} ± {measured.standard_error:.4f}"
    found = interval(kind, measured)
    if found is None or not needs_interval(measured):
        return text
    return f"{text} (95% interval {found[0]:.4f} to {found[1]:.4f}, {measured.count:,} examples)"


def evidence_fields(
    metric: str,
    metrics: Iterable[MetricRecord],
    course: Mapping[str, Any],
    training: Mapping[str, Any],
) -> dict[str, str]:
    """Return what tells how much a score is worth.

    This is how it varies over folds, what a linear probe reaches, and a remark if the examples do
    not support it.

    Args:
        metric: the metric that gives the score.
        metrics: all metrics.
        course: how the training went, as a record has it.
        training: its hyperparameters, as a record has them.
    """
    from taskbank.verify.significance import SIGNIFICANCE_LEVEL

    fields: dict[str, str] = {}
    values = [fold["scores"][metric] for fold in course.get("folds", ())]
    if values:
        fields["folds"] = (
            f"{len(values)}, {metric} from {min(values):.4f} to {max(values):.4f}, standard "
            f"deviation {stdev(values):.4f}; the adapter is trained on all rows"
        )
    probe = _linear_probe([one for one in metrics if one.name == metric], course, training)
    if probe is not None:
        fields["linear probe"] = probe
    chance = course.get("chance")
    if chance is not None and chance >= SIGNIFICANCE_LEVEL:
        fields["evidence"] = (
            "too weak to tell that anything was learned: with the labels in random order, "
            f"{metric} is as good with a probability of {chance:.2f}; score more examples"
        )
    return fields


def _linear_probe(
    scores: Sequence[MetricRecord], course: Mapping[str, Any], training: Mapping[str, Any]
) -> str | None:
    """Return what a linear probe reaches, and how much better the adapter is, by split."""
    from taskbank.kinds.metrics import orient

    reached = course.get("linear_probe", {})  # older trainings did not try one
    compared = [(one, reached[one.split]) for one in scores if one.split in reached]
    if not compared:
        return None
    text = ", ".join(
        f"{one.split} {one.name} {value:.4f} (adapter {one.value - value:+.4f})"
        for one, value in compared
    )
    last, value = compared[-1]
    if orient(last.name, last.value) > orient(last.name, value):
        return text
    more = "--epochs" if training.get("contrastive") is None else "--contrastive"
    return f"{text}; the adapter is no better: raise {more}, or take --method linear"


def metrics_json(kind: Kind, metrics: Iterable[MetricRecord]) -> list[dict[str, Any]]:
    """Return metrics as `--json` prints them, with their intervals."""
    from taskbank.kinds.intervals import interval

    return [vars(one) | {"interval": interval(kind, one)} for one in metrics]


def print_classes(report: ClassReport) -> None:
    """Print the scores of the classes, and which classes are confused.

    Of more than `SHOWN_CLASSES` classes, those with the lowest F1 are printed. The confusion matrix
    is printed if it fits; otherwise the most frequent confusions are.
    """
    shown = report.classes
    if len(shown) > SHOWN_CLASSES:
        occurring = [score for score in shown if score.f1 is not None]
        shown = tuple(sorted(occurring, key=lambda score: score.f1 or 0)[:SHOWN_CLASSES])
    echo()
    print_table(
        ("class", ">precision", ">recall", ">f1", ">support"),
        [
            (one.label, *map(_number, (one.precision, one.recall, one.f1)), f"{one.support:,}")
            for one in shown
        ],
    )
    _say_left_out(len(report.classes) - len(shown), "classes with a higher F1, or without one,")
    if report.cells:
        echo()
        _print_confusion(report, [score.label for score in report.classes])


def _print_confusion(report: ClassReport, labels: Sequence[str]) -> None:
    cells = report.cells or ()
    names = [*labels, *([NOTHING] if any(None in (c.label, c.predicted) for c in cells) else [])]
    if len(names) <= SHOWN_CLASSES:
        matrix = {(cell.label or NOTHING, cell.predicted or NOTHING): cell.count for cell in cells}
        heading = ("true \\ predicted", *(f">{name}" for name in names))
        rows = [(row, *(f"{matrix.get((row, name), 0):,}" for name in names)) for row in names]
        if fits(heading, rows):
            print_table(heading, rows)
            return
    confusions = report.confusions()
    print_table(
        ("class", "taken for", f">{report.unit}"),
        [_confusion(cell) for cell in confusions[:SHOWN_CLASSES]],
    )
    _say_left_out(len(confusions) - SHOWN_CLASSES, "rarer confusions")


def _confusion(cell: Cell) -> tuple[str, str, str]:
    return cell.label or NOTHING, cell.predicted or NOTHING, f"{cell.count:,}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _say_left_out(count: int, what: str) -> None:
    if count > 0:
        echo(f"{count:,} {what} are left out: --json prints all")
