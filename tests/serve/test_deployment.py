"""The examples of deployments fit the command, the routes and the times of the server."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from taskbank.cli.serve import serve
from taskbank.serve.http import health
from taskbank.serve.http.options import ServeOptions, serve_options
from taskbank.serve.ray import build

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
UNIT = EXAMPLES / "taskbank.service"
SERVE_OPTIONS = {field.name for field in fields(ServeOptions)}


def parsed(arguments: list[str]) -> dict[str, Any]:
    """Return the options of `taskbank serve` for some arguments, or fail."""
    return serve.make_context("serve", arguments).params


def unit_values() -> dict[str, str]:
    """Return the settings of the unit; a setting that is there twice has its last value."""
    lines = (line for line in UNIT.read_text().splitlines() if "=" in line and line[0] != "#")
    return dict(line.split("=", 1) for line in lines)


def test_the_unit_starts_the_server_and_waits_for_its_end() -> None:
    """The unit's command is valid, and systemd waits longer than an orderly end can take."""
    values = unit_values()
    command = shlex.split(values["ExecStart"])
    assert command[1] == "serve"
    options = parsed(command[2:])
    assert options["alias"] == "production"
    assert int(values["TimeoutStopSec"]) > options["drain"] + options["deadline"]


@pytest.mark.process
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """systemd's own check has nothing to say, once the command is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    program = tmp_path / "taskbank"
    program.touch(0o755)
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/taskbank/bin/taskbank", str(program)))
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True
    )
    said = [line for line in found.stderr.splitlines() if UNIT.name in line]
    assert said == []


def test_the_image_runs_the_server_as_a_user_of_its_own() -> None:
    """The image's command is valid, gets signals itself, and has no rights or secrets."""
    text = (EXAMPLES / "Dockerfile").read_text().replace("\\\n", " ")
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    by_name = {name: rest for name, rest in steps}
    command = yaml.safe_load(by_name["ENTRYPOINT"]) + yaml.safe_load(by_name["CMD"])
    assert command[:2] == ["taskbank", "serve"]
    options = parsed(command[2:])
    assert (options["host"], options["port"]) == ("0.0.0.0", int(by_name["EXPOSE"]))  # noqa: S104
    assert str(options["keys"]).startswith("/run/secrets/")
    assert [name for name, _ in steps].index("USER") < [name for name, _ in steps].index(
        "ENTRYPOINT"
    )
    assert by_name["USER"] != "root"


def test_the_manifest_asks_for_routes_that_there_are() -> None:
    """Probes ask for open routes, and a pod lives longer than an orderly end takes."""
    deployment, service = yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    paths = {endpoint.path for endpoint in health.ENDPOINTS}
    probes = [container[name] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert {probe["httpGet"]["path"] for probe in probes} == {"/ready", "/live"} <= paths
    options = parsed(container["args"])
    assert pod["terminationGracePeriodSeconds"] > options["drain"] + options["deadline"]
    # Readiness is asked for twice before the server stops to accept connections.
    assert options["drain"] > 2 * probes[1]["periodSeconds"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels == deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    (port,) = container["ports"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert port["containerPort"] == 8080
    secrets = {volume["name"]: volume for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == set(secrets)


def test_the_ray_manifest_asks_for_a_deployment_that_there_is() -> None:
    """Its arguments are valid, its replicas have room and keys, and only the server's port is open
    to everybody."""
    service, policy = yaml.safe_load_all((EXAMPLES / "kuberay.yaml").read_text())
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    (application,) = config["applications"]
    assert application["import_path"] == f"{build.__module__}:{build.__name__}"
    args = application["args"]
    given = {name: value for name, value in args.items() if name in SERVE_OPTIONS}
    assert set(args) - set(given) == {"keys", "replicas", "threads"}
    options = serve_options(**given)

    cluster = service["spec"]["rayClusterConfig"]
    (workers,) = cluster["workerGroupSpecs"]
    per_worker = int(workers["rayStartParams"]["num-cpus"]) // args["threads"]
    assert per_worker * workers["replicas"] >= args["replicas"]
    pod = workers["template"]["spec"]
    (container,) = pod["containers"]
    assert int(container["resources"]["requests"]["cpu"]) >= per_worker * args["threads"]
    assert pod["terminationGracePeriodSeconds"] > options.deadline
    (mount,) = container["volumeMounts"]
    assert args["keys"].startswith(f"{mount['mountPath']}/")
    assert [mount["name"]] == [volume["name"] for volume in pod["volumes"]]
    assert [variable["name"] for variable in container["env"]] == ["TASKBANK_BANK"]

    assert cluster["authOptions"] == {"mode": "token"}
    own, everybody = policy["spec"]["ingress"]
    assert "from" in own
    assert [port["port"] for port in everybody["ports"]] == [config["http_options"]["port"]]
    for group in (cluster["headGroupSpec"], workers):
        labels = group["template"]["metadata"]["labels"]
        assert labels == policy["spec"]["podSelector"]["matchLabels"]
        ports = group["template"]["spec"]["containers"][0]["ports"]
        assert {"name": "serve", "containerPort": config["http_options"]["port"]} in ports


def test_ray_accepts_the_configuration() -> None:
    """Ray Serve's own schema and our builder have nothing against it."""
    pytest.importorskip("ray")
    pytest.importorskip("fastapi")
    from ray.serve.schema import ServeDeploySchema

    service, _ = yaml.safe_load_all((EXAMPLES / "kuberay.yaml").read_text())
    config = ServeDeploySchema.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"]))
    (application,) = config.applications
    build(application.args)
