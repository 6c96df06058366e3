"""The description of the server, and requests made after it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from taskbank.bank.backup import back_up
from taskbank.bank.bank import Bank
from taskbank.runtime.clock import now
from taskbank.serve.http.application import ADMIN, INTERFACES, PAGES, application
from taskbank.serve.http.keys import Key, hash_of
from taskbank.serve.http.openapi import PARAMETER, description, endpoint
from taskbank.serve.http.openapi_schemas import TEXTS
from taskbank.serve.http.options import serve_options
from taskbank.serve.http.routes import Interface
from taskbank.serve.http.service import Service

EXAMPLES = 12  # of each operation, besides those at the bounds of its schemas
TASKS = ["single", "single@1", "single@live", "multilabel", "regression", "pair", "span", "nothing"]
POSITIVE = ["2xx", 401, 403, 404, 409, 429]
SECRET = "tb_known-to-this-test"
DESCRIBED = [*INTERFACES, ADMIN]
DESCRIBED.append(Interface("openapi", [endpoint(DESCRIBED)]))


def made_of_description() -> Any:
    """Return the requests that schemathesis makes of the description, with names that there are."""
    raw = description(DESCRIBED, has_keys=True)
    schemas = raw["components"]["schemas"]
    one_text = {
        "name": {"const": "text"},
        "datatype": {"const": "BYTES"},
        "shape": {"const": [1]},
        "data": TEXTS | {"maxItems": 1},
    }
    raw["components"]["schemas"] = schemas | {
        "Task": {"enum": TASKS},
        "Name": {"enum": ["single", "multilabel"]},
        "InputTensor": schemas["InputTensor"] | {"properties": one_text},
    }
    config = SchemathesisConfig.from_dict(
        {
            "auth": {"openapi": {"key": {"bearer": SECRET}}},
            "generation": {"max-examples": EXAMPLES, "deterministic": True},
            # A request can suit the interface, but not the task that it is for.
            "checks": {"positive_data_acceptance": {"expected-statuses": [*POSITIVE, 422, 424]}},
        }
    )
    loaded = schemathesis.openapi.from_dict(raw, config=config)
    loaded.app = lent
    return loaded


async def lent(scope: Scope, receive: Receive, send: Send) -> None:
    """Stand for the application, which there is in the tests only, and is started by them."""
    if scope["type"] == "http":
        await LENT["app"](scope, receive, send)


LENT: dict[str, ASGIApp] = {}
MADE = made_of_description()


@pytest.fixture(scope="module")
def served(every_kind: Bank, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An application with a copy of the bank, whose aliases may be moved, and an admin's key."""
    place = tmp_path_factory.mktemp("described")
    back_up(every_kind.url, place / "bank.db")
    key = Key("tester", "admin", hash_of(SECRET), now())
    (place / "keys").write_text(json.dumps(asdict(key)))
    with Bank(f"sqlite:///{place}/bank.db") as bank:
        service = Service(bank, serve_options(admin=True), place / "keys")
        service.start()
        LENT["app"] = application(service)
        yield LENT["app"]
        service.stop()


@pytest.fixture(scope="module")
def described(served: Any) -> dict[str, Any]:
    """The description, as the server sends it."""
    headers = {"authorization": f"Bearer {SECRET}"}
    found = TestClient(served).get("/openapi.json", headers=headers)
    assert found.status_code == 200
    answer: dict[str, Any] = found.json()
    return answer


def test_every_route_is_described(served: Any, described: dict[str, Any]) -> None:
    """Every path and method that is for programs, and no others, each with its parameters."""
    pages = {endpoint.path for endpoint in PAGES.endpoints}
    every = [route for route in served.app.routes if route.path not in pages]
    answers: list[Any] = [route.endpoint for route in every if isinstance(route, Route)]
    routes = {(one.path, method.lower()) for one in answers for method in one.by_method}
    paths = described["paths"]
    assert {(path, method) for path, methods in paths.items() for method in methods} == routes
    assert len({path for path, _ in routes}) == len(every)
    for path, methods in paths.items():
        for operation in methods.values():
            named = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
            assert named == PARAMETER.findall(path)
            assert operation["summary"].endswith(".")


def test_every_operation_has_its_own_schemas(described: dict[str, Any]) -> None:
    """None but the description itself answers with just any object, and each has its own name."""
    operations = [one for methods in described["paths"].values() for one in methods.values()]
    vague = [
        one["operationId"]
        for one in operations
        for content in one["responses"]["200"]["content"].values()
        if content["schema"] == {"type": "object"}
    ]
    assert vague == ["get_openapi_json"]
    assert len({one["operationId"] for one in operations}) == len(operations)
    references = set(re.findall(r"#/components/schemas/(\w+)", str(described)))
    assert references == described["components"]["schemas"].keys()


def test_keys_are_described(described: dict[str, Any]) -> None:
    """Only the probes need none."""
    assert described["security"] == [{"key": []}]
    without = [
        path
        for path, methods in described["paths"].items()
        if methods.get("get", {}).get("security") == []
    ]
    assert without == ["/live", "/ready", "/v2/health/live", "/v2/health/ready"]


@MADE.parametrize()  # type: ignore[untyped-decorator]
@settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_requests_made_of_the_description_are_answered_by_it(
    case: schemathesis.Case[Any], served: Any
) -> None:
    """Valid and invalid requests get a described status and answer, and never a server's error."""
    case.call_and_validate()
