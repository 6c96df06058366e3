"""`taskbank init`: create a bank and record a backbone."""

from __future__ import annotations

import click

from taskbank.cli.head import current_head
from taskbank.cli.output import print_fields, print_json
from taskbank.cli.settings import Settings, data_options
from taskbank.runtime.startup import collection_paused


@click.command()
@click.option(
    "--backbone",
    required=True,
    metavar="SPEC",
    help="A hub id (optionally @revision), a folder, or package:NAME/FOLDER.",
)
@click.option("--blobs", metavar="URL", help="Folder or fsspec URL to store weights and splits in.")
@data_options
@click.pass_obj
def init(settings: Settings, backbone: str, blobs: str | None) -> None:
    """Create a bank, or open an existing one, and record a backbone in it.

    Weights are stored in the catalog unless --blobs names another location.
    """
    with collection_paused():
        from taskbank.bank.url import redacted_url
        from taskbank.pipeline.init import init as make

    recorded = make(settings.bank, backbone, blobs=blobs)
    identity = recorded.identity
    fields: dict[str, object] = {
        "bank": redacted_url(settings.bank),
        "backbone": identity.spec,
        "fingerprint": recorded.fingerprint,
        "model_type": identity.model_type,
        "parameters": identity.parameters,
        "hidden_size": identity.hidden_size,
        "layers": identity.layers,
        "max_length": identity.max_length,
        "pooling": identity.pooling,
    }
    fields["head"] = current_head(settings)
    if settings.json:
        print_json(fields)
    elif not settings.quiet:
        print_fields(fields | {"parameters": f"{identity.parameters:,}"})
