"""`taskbank show`: show one adapter."""

from __future__ import annotations

import click

from taskbank.cli.output import print_fields, print_json, size
from taskbank.cli.settings import Settings, complete_task, data_options


@click.command()
@click.argument("ref", metavar="NAME[@VERSION|@ALIAS]", shell_complete=complete_task)
@data_options
@click.pass_obj
def show(settings: Settings, ref: str) -> None:
    """Show one adapter: scores, hyperparameters, splits, labels, tags, environment."""
    from taskbank.bank.open import open_bank
    from taskbank.digests import canonical_json

    with open_bank(settings.bank) as bank:
        record = bank[ref]
        backbone = bank.backbone(record.backbone).identity
    if settings.json:
        print_json(record.to_json() | {"backbone_spec": backbone.spec})
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
    for split in record.splits:
        fields[f"split {split.name}"] = f"{split.rows:,} examples of {split.origin}"
    for measured in record.metrics:
        fields[f"{measured.split} {measured.name}"] = (
            f"{measured.value:.4f} ± {measured.standard_error:.4f}"
        )
    fields |= {f"tag {key}": value for key, value in record.tags.items()}
    fields |= {f"training {key}": value for key, value in record.training.items()}
    environment = {k: v for k, v in record.environment.items() if not isinstance(v, dict | list)}
    fields["environment"] = ", ".join(f"{key} {value}" for key, value in environment.items())
    fields |= {f"setting {key}": _plain(value) for key, value in record.settings.items()}
    if record.labels:
        fields["labels"] = ", ".join(record.labels)
    print_fields(fields)


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
