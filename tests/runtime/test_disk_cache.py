"""The cache: bounded, shared, and never wrong."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskbank.data import tokenization as tokens
from taskbank.data.encoded import Encoded
from taskbank.data.tokenization import encode, encode_windows
from taskbank.digests import digest_bytes
from taskbank.errors import InputError
from taskbank.runtime import cache_trust
from taskbank.runtime import disk_cache as cache
from taskbank.runtime.disk_cache import CACHE, LIMIT, cache_folder, clear, contents, find, store
from tests.helpers.backbones import make_tokenizer
from tests.helpers.processes import ended, start
from tests.helpers.rows import sentences

KEY = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


@pytest.fixture(autouse=True)
def _every_text_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tokens of any number of texts."""
    monkeypatch.setattr(tokens, "MIN_CACHED_TEXTS", 1)
    monkeypatch.setattr(cache, "_UNWRITABLE", set())
    monkeypatch.setattr(cache_trust, "_WARNED", set())


def put(key: str, content: bytes, part: str = "tokens") -> Path:
    """Store a file in two pieces."""
    path = store(part, key, len(content), [content[:2], memoryview(content)[2:]])
    assert path is not None
    return path


def test_what_was_stored_is_found() -> None:
    """A file is found by its key, with its content, and nothing else is left behind."""
    path = put(KEY, b"content")
    assert find("tokens", KEY) == path
    assert path.read_bytes() == b"content"
    assert find("tokens", OTHER) is None
    assert find("states", KEY) is None
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("spoilt", [b"", b"cont", b"Content", b"content and more"])
def test_a_file_that_is_not_as_it_was_written_is_said_and_removed(spoilt: bytes) -> None:
    """A file that was cut or changed is a warning that names it, and is not there any more."""
    path = put(KEY, b"content")
    path.write_bytes(spoilt)
    with pytest.warns(UserWarning, match=f"{path.name} is damaged and will be recomputed"):
        assert find("tokens", KEY) is None
    assert not path.exists()


def test_what_was_not_used_for_longest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the file goes that was used before the others; a look counts as use."""
    monkeypatch.setenv(LIMIT, str(250 / 2**30))
    paths = [put(f"sha256:{name * 64}", bytes(100)) for name in "ab"]
    for age, path in enumerate(paths):
        os.utime(path, (1000 + age, 1000 + age))
    assert find("tokens", "sha256:" + "a" * 64) == paths[0]
    third = put("sha256:" + "c" * 64, bytes(100), "states")
    assert [path.exists() for path in (*paths, third)] == [True, False, True]


def test_a_file_larger_than_the_bound_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """It removes nothing, and is no reason for a warning; a bound of nought keeps nothing."""
    path = put(KEY, b"content")
    monkeypatch.setenv(LIMIT, "0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store("tokens", OTHER, 1, [b"x"]) is None
    assert path.exists()


@pytest.mark.parametrize("value", ["ten", "-1", "nan", "inf"])
def test_a_bound_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """The error names the variable, its value and what to write."""
    monkeypatch.setenv(LIMIT, value)
    with pytest.raises(InputError, match=f"{LIMIT} is '{value}': write a number of GiB"):
        cache.size_limit()


def test_what_a_killed_process_left_goes_after_a_day() -> None:
    """A file that was never finished is left alone while it may be, and then removed."""
    put(KEY, b"content")
    young, old = (cache_folder() / "tokens" / f"{name}{cache.UNFINISHED}" for name in "ab")
    for path in (young, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * cache.ABANDONED_AFTER,) * 2)
    put(OTHER, b"content")
    assert young.exists()
    assert not old.exists()


def test_a_folder_that_cannot_be_written_to_is_said_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Tokens are the same without a cache, with one warning that says what to set."""
    whole = tokenised()
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    with pytest.warns(UserWarning, match=f"cannot be written to .*another folder in {CACHE}"):
        assert_same(tokenised(), whole)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(tokenised(), whole)


def test_a_disk_that_is_full_leaves_no_half_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written to its end is not there, and it is said."""

    def chunks() -> Any:
        yield b"first"
        raise OSError(28, "No space left on device")

    with pytest.warns(UserWarning, match="No space left on device"):
        assert store("tokens", KEY, 100, chunks()) is None
    assert list((cache_folder() / "tokens").iterdir()) == []


def tokenised(count: int = 30, **more: Any) -> Encoded:
    """Return some sentences, encoded."""
    texts = [row["text"] for row in sentences(count)]
    return encode(make_tokenizer(), {"text": texts}, ("text",), 12, **more)


def assert_same(found: Encoded, expected: Encoded) -> None:
    """Raise unless two encodings are the same."""
    assert found.flat.keys() == expected.flat.keys()
    assert (found.offsets == expected.offsets).all()
    for name, values in found.flat.items():
        assert values.dtype == expected.flat[name].dtype
        assert (values == expected.flat[name]).all()


def test_texts_are_tokenised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time the same arrays come from the file, whatever the loss is told."""
    whole = tokenised()
    monkeypatch.setattr(tokens, "_ids", None)  # nothing can be tokenised any more
    found = tokenised(targets={"targets": np.arange(30)})
    assert_same(found, whole)
    assert found.input_targets["targets"].tolist() == list(range(30))


def test_windows_are_tokenised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows come from the file with the places of their tokens."""
    texts = [" ".join(row["text"] for row in sentences(8, seed=seed)) for seed in range(5)]

    def encoded() -> Any:
        return encode_windows(make_tokenizer(), texts, 12, 3, before=["good bad"] * 5)

    whole, windows = encoded()
    monkeypatch.setattr(tokens, "_ids", None)
    found, again = encoded()
    assert_same(found, whole)
    for one, other in zip(again, windows, strict=True):
        assert one.example == other.example
        assert (one.starts == other.starts).all()
        assert (one.ends == other.ends).all()


@pytest.mark.parametrize("what", ["text", "length", "tokenizer", "second text"])
def test_other_inputs_are_other_tokens(what: str) -> None:
    """A text, a length, a rule of the tokenizer or a second text more is another file."""
    columns = {"text": ["good bad GOOD", "bad"], "more": ["good", "bad"]}
    encode(make_tokenizer(), columns, ("text",), 12)
    tokenizer, length = make_tokenizer(), 12
    names: tuple[str, ...] = ("text",)
    if what == "text":
        columns["text"] = ["good bad GOOD", "bad bad"]
    elif what == "length":
        length = 4
    elif what == "tokenizer":
        tokenizer.backend_tokenizer.normalizer = None
    else:
        names = ("text", "more")
    encode(tokenizer, columns, names, length)
    assert contents()[0].files == 2


def test_a_damaged_file_of_tokens_is_made_again() -> None:
    """A truncated file is a warning, and the tokens are right."""
    whole = tokenised()
    (path,) = (cache_folder() / "tokens").iterdir()
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.warns(UserWarning, match="is damaged and will be recomputed"):
        assert_same(tokenised(), whole)
    assert_same(tokenised(), whole)


def _share(folder: str, limit: str) -> None:
    os.environ[CACHE], os.environ[LIMIT] = folder, limit
    warnings.simplefilter("error")
    for turn in range(60):
        key = f"sha256:{turn % 7:064x}"
        content = bytes([turn % 7]) * 10_000
        path = find("states", key)
        if path is None:
            path = store("states", key, len(content), [content])
        assert path is not None
        try:
            found = path.read_bytes()
        except FileNotFoundError:  # another one made room
            continue
        assert found == content


@pytest.mark.process
def test_processes_share_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three processes that write, read and make room at once see whole files, and no warning."""
    limit = str(45_000 / 2**30)
    monkeypatch.setenv(LIMIT, limit)
    running = [start(_share, os.environ[CACHE], limit) for _ in range(3)]
    assert [ended(process) for process in running] == [0, 0, 0]
    assert sum(one.bytes for one in contents()) <= 70_000


def test_without_a_setting_the_cache_is_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be made again is kept where such things usually are."""
    monkeypatch.delenv(CACHE)
    monkeypatch.setenv("HOME", "/home/ada")
    assert cache_folder() == Path("/home/ada/.cache/taskbank")


def test_a_file_that_another_user_planted_is_not_used() -> None:
    """A file with the right key and the digest of its content, or a signature of other content or
    of another key, is a warning and not there any more."""
    signed = put(OTHER, b"content").name.rpartition("-")[2]
    key = KEY.removeprefix("sha256:")
    for suffix in (digest_bytes(b"planted").removeprefix("sha256:"), signed):
        planted = cache_folder() / "tokens" / f"{key}-{suffix}"
        planted.write_bytes(b"planted" if suffix != signed else b"content")
        with pytest.warns(UserWarning, match="or another user wrote it"):
            assert find("tokens", KEY) is None
        assert not planted.exists()


def test_clearing_follows_no_link(tmp_path: Path) -> None:
    """What a link leads to is neither counted, nor removed, nor used."""
    elsewhere = tmp_path / "documents"
    elsewhere.mkdir()
    (elsewhere / "letter").write_text("mine")
    put(KEY, b"content")
    (cache_folder() / "tokens" / "link").symlink_to(elsewhere / "letter")
    (cache_folder() / "states").symlink_to(elsewhere)
    assert [one.files for one in contents()] == [1, 0, 0]
    assert clear(["tokens"])[0].files == 1
    with pytest.raises(InputError, match=r"states is a link, and nothing is removed through"):
        clear(["states"])
    with pytest.warns(UserWarning, match="nothing is cached: .*states is a link"):
        assert store("states", KEY, 1, [b"x"]) is None
    assert find("states", KEY) is None
    assert [path.name for path in elsewhere.iterdir()] == ["letter"]


def test_a_cache_that_is_not_there_is_empty() -> None:
    """Nothing needs to exist to be counted or cleared."""
    assert [one.files for one in contents()] == [0, 0, 0]
    assert [one.files for one in clear(cache.PARTS)] == [0, 0, 0]
