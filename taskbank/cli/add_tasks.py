"""`taskbank add-tasks`: add the tasks of a suite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taskbank.cli.head import current_head, say_head
from taskbank.cli.output import echo, print_findings, print_json
from taskbank.cli.settings import Settings, data_options, executor_option, verify_option
from taskbank.cli.text_table import print_table
from taskbank.runtime.startup import collection_paused

if TYPE_CHECKING:
    from taskbank.pipeline.suite import SuiteReport


@click.command("add-tasks")
@click.argument("suite", type=click.Path(path_type=Path))
@click.option(
    "--data",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Folder of relative paths.  [default: the suite's folder]",
)
@click.option(
    "--backbone",
    metavar="SPEC",
    help="Source of the backbone; if the bank does not exist, it is created for this backbone.",
)
@click.option("--new-version", is_flag=True, help="Add a version if the specification changed.")
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@executor_option
@verify_option
@data_options
@click.pass_obj
def add_tasks(settings: Settings, /, suite: Path, **options: Any) -> int:
    """Add the tasks of SUITE, a TOML file with [defaults] and one [[task]] per task.

    Tasks that the bank already has with the same specification are skipped, and a task that fails
    does not stop the others. After an interrupt, run the command again: nothing is trained twice.

    Exits with 1 if a task failed.
    """
    with collection_paused():
        from taskbank.pipeline.suite import add_tasks as add

    report = add(settings.bank, suite, progress=settings.progress, **options)
    if settings.json:
        print_json(report.to_json() | {"head": current_head(settings)})
    else:
        _print(settings, report)
        say_head(settings)
    return report.exit_code


def _print(settings: Settings, report: SuiteReport) -> None:
    if not settings.quiet:
        print_table(
            ("task", "status", "adapter", "metric", "split", ">score"),
            [
                (
                    outcome.name,
                    outcome.status,
                    outcome.ref or "",
                    outcome.metric,
                    outcome.split or "",
                    "" if outcome.score is None else f"{outcome.score:.4f}",
                )
                for outcome in report.outcomes
            ],
        )
        for outcome in report.outcomes:
            for remark in outcome.remarks:
                echo(f"{outcome.name}: {remark}", err=True)
    failed = [outcome for outcome in report.outcomes if outcome.status == "failed"]
    for outcome in failed:
        echo(f"failed: {outcome.name}: {outcome.problem}", err=True)
    summary = f"{len(report.outcomes)} tasks, {len(failed)} failed"
    if report.verification is not None:
        print_findings(report.verification)
        unchanged = "unchanged" if report.verification.ok else "not all found unchanged"
        summary += f"; the bank's {report.verification.checked} adapters are {unchanged}"
    settings.say(summary)
