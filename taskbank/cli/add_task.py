"""`taskbank add-task`: train a task and record it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taskbank.cli.output import print_fields, print_findings, print_json, size
from taskbank.cli.settings import Settings, data_options, literal, pairs, verify_option
from taskbank.cli.spec_options import spec_options
from taskbank.errors import InputError
from taskbank.specs import SHORTCUTS, TaskSpec

if TYPE_CHECKING:
    from taskbank.pipeline.add_task import Added


@click.command("add-task")
@click.argument("name")
@spec_options
@verify_option
@click.option("--resume", is_flag=True, help="Continue from what an interrupted run left.")
@click.option("--backbone", metavar="SPEC", help="The backbone; the bank is made if need be.")
@click.option("--new-version", is_flag=True, help="Add a version to a task that exists.")
@click.option("--alias", metavar="NAME", help="Let this alias name the added version.")
@click.option(
    "--must-not-regress",
    is_flag=True,
    help="With --new-version: exit with 1, and leave the alias where it is, if the version is "
    "worse than the one that the alias names, or else the newest.",
)
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@data_options
@click.pass_obj
def add_task(
    settings: Settings,
    /,
    backbone: str | None,
    new_version: bool,
    alias: str | None,
    must_not_regress: bool,
    device: str | None,
    verify: Any,
    resume: bool,
    **values: Any,
) -> int:
    """Train task NAME on labelled text and record it in the bank.

    Only an adapter, the LayerNorms and a head are trained; the backbone stays as it is. The
    best epoch on validation is kept, and afterwards the whole bank is verified.

    With --search, every setting is tried, or as many as --trials says, and the best by
    validation is recorded; taskbank trials shows them all.
    """
    spec = _spec(values)
    from taskbank.pipeline.add_task import add_task as add

    added = add(
        settings.bank,
        spec,
        backbone=backbone,
        new_version=new_version,
        alias=alias,
        must_not_regress=must_not_regress,
        device=device,
        verify=verify,
        resume=resume,
        progress=settings.progress,
    )
    if settings.json:
        print_json(as_json(added))
    elif not settings.quiet:
        _print(added)
    if added.trial.status == "collapsed":
        click.echo(
            f"warning: no trial of {spec.name} learned anything: {added.trial.metric} is "
            f"{added.trial.score:.4f} on validation, no better than constant predictions; try "
            "another --learning-rate, more epochs or more data",
            err=True,
        )
    if added.verification is not None:
        print_findings(added.verification)
    if added.worse is not None:
        click.echo(
            f"{added.worse.second} is worse than {added.worse.first}: {added.worse.metric} is "
            f"{added.worse.drop:.4f} lower on {added.worse.examples:,} examples of split "
            f"{added.worse.split!r} (p = {added.worse.p_value:.2g}); it is recorded"
            + (", and the alias is where it was" if alias else ""),
            err=True,
        )
        return 1
    return 0 if added.verification is None or added.verification.ok else 1


def _spec(values: dict[str, Any]) -> TaskSpec:
    """Return the specification that the options of the command describe."""
    given = {key: value for key, value in values.items() if value is not None}
    options = {key: literal(text) for key, text in pairs(given.pop("options"), "--option").items()}
    for key in SHORTCUTS:
        if key in given and key in options:
            raise InputError(f"{key} is given twice, with --{key} and with --option: leave one out")
    search = {
        key.replace("-", "_"): _values(text)
        for key, text in pairs(given.pop("search"), "--search").items()
    }
    tags = pairs(given.pop("tags"), "--tag")
    return TaskSpec.of({**given, "options": options, "search": search, "tags": tags})


def _values(text: str) -> list[Any]:
    """Return the values of a search: a JSON list, or what stands between commas."""
    whole = literal(text)
    return whole if isinstance(whole, list) else [literal(value) for value in text.split(",")]


def as_json(added: Added) -> dict[str, Any]:
    """Return what `--json` prints: the adapter, or the trial where none is stored, and the rest."""
    found = added.trial if added.record is None else added.record
    return found.to_json() | {
        "stored": added.record is not None,
        "trials": [trial.to_json() for trial in added.trials],
        "worse": None if added.worse is None else added.worse.to_json(),
        "verification": None if added.verification is None else added.verification.to_json(),
    }


def _print(added: Added) -> None:
    from taskbank.cli.trials import print_spread, print_trials

    trial, best = added.trial, added.training.best
    if len(added.trials) > 1:
        print_trials(added.trials)
        print_spread(added.trials)
    fields: dict[str, object] = {
        "task": trial.task if added.record is None else added.record.ref,
        "kind": f"{trial.kind}, {len(trial.labels)} labels" if trial.labels else trial.kind,
        "method": trial.method,
    }
    for name in filter(trial.data.get, ("train", "validation", "test")):
        split = trial.data[name]
        fields[name] = f"{split['rows']:,} examples of {split['origin']}"
    for measured in trial.metrics:
        fields[f"{measured.split} {measured.name}"] = (
            f"{measured.value:.4f} ± {measured.standard_error:.4f}"
        )
    cut = trial.course["at_max_length"]
    if cut:
        fields["cut"] = (
            f"{cut:,} training inputs reach {trial.training['max_length']} tokens: what is beyond "
            "is not read, or read in another window (--max-length)"
        )
    fields |= {
        "best epoch": f"{best.number} of {len(added.training.epochs)} run",
        "trained": f"{added.training.seconds:.1f} s",
        "parameters": f"{trial.parameters:,}",
        "stored": "nothing but this trial: --keep-weights stores what was trained"
        if added.record is None
        else f"{size(added.record.bytes)}, {added.record.digest}",
    }
    print_fields(fields)
    if added.verification is None or not added.verification.ok:
        return
    others = added.verification.checked - (added.record is not None)
    plural = "adapters of the bank are as they were"
    are = "adapter of the bank is as it was" if others == 1 else plural
    click.echo(f"the {others} other {are} (verified at level {added.verification.level})")
