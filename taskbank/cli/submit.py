"""`taskbank submit`: hand a command to a Ray cluster, which runs it without this shell."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from taskbank.cli.output import echo, print_json
from taskbank.cli.settings import Settings, data_options, job_server_option, pairs
from taskbank.counts import counted, size
from taskbank.digests import DIGEST
from taskbank.errors import InputError
from taskbank.redaction import redacted

if TYPE_CHECKING:
    from taskbank.pipeline.suite_package import SuitePackage
    from taskbank.workers.job_server import ServedJob
    from taskbank.workers.submission import Submission

STOPPED = 143  # the exit code of a command that SIGTERM ended
LOST = 5  # the exit code if Ray could not run it, as of every server that failed


@click.command(context_settings={"allow_interspersed_args": False})
@job_server_option
@click.option("--follow", is_flag=True, help="Print what the command prints, and exit as it does.")
@data_options
@click.argument("words", metavar="COMMAND ...", nargs=-1, required=True)
@click.pass_context
def submit(context: click.Context, /, address: str, follow: bool, words: tuple[str, ...]) -> int:
    """Run COMMAND, one that takes --on, on a Ray cluster that goes on when this shell has ended.

    The suite and the data files that are named by relative paths are sent along. Nothing else of
    this machine is: the bank must be on PostgreSQL, and its password known to the cluster.
    taskbank jobs shows how far the command is.
    """
    settings = context.ensure_object(Settings)
    plan = _plan(settings, context, *words)
    from taskbank.workers.job_server import JobServer

    metadata = plan.submission.to_metadata()
    server = JobServer(address)
    with tempfile.TemporaryDirectory() as folder:
        package = None
        if plan.package is not None:
            package = Path(folder) / "suite.zip"
            plan.package.write(package)
        job = server.submit(plan.words, metadata, package)
        sent = 0 if package is None else package.stat().st_size
    if settings.json:
        files = [] if plan.package is None else [*plan.package.files]
        print_json({"job": job, "words": plan.words, "files": files, "bytes": sent})
    else:
        echo(job)
    if plan.package is not None:
        settings.say(f"sent {counted(len(plan.package.files), 'file')}, packed {size(sent)}")
        for path in plan.package.elsewhere:
            settings.say(f"not sent, and read on the cluster: {path}")
    if not follow:
        settings.say(f"taskbank jobs {job} shows how far it is")
        return 0
    try:
        ended = server.follow(job, partial(_print_log, err=settings.json))
    except KeyboardInterrupt:
        settings.say(f"the command goes on: taskbank jobs {job} shows how far it is")
        raise
    return _exit_code(ended)


@dataclass(frozen=True)
class Plan:
    """What to submit.

    Attributes:
        words: the command for the cluster, word by word.
        submission: what is known of it.
        package: the suite or the task with its files; None if there is none.
    """

    words: tuple[str, ...]
    submission: Submission
    package: SuitePackage | None = None


def _plan(settings: Settings, context: click.Context, name: str, *words: str) -> Plan:
    """Check a command as far as it can be checked here, and return what to submit.

    Raises:
        InputError: if it cannot be submitted.
        UsageError: if its options do not parse.
    """
    from taskbank.workers.address import RayAddress

    group = context.find_root().command
    known = group.commands if isinstance(group, click.Group) else {}
    if name not in PLANNERS:
        what = "cannot be submitted" if name in known else "is no command of taskbank"
        *others, last = PLANNERS
        raise InputError(f"{name} {what}: taskbank submit takes {', '.join(others)} and {last}")
    given = known[name].make_context(name, list(words), parent=context.find_root())
    place = RayAddress.parse(given.params["executor"] or "ray")
    if place.server is not None:
        raise InputError(
            f"a submitted command runs on the cluster that it is sent to, not on {place.server}: "
            "leave out --on and TASKBANK_ON, or write ray or ray?threads=N"
        )
    _check_bank(settings.bank)
    replaced, submission, package = PLANNERS[name](settings, given.params)
    on = "ray" if place.threads == 1 else f"ray?threads={place.threads}"
    words = tuple(_words(given, {**replaced, "executor": on}))
    start = ("python", "-m", "taskbank", f"--bank={settings.bank}", name)
    return Plan((*start, *words), submission, package)


def _check_bank(bank: str) -> None:
    """Raise unless the cluster can open the bank by its URL, and everybody may read the URL."""
    from taskbank.bank.url import parse_url

    url = parse_url(bank)
    if url.file is not None:
        raise InputError(
            f"the bank {url.shown} is a file on this machine, which a cluster cannot open: use a "
            "bank on PostgreSQL"
        )
    if url.secrets:
        raise InputError(
            f"the bank's URL {url.shown} has a secret, and whoever may list the jobs of a cluster "
            "reads their commands: leave it out of the URL, and set PGPASSWORD, or use a file "
            "~/.pgpass, here and on the cluster's machines"
        )


Planned = tuple[Mapping[str, object], "Submission", "SuitePackage | None"]


def _plan_add_task(settings: Settings, params: Mapping[str, Any]) -> Planned:
    from taskbank.bank.open import bank_exists, open_bank
    from taskbank.cli.spec_options import given_spec
    from taskbank.pipeline.suite_package import plan_task_package
    from taskbank.workers.submission import Submission

    given_spec(params)
    name, again, before = params["name"], params["new_version"], 0
    package, packed = plan_task_package(name, params, Path())
    if params["backbone"] is None or bank_exists(settings.bank):  # else the command creates it
        with open_bank(settings.bank) as bank:
            before = int(not again and name in bank.tasks())
    submission = Submission("add-task", settings.bank, (name,), 1, before, again)
    return packed, submission, package


def _plan_add_tasks(settings: Settings, params: Mapping[str, Any]) -> Planned:
    from taskbank.bank.open import bank_exists, open_bank
    from taskbank.pipeline.suite_package import DATA, SUITE, plan_package
    from taskbank.workers.submission import Submission

    package = plan_package(params["suite"], params["data"] or params["suite"].parent)
    again, before = params["new_version"], 0
    if params["backbone"] is None or bank_exists(settings.bank):  # else the command creates it
        with open_bank(settings.bank) as bank:
            before = 0 if again else len(set(bank.tasks()) & set(package.tasks))
    total = len(package.tasks)
    submission = Submission("add-tasks", settings.bank, package.tasks, total, before, again)
    return {"suite": SUITE, "data": DATA}, submission, package


def _plan_verify_all(settings: Settings, params: Mapping[str, Any]) -> Planned:
    from taskbank.bank.open import open_bank
    from taskbank.workers.submission import Submission

    pairs(params["what_if"], "--what-if")
    if params["expect"] is not None and not DIGEST.fullmatch(params["expect"]):
        raise InputError(
            f"--expect {params['expect']} is no head, and a file of this machine is not sent: "
            "write the head itself"
        )
    tasks, level = tuple(sorted(params["tasks"])), params["level"]
    with open_bank(settings.bank) as bank:
        for ref in tasks:
            bank.resolve(ref)
        total = None  # the other levels do not record how many adapters they have looked at
        if level == "full" and not params["what_if"]:
            names = {ref for ref in tasks if "@" not in ref}
            others = {bank.resolve(ref) for ref in tasks if "@" in ref}
            others = {(name, version) for name, version in others if name not in names}
            total = len(bank.adapters(tasks=sorted(names))) + len(others) if tasks else len(bank)
    submission = Submission(
        "verify-all", settings.bank, tasks, total, level=level, resume=params["resume"]
    )
    return {}, submission, None


PLANNERS: Mapping[str, Callable[[Settings, Mapping[str, Any]], Planned]] = {
    "add-task": _plan_add_task,
    "add-tasks": _plan_add_tasks,
    "verify-all": _plan_verify_all,
}


def _words(context: click.Context, replaced: Mapping[str, object]) -> list[str]:
    """Return the options and arguments of a command, some of them replaced, word by word.

    Raises:
        InputError: if one is a file of this machine, or has a secret.
    """
    options: list[str] = []
    arguments: list[str] = []
    for parameter in context.command.params:
        name, option = parameter.name or "", parameter.opts[0]
        if name not in replaced:
            if not _is_given(context, parameter):
                continue
            if isinstance(parameter.type, click.Path):
                raise InputError(
                    f"{option} names a file of this machine, where a submitted command does not "
                    "run: leave it out"
                )
        value = replaced.get(name, context.params.get(name))
        if isinstance(parameter, click.Argument):
            arguments.append(str(value))
        elif value is True:
            options.append(option)
        else:
            values = value if isinstance(value, tuple) else (value,)
            options += [f"{option}={one}" for one in values]
    for word in options:
        if redacted(word) != word:
            raise InputError(
                f"{redacted(word)} has a secret, and whoever may list the jobs of a cluster reads "
                "their commands: leave it out"
            )
    return [*options, *(["--", *arguments] if arguments else [])]


def _is_given(context: click.Context, parameter: click.Parameter) -> bool:
    source = context.get_parameter_source(parameter.name or "")
    return parameter.expose_value and source is ParameterSource.COMMANDLINE


def _print_log(text: str, *, err: bool) -> None:
    echo(redacted(text.rstrip("\n")), err=err)


def _exit_code(job: ServedJob) -> int:
    if job.exit_code is not None:
        return job.exit_code
    return {"succeeded": 0, "stopped": STOPPED}.get(job.state, LOST)
