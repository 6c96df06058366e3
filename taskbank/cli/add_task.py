"""`taskbank add-task`: train a task and record it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taskbank import plugins
from taskbank.cli.head import current_head, say_head
from taskbank.cli.metric_fields import evidence_fields, metric_fields, metrics_json
from taskbank.cli.output import echo, print_fields, print_findings, print_json
from taskbank.cli.settings import Settings, data_options, executor_option, verify_option
from taskbank.cli.spec_options import given_spec, spec_options
from taskbank.counts import counted, size
from taskbank.data.repeat_remarks import contradictions_remark, describe_split
from taskbank.kinds.entities import describe_scoring
from taskbank.kinds.withheld import describe_abstention
from taskbank.runtime.startup import collection_paused

if TYPE_CHECKING:
    from taskbank.pipeline.train_and_store import Added


@click.command("add-task")
@click.argument("name")
@spec_options
@verify_option
@click.option("--resume", is_flag=True, help="Continue from the checkpoints of an interrupted run.")
@click.option(
    "--backbone",
    metavar="SPEC",
    help="Source of the backbone; if the bank does not exist, it is created for this backbone.",
)
@click.option("--new-version", is_flag=True, help="Add a version to an existing task.")
@click.option("--alias", metavar="NAME", help="Move this alias to the added version.")
@click.option(
    "--must-not-regress",
    is_flag=True,
    help="With --new-version: exit with 1, and do not move the alias, if the version is worse than "
    "the one that the alias names or, without one, the newest.",
)
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@executor_option
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
    executor: str | None,
    verify: Any,
    resume: bool,
    **values: Any,
) -> int:
    """Train task NAME on labelled text and record it in the bank.

    Only an adapter, the LayerNorms and a head are trained; the backbone does not change. The
    epoch with the best validation score is kept. Afterwards, the whole bank is verified.

    With --search, every setting is tried, or as many settings as --trials samples. The best by
    validation score is recorded; taskbank trials shows all of them.
    """
    spec = given_spec(values)
    with collection_paused():
        from taskbank.pipeline.add_task import add_task as add

    added = add(
        settings.bank,
        spec,
        backbone=backbone,
        new_version=new_version,
        alias=alias,
        must_not_regress=must_not_regress,
        device=device,
        executor=executor,
        verify=verify,
        resume=resume,
        progress=settings.progress,
    )
    if settings.json:
        print_json(as_json(added) | {"head": current_head(settings)})
    elif not settings.quiet:
        _print(added)
        say_head(settings)
    if added.trial.status == "collapsed":
        held_out = "the folds" if added.trial.course.get("folds") else "validation"
        echo(
            f"warning: no trial of {spec.name} learned anything: {added.trial.metric} is "
            f"{added.trial.score:.4f} on {held_out}, and its predictions are nearly constant or no "
            "better than constant ones; try another --learning-rate, more epochs or more data",
            err=True,
        )
    if added.verification is not None:
        print_findings(added.verification)
    if added.worse is not None:
        echo(
            f"{added.worse.second} is worse than {added.worse.first}: {added.worse.metric} is "
            f"{added.worse.drop:.4f} lower on {added.worse.examples:,} examples of split "
            f"{added.worse.split!r} (p = {added.worse.p_value:.2g}); it is recorded"
            + (", and the alias was not moved" if alias else ""),
            err=True,
        )
        return 1
    return 0 if added.verification is None else added.verification.exit_code


def as_json(added: Added) -> dict[str, Any]:
    """Return what `--json` prints: the adapter, or else the trial, and the results for the task."""
    record = added.trial if added.record is None else added.record
    return record.to_json() | {
        "metrics": metrics_json(plugins.load("kinds", record.kind), record.metrics),
        "stored": added.record is not None,
        "trials": [trial.to_json() for trial in added.trials],
        "suggested": None if added.suggested is None else added.suggested.to_json(),
        "worse": None if added.worse is None else added.worse.to_json(),
        "verification": None if added.verification is None else added.verification.to_json(),
    }


def _print(added: Added) -> None:
    from taskbank.bank.records import (
        describe_ensemble,
        describe_parents,
        describe_suggested,
        parents_of,
    )
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
    scoring = describe_scoring(trial.settings)
    if scoring is not None:
        fields["scoring"] = scoring
    abstains = describe_abstention(trial.settings)
    if abstains is not None:
        fields["abstains"] = abstains
    for name in filter(trial.data.get, ("train", "validation", "test")):
        split = trial.data[name]
        fields[name] = describe_split(name, split["rows"], split["origin"], trial.course)
    contradictions = contradictions_remark(trial.course)
    if contradictions is not None:
        fields["contradictions"] = contradictions
    metrics = trial.metrics if added.record is None else added.record.metrics
    fields |= metric_fields(plugins.load("kinds", trial.kind), metrics)
    fields |= evidence_fields(trial.metric, metrics, added.training.trial.course, trial.training)
    course = trial.course.get("truncated", {})  # older trials did not record it
    truncated = {name: count for name, count in course.items() if count}
    if truncated:
        listed = ", ".join(f"{count:,} of {name}" for name, count in truncated.items())
        fields["truncated"] = (
            f"{listed}: examples of more than {trial.training['max_length']} tokens, of which the "
            "rest is not read (--max-length)"
        )
    if added.suggested is not None:
        fields["starts tried"] = describe_suggested(added.suggested.to_json())
    parents = parents_of(trial.course)
    if parents:
        fields["started from"] = describe_parents(parents)
    steps = trial.training.get("contrastive")
    ensemble = describe_ensemble(trial.training, trial.course, trial.metric)
    if ensemble is not None:
        fields["ensemble"] = ensemble
    elif steps is not None:
        fields["contrastive"] = f"{counted(steps, 'step')}, then the head was fitted"
    else:
        fields["kept epoch" if trial.course.get("folds") else "best epoch"] = (
            f"{best.number} of {len(added.training.epochs)} run"
        )
    fields |= {
        "trained": f"{added.training.seconds:.1f} s",
        "parameters": f"{trial.parameters:,}",
        "stored": "only this trial; --keep-weights also stores the trained weights"
        if added.record is None
        else f"{size(added.record.bytes)}, {added.record.digest}",
    }
    print_fields(fields)
    if added.verification is None or not added.verification.ok:
        return
    others = added.verification.checked - (added.record is not None)
    if others == 0:
        return
    unchanged = f"{counted(others, 'other adapter')} {'is' if others == 1 else 'are'} unchanged"
    echo(f"the {unchanged} (verified at level {added.verification.level})")
