"""`taskbank jobs`: how far the commands are that were submitted to a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from taskbank.cli.output import echo, print_fields, print_json
from taskbank.cli.settings import Settings, data_options, job_server_option
from taskbank.cli.text_table import print_table
from taskbank.digests import Json
from taskbank.errors import InputError, TaskbankError
from taskbank.redaction import redacted

if TYPE_CHECKING:
    from taskbank.workers.job_server import JobServer, ServedJob
    from taskbank.workers.submission import Submission

LOG_LINES = 20


@click.command()
@click.argument("job", required=False, metavar="[JOB]")
@click.option("--stop", is_flag=True, help="Stop JOB; what it has stored stays in the bank.")
@job_server_option
@data_options
@click.pass_obj
def jobs(settings: Settings, /, job: str | None, stop: bool, address: str) -> None:
    """List the commands that taskbank submit handed to a Ray cluster, and how far they are.

    For one JOB, also show where its workers are and the last lines that it printed. What is done is
    counted in the bank, and so only for commands that work on the bank of --bank.
    """
    if stop and job is None:
        raise InputError("--stop needs the id of a job: taskbank jobs lists them")
    from taskbank.workers.job_server import JobServer

    server = JobServer(address)
    if job is None:
        _list(settings, server)
    elif stop:
        _stop(settings, server, job)
    else:
        _show(settings, server, job)


@dataclass(frozen=True)
class Standing:
    """How far a submitted command is.

    Attributes:
        job: the command as the job server knows it.
        submission: what was known of it when it was submitted.
        done: number of tasks that are in the bank, or of adapters that were predicted; None if
            unknown.
        seconds_left: estimated seconds until it has ended; None if unknown.
    """

    job: ServedJob
    submission: Submission
    done: int | None
    seconds_left: float | None

    @property
    def state(self) -> str:
        """Ray's state, with the exit code of a command that failed."""
        code = self.job.exit_code
        return self.job.state + (f" (exit code {code})" if code else "")

    @property
    def shown_done(self) -> str:
        """What is done, of how many."""
        total = self.submission.total
        return "" if self.done is None else f"{self.done:,}" + (f"/{total:,}" if total else "")

    @property
    def shown_left(self) -> str:
        """The time left, in hours, minutes and seconds."""
        left = self.seconds_left
        return "" if left is None else str(timedelta(seconds=round(left)))

    def to_json(self) -> dict[str, Json]:
        """Return what `--json` prints."""
        ended = self.job.ended_at
        return {
            "job": self.job.id,
            "command": self.submission.command,
            "state": self.job.state,
            "exit_code": self.job.exit_code,
            "submitted_at": self.job.submitted_at.isoformat(),
            "ended_at": None if ended is None else ended.isoformat(),
            "done": self.done,
            "total": self.submission.total,
            "seconds_left": self.seconds_left,
        }


def _list(settings: Settings, server: JobServer) -> None:
    standings = _standings(settings, server.jobs())
    if settings.json:
        print_json([standing.to_json() for standing in standings])
    elif not standings:
        settings.say(f"{server.address} has no command of taskbank: taskbank submit sends one")
    else:
        print_table(
            ("job", "command", "state", "submitted", ">done", ">left"),
            [
                (
                    standing.job.id,
                    standing.submission.command,
                    standing.state,
                    f"{standing.job.submitted_at:%Y-%m-%d %H:%M:%S} UTC",
                    standing.shown_done,
                    standing.shown_left,
                )
                for standing in standings
            ],
            (">left", "submitted"),
        )


def _show(settings: Settings, server: JobServer, name: str) -> None:
    (standing,) = _standings(settings, [_own(server, name)])
    job = standing.job
    machines = {} if job.ended else server.machines(job)
    log = server.log(name).rstrip().splitlines()[-LOG_LINES:]
    if job.state == "failed" and job.exit_code is None:  # Ray could not run it
        log.append(job.message)
    text = redacted("\n".join(log))
    if settings.json:
        more = {"entrypoint": redacted(job.entrypoint), "workers": machines, "log": text}
        print_json(standing.to_json() | more)
        return
    fields = {
        "command": redacted(job.entrypoint),
        "state": standing.state,
        "submitted": f"{job.submitted_at:%Y-%m-%d %H:%M:%S} UTC",
        "ended": "" if job.ended_at is None else f"{job.ended_at:%Y-%m-%d %H:%M:%S} UTC",
        "done": standing.shown_done,
        "left": standing.shown_left,
        "workers": ", ".join(f"{count} on {place}" for place, count in machines.items()),
    }
    print_fields({field: value for field, value in fields.items() if value})
    if text:
        echo()
        echo(text)


def _stop(settings: Settings, server: JobServer, name: str) -> None:
    job = _own(server, name)
    stopped = server.stop(job.id)
    if settings.json:
        print_json({"job": job.id, "stopped": stopped})
    else:
        settings.say(
            f"{job.id} is being stopped; what it has stored stays in the bank"
            if stopped
            else f"{job.id} had ended: {job.state}"
        )


def _own(server: JobServer, name: str) -> ServedJob:
    """Return a job that taskbank submitted."""
    from taskbank.workers.submission import Submission

    job = server.job(name)
    if Submission.from_metadata(job.metadata) is None:
        raise InputError(f"the job {name} was not submitted by taskbank: ray job status shows it")
    return job


def _standings(settings: Settings, served: Iterable[ServedJob]) -> list[Standing]:
    """Return how far the commands of taskbank among the jobs of a cluster are."""
    from taskbank.workers.submission import Submission

    found = [(job, Submission.from_metadata(job.metadata)) for job in served]
    own = [(job, submission) for job, submission in found if submission is not None]
    here = [(job, submission) for job, submission in own if submission.is_on(settings.bank)]
    done = _count_done(settings.bank, here)
    if len(here) < len(own):
        settings.say(
            f"{len(own) - len(here)} of the commands work on another bank: name it with --bank to "
            "see how far they are"
        )
    return [_standing(job, submission, done.get(job.id)) for job, submission in own]


def _count_done(url: str, here: Sequence[tuple[ServedJob, Submission]]) -> dict[str, int | None]:
    """Return how much is done of each command, by its id; nothing if the bank cannot be read."""
    from taskbank.bank.open import open_bank

    if not here:
        return {}
    try:
        with open_bank(url) as bank:
            return {
                job.id: submission.count_done(bank, job.submitted_at) for job, submission in here
            }
    except TaskbankError as error:  # it may not exist yet, or be away
        echo(f"what is done is unknown: {redacted(str(error))}", err=True)
        return {}


def _standing(job: ServedJob, submission: Submission, done: int | None) -> Standing:
    from taskbank.workers.submission import seconds_left

    total = submission.total
    if job.state == "succeeded" and total is not None:
        return Standing(job, submission, total, None)
    left = None
    if job.state == "running" and done is not None and total is not None:
        elapsed = (datetime.now(UTC) - job.submitted_at).total_seconds()
        left = seconds_left(done, submission.before, total, elapsed)
    return Standing(job, submission, done, left)
