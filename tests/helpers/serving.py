"""Services and clients of the HTTP server, in the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from starlette.testclient import TestClient

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.serve.http.application import application
from taskbank.serve.http.options import serve_options
from taskbank.serve.http.service import Service
from tests.helpers.adapters import as_new, put_model
from tests.helpers.models import moved

SIZE = {"size": 4}


def service_of(bank: Bank, keys: Path | None = None, **options: Any) -> Service:
    """Return a service of a bank, which has not been started."""
    return Service(bank, serve_options(**options), keys)


@contextmanager
def serving(service: Service, **headers: str) -> Iterator[TestClient]:
    """Start a service and yield a client, which sends some headers with each request."""
    with TestClient(application(service), headers=headers) as client:
        yield client


@contextmanager
def client_of(bank: Bank, keys: Path | None = None, **options: Any) -> Iterator[TestClient]:
    """Serve a bank and yield a client."""
    with serving(service_of(bank, keys, **options)) as client:
        yield client


def put_nan(bank: Bank, like: AdapterRecord, task: str) -> AdapterRecord:
    """Record a task like another one, but its outputs are NaN."""
    tensors = bank.state_dict(like)
    tensors["head.weight"] = torch.full_like(tensors["head.weight"], float("nan"))
    return bank.put(replace(as_new(bank, like), task=task, weights=save(tensors)))


def put_version(bank: Bank, backbone: Backbone, task: str, seed: int) -> AdapterRecord:
    """Record a further version of a task, with other weights."""
    model = moved(backbone, "houlsby", seed, **SIZE)
    return put_model(bank, task, model, SIZE, new_version=True)


def wrong(response: Any, status: int, kind: str) -> str:
    """Return the words of a problem, after a look at its status and kind."""
    body = response.json()
    assert (response.status_code, body["status"]) == (status, status), body
    assert body["type"] == f"urn:taskbank:problem:{kind}", body
    return str(body["detail"])
