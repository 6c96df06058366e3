"""`/live`, `/ready`, `/info` and `/metrics`: for orchestrators and monitoring."""

from __future__ import annotations

import time
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from taskbank.serve.http.problems import Problem
from taskbank.serve.http.routes import Endpoint
from taskbank.serve.http.service import Service
from taskbank.version import __version__


async def live(_service: Service, _request: Request) -> Any:
    """Say that the process runs."""
    return {"status": "live"}


async def ready(service: Service, _request: Request) -> Any:
    """Say whether requests should be sent here.

    The encoder has been loaded and compared with the recorded one before requests are accepted.
    """
    if not service.ready:
        raise Problem(503, "draining", "the server is about to end", {"retry-after": "1"})
    return {"status": "ready"}


async def info(service: Service, _request: Request) -> Any:
    """Describe the server: its versions, its encoder and its limits."""
    options = service.options
    identity = service.backbone.identity
    return {
        "taskbank": __version__,
        "backbone": {
            "fingerprint": identity.fingerprint,
            "model_type": identity.model_type,
            "parameters": identity.parameters,
            "max_length": identity.max_length,
            "device": str(service.backbone.device),
        },
        "tasks": list(options.tasks) or ["*"],
        "alias": options.alias,
        "canary": options.canary,
        "shadow": options.shadow,
        "admin": options.admin,
        "limits": {
            "batch_tokens": service.batch_tokens,
            "queue_rows": options.queue,
            "deadline_seconds": options.deadline,
            "body_bytes": options.max_body,
            "rows": options.max_rows,
            "tokens": options.max_tokens,
            "memory_bytes": options.memory,
        },
        "resident": {"adapters": len(service.cache), "bytes": service.cache.bytes},
        "waiting_rows": 0 if service.engine is None else service.engine.waiting_rows,
        "uptime_seconds": round(time.time() - service.started_at, 1),
    }


async def metrics(service: Service, _request: Request) -> Any:
    """Return the counts in Prometheus's text format."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


ENDPOINTS = (
    Endpoint("/live", live),
    Endpoint("/ready", ready),
    Endpoint("/info", info),
    Endpoint("/metrics", metrics),
)
