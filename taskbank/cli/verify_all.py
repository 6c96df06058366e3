"""`taskbank verify-all`: verify every stored task."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taskbank.cli.output import echo, print_json
from taskbank.cli.settings import Settings, complete_task, data_options, executor_option, pairs
from taskbank.cli.text_table import print_table
from taskbank.counts import counted
from taskbank.errors import InputError

if TYPE_CHECKING:
    from taskbank.bank.bank import Bank
    from taskbank.verify.report import Report, TaskResult


@click.command("verify-all")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_task,
    help="Verify only this task (or NAME@VERSION); repeatable.",
)
@click.option(
    "--level",
    type=click.Choice(["integrity", "changed", "canary", "full"]),
    default="full",
    show_default=True,
    help="integrity: rows and bytes, without torch. changed: also predictions, but only if "
    "anything they depend on has changed since they were last confirmed. canary: a few "
    "predictions of each split, and all if one of them changed. full: all predictions.",
)
@click.option(
    "--tolerance",
    type=float,
    default=1.0,
    show_default="any",
    help="Largest metric drop to tolerate when it is not statistically significant.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Treat every answer that changed as a failure, even one that rounding explains.",
)
@click.option(
    "--expect",
    metavar="HEAD",
    help="A head that taskbank printed earlier, or a file of taskbank db sign: a finding if the "
    "bank does not contain it.",
)
@click.option(
    "--signer",
    type=click.Path(path_type=Path),
    help="Public SSH key whose owner must have signed the file of --expect.",
)
@click.option(
    "--what-if",
    "what_if",
    multiple=True,
    metavar="KEY=VALUE",
    help="Try another backbone, dtype, device or threads; nothing is recorded. Repeatable.",
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write a JUnit XML file.")
@click.option("--report", type=click.Path(path_type=Path), help="Write an HTML page.")
@click.option("--backbone", metavar="SPEC", help="New source of the backbone, if it moved.")
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@executor_option
@data_options
@click.pass_obj
def verify_all(
    settings: Settings,
    /,
    tasks: tuple[str, ...],
    what_if: tuple[str, ...],
    junit: Path | None,
    report: Path | None,
    expect: str | None,
    signer: Path | None,
    **options: Any,
) -> int:
    """Verify that the bytes and predictions of every stored task match the record.

    The command only reads the bank and records its result. Exits with 1 if there are findings, and
    else with 5 if a server, a store or memory failed before everything was checked.
    """
    from taskbank.bank.open import open_bank
    from taskbank.checks import check_writable
    from taskbank.verify.verify import verify_all as verify

    for path in filter(None, (junit, report)):
        check_writable(path)
    conditions = pairs(what_if, "--what-if")
    if signer is not None:
        from taskbank.verify.signed_head import read_signed_head

        if expect is None:
            raise InputError("--signer needs --expect FILE, a file that taskbank db sign wrote")
        expect = read_signed_head(Path(expect), signer)
    with open_bank(settings.bank) as bank:
        try:
            result = verify(
                bank,
                tasks,
                expect=expect,
                what_if=conditions,
                progress=settings.progress,
                **options,
            )
        except KeyboardInterrupt:
            if not conditions:
                settings.say(
                    "finished predictions are kept: the same command with --resume continues"
                )
            raise
        if settings.json:
            print_json(result.to_json())
        else:
            _print(settings, result)
        _write(bank, result, junit, report)
    return result.exit_code


def _write(bank: Bank, result: Report, junit: Path | None, report: Path | None) -> None:
    """Write the files; one that cannot be written does not keep back the other."""
    from taskbank.errors import ResourceError
    from taskbank.pages.report import write_report
    from taskbank.verify.junit import write_junit

    problems = []
    for path, write in ((junit, write_junit), (report, partial(write_report, bank=bank))):
        try:
            if path is not None:
                write(result, path)
        except ResourceError as error:
            problems.append(str(error))
    if problems:
        raise ResourceError(f"{'; '.join(problems)}; the result is above")


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
        echo(f"{finding.ref or 'bank'}: {finding.check}: {finding.message}")
    if report.unrecorded:
        settings.say(f"this verification was not recorded: {report.unrecorded}")
    if report.confirmed:
        numbers = sorted(
            {task.confirmed_by for task in report.tasks if task.confirmed_by is not None}
        )
        settings.say(
            f"{report.confirmed} were not predicted again: nothing they depend on has changed "
            f"since verification {', '.join(map(str, numbers))}"
        )
    if report.unread:
        settings.say(
            f"the bytes of {report.unread:,} were not read again: the blob store lists their files "
            "as it did when they were found intact"
        )
    if report.undetectable is not None:
        settings.say(
            "canaries detect every change that affects all outputs; a change that affects fewer "
            f"than {report.undetectable:.0%} of a task's examples is missed more often than one "
            "time in 20"
        )
    if report.interrupted:
        echo(f"interrupted: {report.interrupted}", err=True)
        settings.say(
            f"{report.checked} of {len(report.tasks)} adapters were checked before: "
            f"{len(report.findings) or 'no'} findings; the same command with --resume continues"
        )
        return
    if report.head is not None and report.expected is not None:
        settings.say(f"the expected head is entry {report.expected:,} of {report.head.entries:,}")
    changed = sum(result.status == "changed" for result in report.tasks)
    settings.say(
        f"{counted(report.checked, 'adapter')} checked ({report.level}): "
        + ("all is well" if report.ok else counted(len(report.findings), "finding"))
        + (f", {changed} changed, but no worse than chance explains" if changed else "")
    )
    if report.head is not None:
        settings.say(f"head {report.head.digest}")


def _row(result: TaskResult) -> tuple[object, ...]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.4f}"

    return (
        result.ref,
        result.status + (f" ({result.confirmed_by})" if result.confirmed_by else ""),
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
