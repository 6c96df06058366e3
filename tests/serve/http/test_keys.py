"""Keys of clients are hashed in a file, which a server reads again when it changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.errors import ConflictError, InputError, NotFoundError
from taskbank.serve.http.keys import Keys, add_key, read_keys, remove_key


def test_a_key_is_found_by_its_secret_alone(tmp_path: Path) -> None:
    """The file never has a key, and only the key itself is found by its hash."""
    path = tmp_path / "keys"
    secret, admin = add_key(path, "web", "read"), add_key(path, "ops", "admin")
    assert secret not in path.read_text()
    keys = Keys(path)
    found, other = keys.find(secret), keys.find(admin)
    assert found is not None
    assert other is not None
    assert (found.name, found.scope, other.scope) == ("web", "read", "admin")
    for wrong in ("", secret[:-1], found.sha256, "\ud800", "x" * 100_000):
        assert keys.find(wrong) is None


def test_changes_of_the_file_are_followed(tmp_path: Path) -> None:
    """A key that is removed is refused, a new one accepted; a broken file changes nothing."""
    path = tmp_path / "keys"
    first = add_key(path, "first", "read")
    keys = Keys(path)
    second = add_key(path, "second", "read")
    remove_key(path, "first")
    keys.refresh()
    assert keys.find(first) is None
    assert keys.find(second) is not None
    path.write_text("no key\n")
    with pytest.raises(InputError, match="line 1"):
        keys.refresh()
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        keys.refresh()
    assert keys.find(second) is not None


def test_names_are_valid_and_unique(tmp_path: Path) -> None:
    """The first key's name is checked like any other, so that the file stays readable."""
    path = tmp_path / "keys"
    for name in ("", "a b", "x\ny", "-"):
        with pytest.raises(InputError, match="key name"):
            add_key(path, name, "read")
    assert not path.exists()
    add_key(path, "web", "read")
    with pytest.raises(ConflictError, match="web"):
        add_key(path, "web", "admin")
    with pytest.raises(NotFoundError, match="it has web"):
        remove_key(path, "other")
    remove_key(path, "web")
    assert read_keys(path) == []
    with pytest.raises(InputError, match="has no keys"):
        Keys(path)


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "{}",
        '{"name": "a", "scope": "all", "sha256": "' + "0" * 64 + '", "created_at": ""}',
        '{"name": "a", "scope": "read", "sha256": "short", "created_at": ""}',
        '{"name": "a", "scope": "read", "sha256": "' + "x" * 64 + '", "created_at": ""}',
        '{"name": 1, "scope": "read", "sha256": "' + "0" * 64 + '", "created_at": ""}',
    ],
)
def test_a_line_that_is_no_key_is_named(tmp_path: Path, line: str) -> None:
    """A broken file is refused with the number of its line."""
    path = tmp_path / "keys"
    add_key(path, "web", "read")
    path.write_text(path.read_text() + "\n" + line + "\n")
    with pytest.raises(InputError, match="line 3"):
        read_keys(path)
