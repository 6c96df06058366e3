"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from taskbank.errors import InputError, ResourceError
from taskbank.runtime.files import (
    ABANDONED_AFTER,
    unfinished_file,
    unfinished_files,
    write_file,
    write_folder,
)


def entries(folder: Path) -> set[str]:
    """Return the names of everything in a folder."""
    return {path.name for path in folder.iterdir()}


def test_a_file_takes_its_place_whole(tmp_path: Path) -> None:
    """Until the end the old content is there; then the new one is, with the old mode."""
    place = tmp_path / "report.html"
    write_file(place, b"old")
    place.chmod(0o640)
    with unfinished_file(place) as file:
        file.write(b"new")
        assert place.read_bytes() == b"old"
    assert place.read_bytes() == b"new"
    assert place.stat().st_mode & 0o777 == 0o640
    assert entries(tmp_path) == {"report.html"}


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_what_is_interrupted_leaves_what_was_there(tmp_path: Path, failure: BaseException) -> None:
    """A full disk or Ctrl-C in the middle changes nothing and leaves nothing behind."""
    place = tmp_path / "report.html"
    write_file(place, b"old")

    def write() -> None:
        with unfinished_file(place) as file:
            file.write(b"half of ")
            raise failure

    with pytest.raises(type(failure)):
        write()
    assert place.read_bytes() == b"old"
    assert entries(tmp_path) == {"report.html"}


def test_a_file_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the file and the reason."""

    def full(_number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match=r"a\.xml could not be written: No space left"):
        write_file(tmp_path / "a.xml", b"")
    assert not entries(tmp_path)
    with pytest.raises(InputError, match=r"b\.xml could not be written: No such file"):
        write_file(tmp_path / "nowhere" / "b.xml", b"")


def test_links_and_devices_remain_what_they_are(tmp_path: Path) -> None:
    """A link goes on leading to its file, and a device is written to."""
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "there" / "file")
    write_file(link, b"content")
    assert link.is_symlink()
    assert (tmp_path / "there" / "file").read_bytes() == b"content"
    write_file(Path(os.devnull), b"content")
    assert not Path(os.devnull).is_file()


def test_what_a_kill_left_is_removed_once_nobody_can_be_writing_it(tmp_path: Path) -> None:
    """The next write to a place removes old unfinished files of that place, and no others."""
    place = tmp_path / "report[1].html"
    left = [tmp_path / f".{name}.{age}.unfinished" for name in (place.name, "b") for age in (0, 1)]
    for path in left:
        path.write_text("half")
    long_ago = time.time() - ABANDONED_AFTER - 1
    for path in (left[1], left[3]):
        os.utime(path, (long_ago, long_ago))
    assert unfinished_files(place) == left[:2] or unfinished_files(place) == left[1::-1]
    write_file(place, b"whole")
    assert entries(tmp_path) == {place.name, left[0].name, left[2].name, left[3].name}


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_has_all_of_its_files_or_none(
    tmp_path: Path, exists: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure at the last file leaves no folder, or the empty folder that was there."""
    place = tmp_path / "export"
    files = {"part/weights": b"1", "description": b"2"}
    if exists:
        place.mkdir()
    with monkeypatch.context() as patch:
        calls = iter([None, OSError(errno.ENOSPC, "full")])

        def sync(_number: int) -> None:
            failure = next(calls)
            if failure:
                raise failure

        patch.setattr(os, "fsync", sync)
        with pytest.raises(OSError, match="full"):
            write_folder(place, files)
    assert entries(tmp_path) == ({"export"} if exists else set())
    write_folder(place, files)
    assert entries(tmp_path) == {"export"}
    assert {name: (place / name).read_bytes() for name in files} == files
    assert entries(place) == {"part", "description"}
