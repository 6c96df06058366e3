"""`taskbank verify-all`: check every stored task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taskbank.cli.common import Settings, complete_task, data_options, print_json, print_table

if TYPE_CHECKING:
    from taskbank.verify.report import Report, TaskResult


@click.command("verify-all")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_task,
    help="Only this task (or NAME@VERSION); repeatable.",
)
@click.option(
    "--level",
    type=click.Choice(["integrity", "full"]),
    default="full",
    show_default=True,
    help="integrity: rows and bytes, without torch. full: predictions too.",
)
@click.option(
    "--tolerance",
    type=float,
    default=1.0,
    show_default="any",
    help="Drop of a metric that is let pass where it may be chance.",
)
@click.option("--strict", is_flag=True, help="Fail on any answer that changed beyond rounding.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write a JUnit XML file.")
@click.option("--report", type=click.Path(path_type=Path), help="Write an HTML page.")
@click.option("--backbone", metavar="SPEC", help="Where the backbone is now, if it moved.")
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@data_options
@click.pass_obj
def verify_all(
    settings: Settings,
    /,
    tasks: tuple[str, ...],
    junit: Path | None,
    report: Path | None,
    **given: Any,
) -> int:
    """Check that every stored task is, and predicts, what was recorded. Only looks.

    Exits with 1 if anything was found.
    """
    from taskbank.bank import open_bank
    from taskbank.verify.files import check_writable, write_html, write_junit
    from taskbank.verify.verify import verify_all as verify

    for path in filter(None, (junit, report)):
        check_writable(path)
    with open_bank(settings.bank) as bank:
        found = verify(bank, tasks, progress=settings.progress, **given)
    if junit is not None:
        write_junit(found, junit)
    if report is not None:
        write_html(found, report)
    if settings.json:
        print_json(found.to_json())
    else:
        _print(settings, found)
    return 0 if found.ok else 1


def _print(settings: Settings, report: Report) -> None:
    if report.tasks and not settings.quiet:
        columns = (
            "adapter",
            "status",
            "metric",
            ">recorded",
            ">observed",
            ">flips",
            ">worse",
            ">better",
            ">examples",
        )
        rows = [_row(result) for result in report.tasks]
        print_table(columns, rows, optional=(">examples", ">better", ">worse"))
    for finding in report.findings:
        where = "bank" if finding.task is None else f"{finding.task}@{finding.version}"
        click.echo(f"{where}: {finding.check}: {finding.message}")
    if report.unrecorded:
        settings.say(f"this verification was not recorded: {report.unrecorded}")
    settings.say(
        f"{report.checked} adapters checked ({report.level}): "
        + ("all is well" if report.ok else f"{len(report.findings)} findings")
    )


def _row(result: TaskResult) -> tuple[object, ...]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.4f}"

    return (
        result.ref,
        result.status,
        result.metric or "",
        number(result.recorded),
        number(result.observed),
        *(
            "" if count is None else count
            for count in (
                result.flips,
                result.negative_flips,
                result.positive_flips,
                result.examples,
            )
        ),
    )
