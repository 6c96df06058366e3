"""Where `taskbank predict` gets its predictions: a bank that it opens, or a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from taskbank.runtime.startup import collection_paused

if TYPE_CHECKING:
    from taskbank.bank.bank import Bank
    from taskbank.data.fields import Field
    from taskbank.serve.client import Client
    from taskbank.serve.prediction import Prediction


@dataclass(frozen=True)
class Predicted:
    """A version of a task to predict with.

    Attributes:
        ref: the version's full name.
        fields: the fields of an input.
        max_length: maximum number of tokens that the task reads of an input.
    """

    ref: str
    fields: tuple[Field, ...]
    max_length: int


class Source(Protocol):
    """Predicts with the tasks that it has."""

    def names(self) -> Sequence[str]:
        """Return the names of all tasks, in order."""

    def get(self, ref: str) -> Predicted:
        """Return a version.

        Raises:
            NotFoundError: if there is none.
        """

    def predict(self, refs: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[Prediction]]:
        """Return the predictions of several versions for the same inputs."""


class BankSource:
    """Predicts in this process, with a bank and its encoder."""

    def __init__(self, bank: Bank, backbone: str | None, device: str | None) -> None:
        self.bank, self.backbone, self.device = bank, backbone, device

    def names(self) -> Sequence[str]:
        """Return the names of all tasks, in order."""
        return self.bank.tasks()

    def get(self, ref: str) -> Predicted:
        """Return a version."""
        from taskbank import plugins
        from taskbank.kinds.kind import input_fields

        record = self.bank[ref]
        fields = input_fields(plugins.load("kinds", record.kind), record.definition)
        return Predicted(record.ref, fields, record.training["max_length"])

    def predict(self, refs: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[Prediction]]:
        """Return the predictions of several versions for the same inputs."""
        from taskbank.serve.predictor import Predictor

        # Each adapter is used once, so caching them would not help.
        predictor = Predictor(self.bank, backbone=self.backbone, device=self.device, memory=0)
        return predictor.predict_many([(ref, rows) for ref in refs])


class ServerSource:
    """Lets a server predict."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def names(self) -> Sequence[str]:
        """Return the names of all tasks, in order."""
        return sorted({str(task["task"]) for task in self.client.tasks()})

    def get(self, ref: str) -> Predicted:
        """Return a version."""
        served = self.client.task(ref)
        return Predicted(served.ref, served.fields, served.max_length)

    def predict(self, refs: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[Prediction]]:
        """Return the predictions of several versions for the same inputs."""
        inputs = [row[0] if len(row) == 1 else list(row) for row in rows]
        return self.client.predict_many([(ref, inputs) for ref in refs])


@contextmanager
def open_source(
    bank: str, server: str | None, backbone: str | None, device: str | None
) -> Iterator[Source]:
    """Open a server, or a bank if no server is named.

    Raises:
        InputError: if the URL of the bank or of the server is invalid.
    """
    if server is not None:
        from taskbank.serve.client import connect

        with connect(server) as client:
            yield ServerSource(client)
        return
    with collection_paused():
        import taskbank.serve.predictor  # noqa: F401
        from taskbank.bank.open import open_bank
    with open_bank(bank) as opened:
        yield BankSource(opened, backbone, device)
