"""`taskbank add-tasks`: add the tasks of a suite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taskbank.cli.output import print_findings, print_json
from taskbank.cli.settings import Settings, data_options, verify_option
from taskbank.cli.tables import print_table
from taskbank.runtime.startup import collection_paused

if TYPE_CHECKING:
    from taskbank.pipeline.suite import SuiteReport


@click.command("add-tasks")
@click.argument("suite", type=click.Path(path_type=Path))
@click.option(
    "--data",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Where relative files are.  [default: beside the suite]",
)
@click.option("--backbone", metavar="SPEC", help="Which backbone; makes the bank if need be.")
@click.option("--new-version", is_flag=True, help="Add a version where the specification changed.")
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@verify_option
@data_options
@click.pass_obj
def add_tasks(settings: Settings, /, suite: Path, **given: Any) -> int:
    """Add the tasks of SUITE, a TOML file with [defaults] and a [[task]] for each.

    What is there already with the same specification is skipped, and a task that fails does not
    stop the others. Run it again after an interrupt: nothing is trained twice.

    Exits with 1 if a task failed.
    """
    with collection_paused():
        from taskbank.pipeline.suite import add_tasks as add

    report = add(settings.bank, suite, progress=settings.progress, **given)
    if settings.json:
        print_json(report.to_json())
    else:
        _print(settings, report)
    return 0 if report.ok else 1


def _print(settings: Settings, report: SuiteReport) -> None:
    if not settings.quiet:
        print_table(
            ("task", "status", "adapter", "metric", "split", ">score"),
            [
                (
                    one.name,
                    one.status,
                    one.ref or "",
                    one.metric,
                    one.split or "",
                    "" if one.score is None else f"{one.score:.4f}",
                )
                for one in report.outcomes
            ],
        )
    for one in report.outcomes:
        if one.status == "failed":
            click.echo(f"failed: {one.name}: {one.problem}", err=True)
    failed = sum(one.status == "failed" for one in report.outcomes)
    told = f"{len(report.outcomes)} tasks, {failed} failed"
    if report.verification is not None:
        print_findings(report.verification)
        told += (
            f"; the bank's {report.verification.checked} adapters are "
            f"{'as they were' if report.verification.ok else 'not all as they were'}"
        )
    settings.say(told)
