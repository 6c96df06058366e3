"""The jobs of a verification: what workers do for it.

Predictions are recorded immediately, so an interrupted verification can be resumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbank.digests import Json
from taskbank.errors import ResourceError, TaskbankError
from taskbank.runtime.environment import environment
from taskbank.runtime.resources import translate_lack
from taskbank.specs import BackboneIdentity
from taskbank.verify.journal import Journal
from taskbank.verify.observer import Observer
from taskbank.verify.subject import Subject
from taskbank.verify.terms import Terms
from taskbank.verify.verdict import Evidence
from taskbank.workers.job import PartlyDone

if TYPE_CHECKING:
    from taskbank.workers.worker import Worker


@dataclass(frozen=True)
class DescribeEnvironment:
    """Says what a worker computes with: a job.

    Attributes:
        device: the device that it computes on.
    """

    device: str
    name: str = "environment"
    size: int = 0

    def run(self, _worker: Worker) -> dict[str, Json]:
        """Return the versions, and the device and threads."""
        return environment(self.device)


@dataclass(frozen=True)
class IdentifyBackbone:
    """Loads a backbone of which only the place is known: a job.

    Attributes:
        spec: where to load it from.
        device: the device to load it to.
    """

    spec: str
    device: str
    name: str = "backbone"
    size: int = 0

    def run(self, worker: Worker) -> BackboneIdentity:
        """Return the backbone's identity."""
        return worker.identify(self.spec, self.device)


@dataclass(frozen=True)
class Predicted:
    """What was found by predicting.

    Attributes:
        evidence: the evidence of every adapter, or of those before the job ended early.
        unrecorded: why predictions could not be recorded; empty if they were.
        backbone: why the backbone cannot be used; None if it can.
    """

    evidence: tuple[Evidence, ...] = ()
    unrecorded: tuple[str, ...] = ()
    backbone: str | None = None


@dataclass(frozen=True)
class PredictAdapters:
    """Predicts the stored splits of adapters of one backbone: a job.

    Attributes:
        groups: the adapters, in groups.
        backbone: the backbone to predict with.
        terms: the terms of the verification.
    """

    groups: tuple[Sequence[Subject], ...]
    backbone: BackboneIdentity
    terms: Terms

    @property
    def name(self) -> str:
        """The first adapter."""
        return self.groups[0][0].ref

    @property
    def size(self) -> int:
        """Number of adapters."""
        return sum(len(group) for group in self.groups)

    def run(self, worker: Worker) -> Predicted:
        """Predict, and record the predictions; see `Job.run`."""
        try:
            backbone = worker.backbone(self.backbone, self.terms.conditions.device)
        except ResourceError:
            raise
        except TaskbankError as error:
            return Predicted(backbone=str(error))
        journal = Journal(worker.bank.verification_log, self.terms.run)
        observer = Observer(worker.bank, backbone, self.terms, journal)
        evidence: list[Evidence] = []
        try:
            with self.terms.conditions.apply(), translate_lack():
                for item in observer.observe(self.groups):
                    evidence.append(item)
                    worker.advance(1)
        except ResourceError as error:
            raise PartlyDone(error, Predicted(tuple(evidence), tuple(journal.problems))) from None
        return Predicted(tuple(evidence), tuple(journal.problems))
