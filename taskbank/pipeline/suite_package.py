"""Packs a suite or a task with the data files that it names, and nothing else, for another machine.

    suite.toml    unless it is one task
    data/…        what is named by a relative path

An absolute path is taken to be one of the other machine: what it names is not packed.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from taskbank.counts import size
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.pipeline.suite_file import path_keys, raise_problems, valid_entries

SUITE = "suite.toml"
DATA = Path("data")
# The files of a folder that `datasets` saved, of one data set or of several splits.
SAVED = ("[!.]*.arrow", "[!.]*.json", "[!.]*/[!.]*.arrow", "[!.]*/[!.]*.json")
MARKS = ("dataset_dict.json", "state.json")  # one of them is in such a folder
MAX_PACKED = (100 << 20) - 1  # bytes of a package that Ray's head keeps in memory
BLOCK = 1 << 20


@dataclass(frozen=True)
class SuitePackage:
    """A suite or a task, and the files that go with it.

    Attributes:
        tasks: the names of its tasks, in order.
        files: every file that is packed, by its name in the package.
        elsewhere: the absolute paths that it names, which the other machine must have.
    """

    tasks: tuple[str, ...]
    files: Mapping[str, Path]
    elsewhere: tuple[str, ...]

    def write(self, place: Path) -> None:
        """Write the package: a zip archive, with the same bytes for the same files.

        Args:
            place: the archive.

        Raises:
            InputError: if a file cannot be read, or the package becomes too large.
        """
        with zipfile.ZipFile(place, "w") as archive:
            for name, file in self.files.items():
                entry = zipfile.ZipInfo(name)  # dated 1980
                entry.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(entry, "w", force_zip64=True) as packed:
                    for block in _blocks(file):
                        packed.write(block)
                        _check_size(place)
        _check_size(place)


def plan_package(suite: Path, folder: Path) -> SuitePackage:
    """Return what to pack of a suite; only the suite itself is read.

    Args:
        suite: path of the TOML file.
        folder: the folder that relative paths refer to.

    Raises:
        InputError: if the suite is invalid, or a file is missing or outside the folder; the message
            lists every problem with its line.
    """
    entries, problems = valid_entries(suite, DATA)
    files: dict[str, Path] = {SUITE: suite}
    elsewhere: dict[str, None] = {}
    for entry in entries:
        for key in path_keys(entry.values):
            path = Path(entry.values[key])
            if path.is_absolute():
                elsewhere[str(path)] = None
                continue
            try:
                files |= _packed(path.relative_to(DATA), folder, key)
            except InputError as error:
                problems.append((entry.line, f"task {entry.name!r}: {key}: {error}"))
    raise_problems(suite, problems)
    return SuitePackage(tuple(entry.name for entry in entries), files, tuple(elsewhere))


def plan_task_package(
    name: str, values: Mapping[str, Json], folder: Path
) -> tuple[SuitePackage, dict[str, str]]:
    """Return what to pack of a task, and the paths that its files then have; nothing is read.

    Args:
        name: the task's name.
        values: its values, as in a suite.
        folder: the folder that relative paths refer to.

    Raises:
        InputError: if a file is missing or outside the folder.
    """
    files: dict[str, Path] = {}
    elsewhere: dict[str, None] = {}
    packed: dict[str, str] = {}
    for key in path_keys(values):
        path = Path(values[key])
        if path.is_absolute():
            elsewhere[str(path)] = None
            continue
        try:
            files |= _packed(path, folder, key)
        except InputError as error:
            raise InputError(f"--{key.replace('_', '-')}: {error}") from None
        packed[key] = (DATA / path).as_posix()
    return SuitePackage((name,), files, tuple(elsewhere)), packed


def _packed(path: Path, folder: Path, key: str) -> dict[str, Path]:
    """Return the files that a relative path stands for, by their names in the package."""
    found = _files(path, folder, splits=key != "label_names")
    return {(DATA / file).as_posix(): folder / file for file in found}


def _files(path: Path, folder: Path, *, splits: bool) -> Iterator[Path]:
    """Yield the files that a relative path stands for, relative to the folder.

    Args:
        path: the path of a file, or of a saved data set, with or without `:SPLIT`.
        folder: the folder that it is relative to.
        splits: whether `:SPLIT` may follow.
    """
    name, colon, _ = str(path).rpartition(":")
    if splits and colon and not _exists(folder / path) and (folder / name).is_dir():
        path = Path(name)
    place = folder / path
    if not _exists(place):
        raise InputError(f"there is no {place}")
    if ".." in path.parts or not place.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            f"{place} leads out of the folder {folder}, and nothing from elsewhere is sent: copy "
            "it into the folder"
        )
    if place.is_file():
        yield path
    elif any((place / mark).is_file() for mark in MARKS):
        for pattern in SAVED:
            for file in sorted(place.glob(pattern)):
                yield from _files(file.relative_to(folder), folder, splits=False)
    else:
        raise InputError(f"{place} is no file, and no folder that datasets saved")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, a NUL in it, or no permission
        return False


def _check_size(package: Path) -> None:
    if package.stat().st_size > MAX_PACKED:
        raise InputError(
            f"the files have more than {size(MAX_PACKED)} when they are packed, and Ray "
            "does not take more: put large files where the cluster's machines have them and write "
            "their absolute paths, or use data of the hub"
        )


def _blocks(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as source:
            while block := source.read(BLOCK):
                yield block
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
