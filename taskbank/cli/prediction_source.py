"""Where `taskbank predict` gets its predictions: a bank that it opens, or a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from taskbank.runtime.startup import collection_paused

if TYPE_CHECKING:
    from taskbank.bank.bank import Bank
    from taskbank.bank.records import AdapterRecord
    from taskbank.data.fields import Field
    from taskbank.digests import Json
    from taskbank.serve.client import Client
    from taskbank.serve.prediction import Prediction


@dataclass(frozen=True)
class Predicted:
    """A version of a task to predict with.

    Attributes:
        asked: the reference that was asked for.
        ref: the version's full name.
        fields: the fields of an input.
        max_length: maximum number of tokens that the task reads of an input.
    """

    asked: str
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

    def predict(
        self, versions: Sequence[Predicted], rows: Sequence[tuple[Json, ...]]
    ) -> list[list[Prediction]]:
        """Return the predictions of several versions for the same inputs."""


class BankSource:
    """Predicts with a bank and its encoder, in this process or on workers.

    Args:
        bank: an open bank.
        options: where and how to compute, as `taskbank.serve.predict_rows.predict_rows` takes it.
    """

    def __init__(self, bank: Bank, **options: Any) -> None:
        self.bank, self.options = bank, options
        self._records: dict[str, AdapterRecord] = {}

    def names(self) -> Sequence[str]:
        """Return the names of all tasks, in order."""
        return self.bank.tasks()

    def get(self, ref: str) -> Predicted:
        """Return a version."""
        from taskbank import plugins
        from taskbank.kinds.kind import input_fields

        record = self.bank[ref]
        self._records[record.ref] = record
        fields = input_fields(plugins.load("kinds", record.kind), record.definition)
        return Predicted(ref, record.ref, fields, record.training["max_length"])

    def predict(
        self, versions: Sequence[Predicted], rows: Sequence[tuple[Json, ...]]
    ) -> list[list[Prediction]]:
        """Return the predictions of several versions for the same inputs."""
        from taskbank.serve.predict_rows import predict_rows

        # An alias may have moved meanwhile: all rows get the versions that were found first.
        records = [self._records[version.ref] for version in versions]
        return predict_rows(self.bank, records, rows, **self.options)


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
        return Predicted(ref, served.ref, served.fields, served.max_length)

    def predict(
        self, versions: Sequence[Predicted], rows: Sequence[tuple[Json, ...]]
    ) -> list[list[Prediction]]:
        """Return the predictions of several versions for the same inputs."""
        inputs = [row[0] if len(row) == 1 else list(row) for row in rows]
        return self.client.predict_many([(version.asked, inputs) for version in versions])


@contextmanager
def open_source(bank: str, server: str | None, **options: Any) -> Iterator[Source]:
    """Open a server, or a bank if no server is named.

    Args:
        bank: the bank's URL.
        server: the server's URL; None means to open the bank.
        options: those of a `BankSource`.

    Raises:
        InputError: if the URL of the bank or of the server is invalid.
    """
    if server is not None:
        from taskbank.serve.client import connect

        with connect(server) as client:
            yield ServerSource(client)
        return
    with collection_paused():
        import taskbank.serve.predict_rows  # noqa: F401
        from taskbank.bank.open import open_bank
    with open_bank(bank) as opened:
        yield BankSource(opened, **options)
