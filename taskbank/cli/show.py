"""`taskbank show`: show one adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taskbank.cli.metric_fields import (
    evidence_fields,
    metric_fields,
    metrics_json,
    print_classes,
)
from taskbank.cli.output import echo, print_fields, print_json
from taskbank.cli.settings import Settings, complete_task, data_options
from taskbank.cli.text_table import print_table
from taskbank.counts import size
from taskbank.data.repeat_remarks import contradictions_remark, describe_split
from taskbank.kinds.entities import SCORING_SETTINGS, describe_scoring
from taskbank.kinds.withheld import describe_abstention

if TYPE_CHECKING:
    from taskbank.bank.bank import Bank
    from taskbank.bank.records import AdapterRecord
    from taskbank.kinds.class_report import ClassReport
    from taskbank.kinds.kind import Kind


@click.command()
@click.argument("ref", metavar="NAME[@VERSION|@ALIAS]", shell_complete=complete_task)
@click.option(
    "--live",
    "server",
    metavar="URL",
    help="Show instead how the answers of the task's shadow differ from those that the server at "
    "this URL has given.",
)
@data_options
@click.pass_obj
def show(settings: Settings, ref: str, server: str | None) -> None:
    """Show one adapter: scores, classes, hyperparameters, splits, labels, tags, environment.

    The scores of every class, and which classes are confused, are computed from the stored
    examples and predictions of the adapter's scored split.
    """
    if server is not None:
        _show_live(settings, server, ref)
        return
    from taskbank import plugins
    from taskbank.bank.open import open_bank
    from taskbank.bank.records import (
        describe_ensemble,
        describe_imported,
        describe_suggested,
        origin_of,
        parents_of,
    )
    from taskbank.digests import canonical_json
    from taskbank.errors import TaskbankError

    with open_bank(settings.bank) as bank:
        record = bank[ref]
        backbone = bank.backbone(record.backbone).identity
        kind: Kind = plugins.load("kinds", record.kind)
        classes, problem = None, ""
        try:
            classes = _class_report(bank, record, kind)
        except TaskbankError as error:  # everything else can be shown
            problem = str(error)
    if problem:
        echo(f"the classes cannot be shown: {problem}", err=True)
    if settings.json:
        print_json(
            record.to_json()
            | {
                "metrics": metrics_json(kind, record.metrics),
                "classes": None if classes is None else classes.to_json(),
                "backbone_spec": backbone.spec,
            }
        )
        return
    fields: dict[str, object] = {
        "adapter": record.ref + (" (retired)" if record.retired else ""),
        "kind": record.kind,
        "method": f"{record.method} {canonical_json(dict(record.options))}",
        "backbone": f"{backbone.spec} ({backbone.model_type}, {backbone.parameters:,} parameters)",
        "fingerprint": record.backbone,
        "parameters": f"{record.parameters:,} ({record.parameters / backbone.parameters:.2%})",
        "stored": f"{size(record.bytes)}, {record.digest}",
        "added": record.created_at,
    }
    if record.description:
        fields["description"] = record.description
    ensemble = describe_ensemble(record.training, record.course, record.metric)
    if ensemble is not None:
        fields["ensemble"] = ensemble
    for parent in parents_of(record.course):
        share = "" if parent.weight == 1 else f", weight {parent.weight:g}"
        fields[f"{origin_of(record.course)} {parent.ref}"] = f"{parent.digest}{share}"
    if "imported" in record.course:
        fields["imported from"] = describe_imported(record.course["imported"])
    if "suggested" in record.course:
        fields["starts tried"] = describe_suggested(record.course["suggested"])
    for split in record.splits:
        scored = "" if split.scored_at is None else f", scored {split.scored_at}"
        described = describe_split(split.name, split.rows, split.origin, record.course)
        fields[f"split {split.name}"] = described + scored
    contradictions = contradictions_remark(record.course)
    if contradictions is not None:
        fields["contradictions"] = contradictions
    fields |= metric_fields(kind, record.metrics)
    fields |= evidence_fields(record.metric, record.metrics, record.course, record.training)
    fields |= {f"tag {key}": value for key, value in record.tags.items()}
    fields |= {f"training {key}": value for key, value in record.training.items()}
    environment = {k: v for k, v in record.environment.items() if not isinstance(v, dict | list)}
    fields["environment"] = ", ".join(f"{key} {value}" for key, value in environment.items())
    scoring = describe_scoring(record.settings)
    if scoring is not None:
        fields["scoring"] = scoring
    abstains = describe_abstention(record.settings)
    if abstains is not None:
        fields["abstains"] = abstains
    fields |= {
        f"setting {key}": _plain(value)
        for key, value in record.settings.items()
        if key not in (*SCORING_SETTINGS, "abstain")
    }
    if record.labels:
        fields["labels"] = ", ".join(record.labels)
    print_fields(fields)
    if classes is not None:
        print_classes(classes)


def _class_report(bank: Bank, record: AdapterRecord, kind: Kind) -> ClassReport | None:
    """Return the report by class of an adapter's scored split, or that of its folds."""
    from taskbank.kinds.class_report import ClassReport
    from taskbank.specs import FOLDS

    if "classes" in record.course:
        return ClassReport.of(record.course["classes"])
    if record.split == FOLDS:  # the adapter was trained on the examples that are stored
        return None
    columns = bank.examples(record, record.split).columns
    return kind.by_class(bank.reference(record, record.split), columns, record.definition)


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _show_live(settings: Settings, server: str, ref: str) -> None:
    from taskbank.serve.client import connect

    with connect(server) as client:
        comparisons = client.comparisons(ref)
    if settings.json:
        print_json(comparisons)
        return
    if not comparisons:
        settings.say(
            f"nothing to compare: point the alias shadow at a version of {ref}, and start the "
            "server with --shadow"
        )
        return
    print_table(
        ("version", "shadow", ">inputs", ">agree", ">95% interval", ">moved", ">at most"),
        [
            (
                f"{one['task']}@{one['version']}",
                f"{one['task']}@{one['shadow']}",
                f"{one['rows']:,}",
                f"{one['agreement']:.4f}",
                f"{one['agreement_low']:.4f} to {one['agreement_high']:.4f}",
                f"{one['mean_moved']:.4f}",
                f"{one['most_moved']:.4f}",
            )
            for one in comparisons
        ],
    )
