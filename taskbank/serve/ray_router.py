"""Sends the requests for a task to the replica that has its adapter loaded.

Every task has an order of the replicas, from hashes of both names (rendezvous hashing: Thaler and
Ravishankar, 1998). Its requests go to the first one that is not busy, so that this replica loads
the adapter once and keeps it. Proxies agree without asking each other; when a replica comes or
goes, only the tasks that it is the first for change their place.
"""

from __future__ import annotations

import random
import re
from hashlib import sha256

from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica

# Requests with a replica from which on the next one of the order is asked. With fewer, a batch is
# not full, and the next replica would load the adapter for nothing.
BUSY = 8
TASK = re.compile(rb"/(?:tasks|models)/([\w.-]+)")


def task_of(request: PendingRequest) -> str:
    """Return the task that a request is for; empty if it names none where a router can see it.

    A client can name it in Ray's own header, `serve_multiplexed_model_id`. Otherwise it is in the
    path. Ray hands a request on as a pickle, in which a path is written as it is; it is searched
    and not unpickled. The body, which may name tasks, has not come yet.

    Args:
        request: the request.
    """
    if request.metadata.multiplexed_model_id:
        return request.metadata.multiplexed_model_id
    content = next(iter(request.args), None)
    found = TASK.search(content) if isinstance(content, bytes) else None
    return "" if found is None else found[1].decode()


class TaskRouter(RequestRouter):
    """Chooses the replica of a request."""

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Return the replicas to ask, in order; of those in one list, the one with least to do.

        Args:
            candidate_replicas: the replicas that run.
            pending_request: the request.
        """
        some = random.sample(candidate_replicas, min(2, len(candidate_replicas)))
        if pending_request is None:
            return [some]
        # If all of these refuse, Ray asks again; without this it would not pause before.
        pending_request.routing_context.should_backoff = True
        task = task_of(pending_request)
        if not task:
            return [some]
        order = sorted(candidate_replicas, key=lambda one: _weight(task, one), reverse=True)
        return [*([one] for one in order if self._waiting(one) < BUSY), some]

    def _waiting(self, replica: RunningReplica) -> int:
        return self.replica_queue_len_cache.get(replica.replica_id) or 0


def _weight(task: str, replica: RunningReplica) -> bytes:
    return sha256(f"{task} {replica.replica_id.unique_id}".encode()).digest()
