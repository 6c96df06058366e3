"""Moves aliases over HTTP, for servers that were started with `--admin`."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request

from taskbank.serve.http.bodies import as_object, read_json
from taskbank.serve.http.native import named
from taskbank.serve.http.problems import Problem
from taskbank.serve.http.routes import Endpoint
from taskbank.serve.http.service import Service


async def move_alias(service: Service, request: Request) -> Any:
    """Point an alias of a task at a version."""
    body = as_object(await read_json(request, service.options.max_body), ("version",))
    version = body.get("version")
    if type(version) is not int or not 1 <= version < 10**9:
        raise Problem(422, "body", "version must be the number of a version")
    name, alias = request.path_params["name"], request.path_params["alias"]
    record = await service.record(f"{name}@{version}")
    await asyncio.to_thread(service.bank.alias, record.ref, alias)
    await asyncio.to_thread(service.tasks.refresh)
    return named(record) | {"alias": alias}


async def drop_alias(service: Service, request: Request) -> Any:
    """Drop an alias of a task."""
    name, alias = request.path_params["name"], request.path_params["alias"]
    await service.record(f"{name}@{alias}")
    await asyncio.to_thread(service.bank.drop_alias, name, alias)
    await asyncio.to_thread(service.tasks.refresh)
    return {"task": name, "alias": alias, "version": None}


ENDPOINTS = (
    Endpoint("/v1/tasks/{name}/aliases/{alias}", move_alias, "PUT", "admin"),
    Endpoint("/v1/tasks/{name}/aliases/{alias}", drop_alias, "DELETE", "admin"),
)
