"""`taskbank copy` and `taskbank restore`: what they print, and their exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from tests.helpers.adapters import fill_every_table, new_adapter
from tests.helpers.tampering import rewrite
from tests.helpers.terminal import Terminal


@pytest.fixture
def source(own: Bank, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A terminal on a SQLite bank that has rows of every kind."""
    fill_every_table(own)
    own.close()
    return Terminal(own.url, capsys)


def test_a_copy_is_shown_as_a_table_with_the_head_there(source: Terminal, url: str) -> None:
    """The table names what was copied, the remarks what stays; a second run says that there is
    nothing to copy."""
    create_bank(url).close()
    lines = source("copy", "--to", url).splitlines()
    assert lines[0].split() == ["what", "copied"]
    assert ["versions", "2"] in [line.split() for line in lines]
    assert lines[-2] == "11 blobs of 2.3 kB"
    with Bank(url) as bank:
        assert lines[-1] == f"head {bank.head().digest}"
        bank.alias("mood@2", "production")
    with Bank(source.bank) as bank:
        bank.alias("mood@2", "production")
    again = source("copy", "--to", url).splitlines()
    assert again[0] == "nothing to copy; already there: 2 versions"
    assert again[1].startswith("as it was: the alias mood@production points at version 2 here")
    assert source("copy", "--to", url, "--quiet") == ""
    shown = Terminal(url, source.capsys)("db", "current")
    assert "2 versions copied until 20" in shown


def test_the_json_of_a_copy(source: Terminal) -> None:
    """It has the source with its head, the counts, what stays and what is damaged."""
    url = "there.db"
    create_bank(url).close()
    found = source.json("copy", "--to", url, "--task", "mo*", "--rename", "mood=deux")
    with Bank(source.bank) as bank, Bank(url) as other:
        assert found["source"]["head"] == bank.head().digest
        assert found["head"] == other.head().digest
        assert other.tasks() == ("deux",)
    assert found["copied"]["versions"] == 2
    assert (found["present"], found["kept"], found["damaged"]) == (0, [], {})
    (copy,) = Terminal(url, source.capsys).json("db", "current")["copies"]
    assert copy["head"] == found["source"]["head"]


def test_exit_codes_of_a_copy(source: Terminal, tmp_path: Path) -> None:
    """A missing target and a conflict exit with 2, a damaged blob with 3 and its name."""
    url = "there.db"
    source("copy", "--to", "nowhere.db", code=2)
    assert "there is no bank at nowhere.db: create one with taskbank init" in source.err
    assert not (tmp_path / "nowhere.db").exists()
    with create_bank(url) as bank:
        bank.put(new_adapter("mood", seed=9))
    source("copy", "--to", url, code=2)
    assert "--rename mood=mood-2" in source.err
    source("copy", "--to", url, "--rename", "mood", code=2)
    with Bank(source.bank) as bank:
        rewrite(bank, "UPDATE blobs SET data = X'00' WHERE digest = ?", bank["mood"].digest)
    source("copy", "--to", url, "--rename", "mood=mood-2", code=3)
    assert "not copied: mood@2: blob sha256:" in source.err


def test_a_backup_is_restored_into_a_new_bank(source: Terminal, url: str) -> None:
    """`restore` creates the bank, and copies everything into it."""
    source("backup", "backup.db")
    assert "versions" in source("restore", "backup.db", "--to", url)
    assert source.json("restore", "backup.db", "--to", url)["present"] == 2
    with Bank(url) as bank, Bank(source.bank) as original:
        assert list(bank) == list(original)
