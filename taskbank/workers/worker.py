"""A worker: a process that runs jobs, with the bank open and one backbone loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.errors import ResourceError, TaskbankError
from taskbank.model.load import confirm_backbone
from taskbank.runtime.device import pick_device
from taskbank.specs import BackboneIdentity

Kept = TypeVar("Kept")


class Worker:
    """What jobs need of the process that they run in.

    Args:
        bank: the bank, open.
        backbone: a backbone that is loaded already.

    Attributes:
        bank: the bank, open.
        advance: called by jobs with the number of steps that they have just done.
    """

    def __init__(self, bank: Bank, backbone: Backbone | None = None) -> None:
        self.bank = bank
        self.advance: Callable[[int], object] = lambda _steps: None
        self._loaded = backbone
        self._refused: dict[str, TaskbankError] = {}
        self._kept: dict[type, object] = {}

    def backbone(
        self, identity: BackboneIdentity, device: str, source: str | None = None
    ) -> Backbone:
        """Return a backbone, loaded; the one before it is released.

        Args:
            identity: the backbone's identity.
            device: the device to load it to.
            source: where to load it from; None means the place that the identity names.

        Raises:
            InputError: if it cannot be loaded there.
            BackboneMismatchError: if another backbone is there.
        """
        fingerprint = identity.fingerprint
        if self._loaded is not None and self._loaded.identity.fingerprint == fingerprint:
            return self._loaded
        if fingerprint in self._refused:  # every job would wait for the same answer
            raise self._refused[fingerprint]
        self._release()
        try:
            loaded = load_backbone(source or identity.spec, pick_device(device))
            confirm_backbone(self.bank, loaded.identity, identity)
        except ResourceError:  # a server that is away may be back for the next job
            raise
        except TaskbankError as error:
            self._refused[fingerprint] = error
            raise
        self._loaded = loaded
        return loaded

    def identify(self, spec: str, device: str) -> BackboneIdentity:
        """Load a backbone that nothing is known of yet, and return its identity.

        Args:
            spec: where to load it from.
            device: the device to load it to.

        Raises:
            InputError: if it cannot be loaded.
        """
        self._release()
        self._loaded = load_backbone(spec, pick_device(device))
        return self._loaded.identity

    def keep(self, cls: type[Kept], make: Callable[[], Kept]) -> Kept:
        """Return an object of a class, which is made once and kept for the jobs that follow.

        It goes when another backbone is loaded, so it may hold the one that `backbone` returned.

        Args:
            cls: its class.
            make: makes it.
        """
        if cls not in self._kept:
            self._kept[cls] = make()
        return cast(Kept, self._kept[cls])

    def _release(self) -> None:
        """Release the backbone, and all that was made with it: two may not fit into memory."""
        self._kept.clear()
        self._loaded = None
