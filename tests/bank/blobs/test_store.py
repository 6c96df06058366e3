"""What each blob store does beyond what the bank's tests ask of all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.bank.blobs.store import file_name
from taskbank.bank.open import create_bank
from taskbank.errors import DamagedError
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:../../x", "sha256:" + "G" * 64, "md5:" + "0" * 64]
)
def test_only_a_digest_becomes_a_file_name(digest: str) -> None:
    """Whatever a damaged row holds, no path outside the store is made of it."""
    with pytest.raises(DamagedError, match="is not a digest"):
        file_name(digest)


def test_gc_takes_blobs_that_a_crash_left_and_put_brings_back_what_gc_took(
    tmp_path: Path,
) -> None:
    """A blob without a row is garbage; one that gc takes between staging and recording is
    written again, so that no row is ever without its bytes."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db", str(tmp_path / "blobs")) as bank:
        bank._blobs.stage(b"left by a crash")
        new = new_adapter()
        real = bank._blobs.stage

        def stage_then_collect(data: bytes) -> None:
            real(data)
            if data == new.splits[0].logits:  # the last to be staged
                bank._blobs.stage = real  # type: ignore[method-assign]
                assert bank.gc(confirm=True).blobs == 4

        bank._blobs.stage = stage_then_collect  # type: ignore[method-assign]
        bank.put(new)
        assert verify_all(bank, level="integrity").ok
        assert len(list(bank._blobs.sizes())) == 3
