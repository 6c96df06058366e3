"""The training rows of an adapter: stored with it, checked, exported as digests, gone with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.data.examples import Examples
from taskbank.data.row_digests import HEADER, RowDigests, digests_of
from taskbank.digests import digest_bytes
from taskbank.errors import DamagedError, InputError, NotFoundError
from taskbank.interchange.export import export_adapter
from taskbank.interchange.untrusted import ROW_DIGESTS, parse_adapter, read_description
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import as_new, new_adapter, training_rows
from tests.helpers.tampering import rewrite

TRAIN = Examples({"text": ("one", "two"), "label": ("bad", "good")}, "train.csv")
WITH_ROWS = training_rows(TRAIN)


def test_digests_and_rows_come_out_as_they_went_in(stored: Bank) -> None:
    """In every blob store; an adapter without them says what to do."""
    record = stored.put(new_adapter(**WITH_ROWS))
    assert stored.row_digests(record) == RowDigests.of(digests_of(TRAIN, "label"))
    assert stored.kept_rows(record).columns == TRAIN.columns
    assert stored["mood"] == record
    assert verify_all(stored, level="integrity").ok
    without = stored.put(new_adapter("other", seed=1))
    with pytest.raises(NotFoundError, match="add-task --new-version"):
        stored.row_digests(without)
    with pytest.raises(NotFoundError, match="--keep-rows"):
        stored.kept_rows(without)


def test_they_go_with_the_last_adapter_that_needs_them(stored: Bank) -> None:
    """Equal rows are stored once; gc destroys them when no version in use has them."""
    stored.put(new_adapter(**WITH_ROWS))
    second = stored.put(new_adapter(seed=1, **WITH_ROWS), new_version=True)
    stored.remove("mood@1")
    assert stored.gc(confirm=True).blobs == 3  # weights, examples and predictions
    assert stored.kept_rows(second).columns == TRAIN.columns
    stored.remove("mood@2")
    assert stored.gc(confirm=True).blobs == 5
    assert verify_all(stored, level="integrity").findings[0].check == "empty"


@pytest.mark.parametrize("column", ["row_digests", "kept_rows"])
@pytest.mark.parametrize("data", [None, b"", HEADER + b"x" * 10, b'{"text":"no"}\n'])
def test_damage_is_found(own: Bank, column: str, data: bytes | None) -> None:
    """Missing and changed bytes make the adapter damaged, and are never read."""
    record = own.put(new_adapter(**WITH_ROWS))
    digest = getattr(record, column)
    if data is None:
        rewrite(own, "DELETE FROM blobs WHERE digest = ?", digest)
    else:
        rewrite(own, "UPDATE blobs SET data = ? WHERE digest = ?", data, digest)
    checks = {one.check for one in verify_all(own, level="integrity").findings}
    assert "rows" in checks
    with pytest.raises(DamagedError):
        (own.row_digests if column == "row_digests" else own.kept_rows)(record)


def test_kept_rows_that_are_not_those_of_the_digests_are_found(bank: Bank) -> None:
    """Both are checked against each other."""
    other = training_rows(TRAIN.select([0], "less"))
    bank.put(new_adapter(row_digests=other["row_digests"], kept_rows=WITH_ROWS["kept_rows"]))
    (finding,) = verify_all(bank, level="integrity").findings
    assert finding.check == "rows"
    assert "not those of the recorded digests" in finding.message


def test_an_export_has_the_digests_and_not_the_rows(bank: Bank, tmp_path: Path) -> None:
    """Nobody gives training data away by exporting a task; what was changed is refused."""
    bank.put(new_adapter(**WITH_ROWS))
    folder = tmp_path / "out"
    export_adapter(bank, "mood", folder)
    assert not any(b"two" in file.read_bytes() for file in folder.iterdir())
    description = read_description(folder / "adapter.json")
    assert "kept_rows" not in description
    new = parse_adapter(folder, description, None)
    assert new.row_digests == WITH_ROWS["row_digests"]
    (folder / ROW_DIGESTS).write_bytes(HEADER + b"x" * 64)
    with pytest.raises(InputError, match="was changed since it was exported"):
        parse_adapter(folder, description, None)


def test_hostile_digests_are_not_imported(bank: Bank, tmp_path: Path) -> None:
    """A file whose digest fits, and whose content is in another form, is refused."""
    from taskbank.pipeline.import_adapter import import_adapter

    bank.put(new_adapter(**WITH_ROWS))
    folder = tmp_path / "out"
    export_adapter(bank, "mood", folder)
    hostile = HEADER + b"b" * 64 + b"a" * 64
    (folder / ROW_DIGESTS).write_bytes(hostile)
    description = json.loads((folder / "adapter.json").read_text())
    description["row_digests"] = digest_bytes(hostile)
    (folder / "adapter.json").write_text(json.dumps(description))
    with create_bank(f"sqlite:///{tmp_path}/new.db") as new:
        with pytest.raises(InputError, match="not in ascending order"):
            import_adapter(new, folder)
        assert len(new) == 0


def test_an_adapter_copied_to_another_bank_has_the_same_rows(bank: Bank, tmp_path: Path) -> None:
    """Seals and digests do not depend on the bank."""
    record = bank.put(new_adapter(**WITH_ROWS))
    with create_bank(f"sqlite:///{tmp_path}/new.db") as new:
        copied = new.put(as_new(bank, record))
        assert (copied.row_digests, copied.kept_rows) == (record.row_digests, record.kept_rows)
