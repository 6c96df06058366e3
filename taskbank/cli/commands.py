"""The group `taskbank` of all commands, with its global options.

Heavy modules are imported neither here nor at the top of a command's file, so that `--help` and
read-only commands start quickly.
"""

from __future__ import annotations

import click

from taskbank.cli.accept import accept
from taskbank.cli.add_task import add_task
from taskbank.cli.add_tasks import add_tasks
from taskbank.cli.alias import alias
from taskbank.cli.backup import backup
from taskbank.cli.cache import cache
from taskbank.cli.completion import completion
from taskbank.cli.copy import copy
from taskbank.cli.db import db
from taskbank.cli.diff import diff
from taskbank.cli.export import export
from taskbank.cli.forget import forget
from taskbank.cli.gc import gc
from taskbank.cli.history import history
from taskbank.cli.import_ import import_
from taskbank.cli.init import init
from taskbank.cli.jobs import jobs
from taskbank.cli.keys import keys
from taskbank.cli.list import list_
from taskbank.cli.open import open_
from taskbank.cli.pages import pages
from taskbank.cli.predict import predict
from taskbank.cli.push import push
from taskbank.cli.query import query
from taskbank.cli.remove import remove
from taskbank.cli.restore import restore
from taskbank.cli.score import score
from taskbank.cli.serve import serve
from taskbank.cli.settings import Settings, data_options
from taskbank.cli.show import show
from taskbank.cli.submit import submit
from taskbank.cli.suggest import suggest
from taskbank.cli.tolerance import tolerance
from taskbank.cli.trials import trials
from taskbank.cli.update import update
from taskbank.cli.verify_all import verify_all
from taskbank.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@data_options
@click.version_option(__version__, prog_name="taskbank")
@click.pass_context
def cli(context: click.Context) -> None:
    """One frozen language-model encoder, and a bank of small task adapters for it.

    Every command accepts --bank and --quiet; commands that print data also accept --json.

    Exit codes: 0 success; 1 a verification has findings, a task of a suite failed, or a version
    did not meet a requirement; 2 invalid input or failed training; 3 the bank is damaged or has
    another schema; 4 the backbone does not match; 5 memory, disk space or a server failed; 70 a
    defect of taskbank; 130 interrupted; 143 terminated.
    """
    context.ensure_object(Settings)


for command in (
    init,
    add_task,
    add_tasks,
    update,
    verify_all,
    submit,
    jobs,
    history,
    diff,
    accept,
    tolerance,
    list_,
    show,
    score,
    suggest,
    query,
    forget,
    trials,
    predict,
    serve,
    open_,
    pages,
    keys,
    alias,
    remove,
    gc,
    cache,
    export,
    push,
    import_,
    copy,
    backup,
    restore,
    db,
    completion,
):
    cli.add_command(command)
