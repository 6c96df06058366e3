"""`taskbank serve`: every task of a bank over HTTP, on one encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from taskbank.checks import LARGEST
from taskbank.cli import signals
from taskbank.cli.output import echo, print_json
from taskbank.cli.settings import Settings, data_options
from taskbank.errors import InputError
from taskbank.runtime.startup import collection_paused

COUNT = click.IntRange(1, LARGEST)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Interface to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 takes any free one.",
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="GLOB",
    help="Serve only tasks of this name, or that match this pattern; repeatable.",
)
@click.option(
    "--alias",
    metavar="ALIAS",
    help="Version that a plain name means: the one with this alias; tasks without it are not "
    "served.  [default: the newest version]",
)
@click.option("--keys", type=click.Path(path_type=Path), metavar="FILE", help="Keys of clients.")
@click.option("--admin", is_flag=True, help="Let clients with an admin key move aliases.")
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Answer requests for this host name too, such as that of a proxy; * answers for any; "
    "repeatable.  [default: names of the loopback and --host; any if others can reach --host]",
)
@click.option("--max-batch-tokens", type=COUNT, metavar="N", help="Tokens of a batch, at most.")
@click.option(
    "--queue", type=COUNT, metavar="N", default=16_384, show_default=True, help="Rows that wait."
)
@click.option(
    "--deadline",
    type=click.FloatRange(0.001, 86_400),
    metavar="S",
    default=60,
    show_default=True,
    help="Seconds after which a request is answered with an error.",
)
@click.option(
    "--memory",
    type=COUNT,
    metavar="BYTES",
    default=1 << 28,
    show_default=True,
    help="Loaded adapters, at most; the least recently used are unloaded.",
)
@click.option("--preload", is_flag=True, help="Load adapters before the first request.")
@click.option(
    "--drain",
    type=click.FloatRange(0, 3600),
    metavar="S",
    default=5,
    show_default=True,
    help="Seconds to serve on after SIGTERM, until every balancer knows.",
)
@click.option(
    "--max-body", type=COUNT, metavar="BYTES", default=8 << 20, show_default=True,
    help="Size of a request's body, at most.",
)  # fmt: skip
@click.option(
    "--max-rows", type=COUNT, metavar="N", default=10_000, show_default=True,
    help="Inputs of a request, at most.",
)  # fmt: skip
@click.option(
    "--max-tokens", type=COUNT, metavar="N", default=1 << 20, show_default=True,
    help="Tokens of a request, at most.",
)  # fmt: skip
@click.option(
    "--canary",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    default=0,
    help="Share of the requests that the alias canary answers, where a task has it.",
)
@click.option(
    "--shadow",
    is_flag=True,
    help="Compute the alias shadow beside each answer, where a task has it, and compare.",
)
@click.option("--access-log/--no-access-log", default=True, help="Log one line per request.")
@click.option("--backbone", metavar="SPEC", help="New source of the backbone, if it moved.")
@click.option("--device", help="cpu or cuda.  [default: a GPU if there is one]")
@data_options
@click.pass_obj
def serve(
    settings: Settings,
    /,
    host: str,
    port: int,
    keys: Path | None,
    drain: float,
    allowed_hosts: tuple[str, ...],
    **options: Any,
) -> int:
    """Answer requests over HTTP with every task of the bank, on one encoder, and show pages of it.

    What is recorded while the server runs is served within two seconds. SIGTERM ends it in order.
    """
    from taskbank.serve import check_extra

    check_extra()
    from taskbank.serve.http.hosts import hosts_of, is_loopback

    options["allowed_hosts"] = hosts_of(host, allowed_hosts)
    if keys is None and not is_loopback(host):
        raise InputError(
            f"--host {host} can be reached from other machines, so clients need keys: make one "
            "with taskbank keys add NAME --keys FILE, and give --keys FILE"
        )
    with signals.ended_by_termination():
        _serve(settings, host, port, keys, drain, options)
    return 0


def _serve(
    settings: Settings, host: str, port: int, keys: Path | None, drain: float, given: dict[str, Any]
) -> None:
    with collection_paused():
        from taskbank.bank.open import open_bank
        from taskbank.serve.http.log_lines import log_to_stderr
        from taskbank.serve.http.options import serve_options
        from taskbank.serve.http.run import open_socket, run
        from taskbank.serve.http.service import Service

    log_to_stderr()
    options = serve_options(**given)
    with open_bank(settings.bank) as bank, open_socket(host, port) as listening:
        service = Service(bank, options, keys)
        if options.preload:
            for problem in service.preload():
                echo(f"not loaded: {problem}", err=True)
        address, number = listening.getsockname()[:2]
        url = f"http://{f'[{address}]' if ':' in address else address}:{number}"

        def say() -> None:
            if settings.json:
                print_json({"url": url, "backbone": service.backbone.identity.fingerprint})
            settings.say(f"serving {len(bank.tasks()):,} tasks at {url}")

        run(service, listening, drain, say)
