"""Writes the pages of a bank as files that any web server can send, and that open without one.

All of them are written into a folder beside their place, which takes the place at the end: nobody
sees half of them, and an interrupted run leaves what was there before. What was there is replaced
only if it is an earlier export, as the list of files says that every export has.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

from tqdm import tqdm

from taskbank.bank.bank import Bank
from taskbank.checks import check_name
from taskbank.errors import ConflictError, InputError
from taskbank.pages.bank import bank_page
from taskbank.pages.history import history_page
from taskbank.pages.links import FileLinks, file_of, static_bytes
from taskbank.pages.render import Frame, Page, render
from taskbank.pages.task import VERSIONS, task_page
from taskbank.pages.verification import VerificationPage, verification_page
from taskbank.pages.verifications import verifications_page
from taskbank.pages.version import version_page
from taskbank.runtime.clock import now
from taskbank.runtime.files import unfinished_place, unwritable

LIST = "taskbank-pages.json"  # of the files of an export; it is written last
OLD = ".old"
ROWS = 500  # rows of a table of one file
READ = 500  # tasks that are read at once
STATIC = (
    "pages.css",
    "icon.svg",
    "tables.js",
    "over-time.js",
    "vendor/uplot.min.js",
    "vendor/uplot.min.css",
    "vendor/uplot.LICENSE",
)
PathOfPage = tuple[str, ...]


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        folder: the folder.
        pages: number of pages.
        files: number of files.
        bytes: their size.
        seconds: how long it took.
        moved: where the folder that was in the place is now; None if there was none to keep.
    """

    folder: str
    pages: int
    files: int
    bytes: int
    seconds: float
    moved: str | None


@dataclass
class Files:
    """The files of an export that is being written.

    Attributes:
        folder: where they are written.
        made: the paths of all its pages, which links may lead to.
        at: when the export began, ISO 8601 in UTC.
        names: the names of the files written so far.
        size: their size in bytes.
    """

    folder: Path
    made: set[PathOfPage]
    at: str
    names: list[str] = field(default_factory=list)
    size: int = 0

    def write(self, name: str, data: bytes) -> None:
        """Write a file that is not there yet.

        Raises:
            InputError: if there is one whose name is the same to this file system.
            OSError: if it cannot be written.
        """
        place = self.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with place.open("xb") as file:
                file.write(data)
        except FileExistsError:
            raise InputError(
                f"{name} is the same name as that of another page to this file system: write to a "
                "folder that tells upper from lower case, or choose tasks with --filter"
            ) from None
        self.names.append(name)
        self.size += len(data)

    def write_page(self, path: PathOfPage, page: Page, after: int | str | None = None) -> None:
        """Write a page."""
        text = render(page, FileLinks(path, self.made), Frame(written=self.at))
        self.write(file_of(path, after), text.encode("utf-8", "replace"))


def export_pages(
    bank: Bank, folder: Path, *, query: str = "", replace: bool = False, progress: bool = False
) -> Export:
    """Write the pages of a bank as files.

    Args:
        bank: an open bank.
        folder: where to write them: a new folder, an empty one, or an earlier export.
        query: a condition on the current versions of the tasks to write, in the query language;
            empty means all. With a condition, verifications and history are left out: they name
            other tasks.
        replace: whether to move away a folder that holds other files.
        progress: whether to show a progress bar if the error stream is a terminal.

    Raises:
        InputError: if the query is wrong, or the folder cannot be written.
        ConflictError: if the folder holds other files.
        DamagedError: if a row differs from what was recorded.
        ResourceError: if the disk is full or failed.
    """
    started = time.perf_counter()
    folder = folder.resolve()
    old = folder.with_name(folder.name + OLD)
    foreign = _check_place(folder, old, replace)
    versions = _versions(bank, query)
    made = _paths(bank, versions, query)
    unfinished = unfinished_place(folder)
    try:
        unfinished.mkdir()
        files = Files(unfinished, made, now())
        bar = tqdm(total=len(made), unit="page", desc="pages", disable=None if progress else True)
        with bar:
            for path, page, after in _pages(bank, versions, query):
                files.write_page(path, page, after)
                bar.update(after is None)
        pages = len(files.names)
        for name in STATIC:
            files.write(f"static/{name}", static_bytes(name))
        files.write(LIST, json.dumps({"files": sorted(files.names)}, indent=1).encode())
        if foreign:
            folder.rename(old)
        elif folder.exists():
            # Between the two renamings there is no folder; nothing is lost then, either.
            gone = unfinished_place(folder)
            folder.rename(gone)
            rmtree(gone)
        unfinished.rename(folder)
    except OSError as error:
        raise unwritable(folder, error) from None
    finally:
        rmtree(unfinished, ignore_errors=True)
    seconds = time.perf_counter() - started
    moved = str(old) if foreign else None
    return Export(str(folder), pages, len(files.names), files.size, round(seconds, 3), moved)


def _check_place(folder: Path, old: Path, replace: bool) -> bool:
    """Return whether a folder holds other files than those of an earlier export.

    Raises:
        InputError: if there is no place for a folder.
        ConflictError: if it holds other files and is not to be replaced, or cannot be moved away.
    """
    if not folder.parent.is_dir():
        raise InputError(f"{folder.parent} is no folder: make it, or name another --output")
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder with --output")
    try:
        other = _other_file(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from None
    if other is None:
        return False
    if not replace:
        raise ConflictError(
            f"{folder} holds files that taskbank pages did not write, such as {other!r}: name "
            f"another --output, or move the folder to {old.name} with --replace"
        )
    if old.exists():
        raise ConflictError(f"{folder} cannot be moved to {old}, which exists: remove that first")
    return True


def _other_file(folder: Path) -> str | None:
    """Return a file of a folder that is not one of an export; None if there is none."""
    known: set[str] = set()
    with suppress(OSError, ValueError, KeyError, TypeError):  # then nothing here is known
        known = {LIST, *json.loads((folder / LIST).read_bytes())["files"]}
    for place, _, names in os.walk(folder):
        for name in names:
            path = (Path(place) / name).relative_to(folder).as_posix()
            if path not in known:
                return path
    return None


def _versions(bank: Bank, query: str) -> dict[str, list[int]]:
    """Return the versions to write of each task, oldest first.

    Raises:
        InputError: if the query is wrong, or a name is none.
    """
    if query.strip():
        bank.check_query(query)
    found: dict[str, list[int]] = {}
    after = None
    while True:
        records = bank.current(query, after=after, limit=READ)
        for record in records:
            check_name(record.task, "task name")  # it becomes the name of a file
            own = bank.adapters(task=record.task, retired=True, newest=VERSIONS)
            found[record.task] = [one.version for one in own]
        if len(records) < READ:
            return found
        after = records[-1].id


def _paths(bank: Bank, versions: dict[str, list[int]], query: str) -> set[PathOfPage]:
    """Return the paths of all pages."""
    made: set[PathOfPage] = {()}
    for task, numbers in versions.items():
        made.add(("tasks", task))
        made |= {("tasks", f"{task}@{number}") for number in numbers}
    if not query.strip():
        made |= {("verifications",), ("history",)}
        made |= {("verifications", str(number)) for number in _numbers(bank)}
    return made


def _pages(
    bank: Bank, versions: dict[str, list[int]], query: str
) -> Iterator[tuple[PathOfPage, Page, int | str | None]]:
    """Yield each page with its path, and where it begins if it is not the first of several."""
    yield from _all((), lambda after: bank_page(bank, query=query, after=after, rows=ROWS))
    for task, numbers in versions.items():
        yield ("tasks", task), task_page(bank, task), None
        for number in numbers:
            yield ("tasks", f"{task}@{number}"), version_page(bank, f"{task}@{number}"), None
    if query.strip():
        return
    yield from _all(
        ("verifications",), lambda after: verifications_page(bank, after=after, rows=ROWS)
    )
    yield from _all(("history",), lambda after: history_page(bank, after=after, rows=ROWS))
    for number in _numbers(bank):
        read = partial(_results, bank, number)
        yield from _all(("verifications", str(number)), read)


def _results(bank: Bank, number: int, after: int | None) -> VerificationPage:
    return verification_page(bank, number, after=after, rows=ROWS)


def _all(
    path: PathOfPage, read: Callable[[Any], Any]
) -> Iterator[tuple[PathOfPage, Page, int | str | None]]:
    """Yield a page and all that follow it."""
    after = None
    while True:
        page = read(after)
        yield path, page, after
        after = page.next
        if after is None:
            return


def _numbers(bank: Bank) -> Iterator[int]:
    """Yield the numbers of all verifications, newest first."""
    before = None
    while True:
        found = bank.verification_log.newest(before=before, limit=READ)
        yield from (verification.id for verification in found)
        if len(found) < READ:
            return
        before = found[-1].id
