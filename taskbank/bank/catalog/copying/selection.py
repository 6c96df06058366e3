"""What of one bank is to be copied into another, and what stands in the way there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from sqlalchemy import Connection, select

from taskbank.bank.catalog.backbones import read_backbones
from taskbank.bank.catalog.rows import chunks
from taskbank.bank.catalog.tables import AdapterRow, BackboneRow, RetirementRow, TaskRow, TrialRow
from taskbank.checks import check_name
from taskbank.digests import digest_json
from taskbank.errors import ConflictError, InputError

COMPARED = (
    AdapterRow.method,
    AdapterRow.options_digest,
    AdapterRow.training_digest,
    AdapterRow.labels,
    AdapterRow.settings,
    AdapterRow.metric,
    AdapterRow.split,
    AdapterRow.contents,
    BackboneRow.fingerprint,
)
Number = tuple[str, int]  # a task's name in the source, and the number of a version


@dataclass(frozen=True)
class Version:
    """What tells whether a version of one bank is the version of that number in another.

    Attributes:
        id: the id of its row; None if gc has destroyed it.
        digest: digest of its weights.
        description: digest of its backbone, method, labels and evidence; None if it is destroyed.
        created_at: when it was recorded; empty if it is destroyed.
    """

    id: int | None
    digest: str
    description: str | None = None
    created_at: str = ""

    def difference(self, other: Version) -> str | None:
        """Return how another version of the same number differs; None if it is the same."""
        if self.digest != other.digest:
            return f"its weights are {self.digest} here and {other.digest} there"
        if None not in (self.description, other.description) and (
            self.description != other.description
        ):
            return "its weights are the same here and there, but not its evidence or description"
        return None


@dataclass(frozen=True)
class Task:
    """A task with its versions.

    Attributes:
        kind: its kind.
        versions: its versions by number, including those that gc has destroyed.
    """

    kind: str
    versions: dict[int, Version] = field(default_factory=dict)


@dataclass(frozen=True)
class Selection:
    """What is to be copied.

    Attributes:
        whole: whether everything is.
        since: the time from which on, as records have it; empty means from the beginning.
        tasks: the tasks with all their versions, by their name in the source.
        names: the names in the target, by the name in the source; also of tasks with trials only.
    """

    whole: bool
    since: str
    tasks: Mapping[str, Task]
    names: Mapping[str, str]

    def chosen(self) -> dict[Number, Version]:
        """Return the versions to copy, including those that gc has destroyed."""
        return {
            (name, number): version
            for name, task in self.tasks.items()
            for number, version in task.versions.items()
            if version.created_at >= self.since
        }


def select_tasks(
    connection: Connection, pattern: str | None, since: str, renamed: Mapping[str, str]
) -> Selection:
    """Return what is to be copied of a bank.

    Args:
        connection: the transaction to read in.
        pattern: the tasks' name, maybe with wildcards; None means all.
        since: the time from which on, as records have it; empty means from the beginning.
        renamed: the new names of tasks, by name.

    Raises:
        InputError: if no task has such a name, if a task to rename is not among those to copy, if
            a name is invalid, or if two tasks would get the same name.
    """
    named = connection.execute(select(TaskRow.name).order_by(TaskRow.id)).scalars().all()
    tried = connection.execute(select(TrialRow.task).distinct()).scalars().all()
    known = list(dict.fromkeys([*named, *sorted(tried)]))
    wanted = [name for name in known if pattern is None or fnmatchcase(name, pattern)]
    if not wanted and pattern is not None:
        raise InputError(
            f"no task matches {pattern!r}: the bank has {', '.join(known[:10]) or 'no task'}"
            + (f" and {len(known) - 10:,} more" if len(known) > 10 else "")
        )
    for old, new in renamed.items():
        if old not in wanted:
            raise InputError(
                f"{old!r} cannot be renamed to {new!r}: it is not among the tasks to copy; run "
                "taskbank list to see the tasks"
            )
    names: dict[str, str] = {}
    taken: dict[str, str] = {}  # the old names by the new
    for old in wanted:
        names[old] = new = check_name(renamed.get(old, old), "task name")
        if new in taken:
            raise InputError(
                f"both {taken[new]!r} and {old!r} would be {new!r}: rename one of them to another "
                "name"
            )
        taken[new] = old
    tasks = read_tasks(connection, wanted)
    return Selection(pattern is None and not since, since, tasks, names)


def read_tasks(connection: Connection, names: Collection[str]) -> dict[str, Task]:
    """Return tasks with their versions, in the order in which the tasks were first added."""
    found: dict[str, Task] = {}
    for chunk in chunks(list(names)):
        of_chunk = TaskRow.name.in_(chunk)
        query = select(TaskRow.name, TaskRow.kind).where(of_chunk).order_by(TaskRow.id)
        found |= {name: Task(kind) for name, kind in connection.execute(query)}
        destroyed = (
            select(TaskRow.name, RetirementRow.version, RetirementRow.digest)
            .join(RetirementRow, RetirementRow.task_id == TaskRow.id)
            .where(of_chunk)
        )
        for name, number, digest in connection.execute(destroyed):
            found[name].versions[number] = Version(None, digest)
        for row in connection.execute(_versions().where(of_chunk)).mappings():
            found[row["task"]].versions[row["version"]] = _version(row)  # in place of its mark
    return found


def _versions() -> Any:
    return (
        select(
            TaskRow.name.label("task"),
            AdapterRow.id,
            AdapterRow.version,
            AdapterRow.digest,
            AdapterRow.created_at,
            *COMPARED,
        )
        .join(AdapterRow, AdapterRow.task_id == TaskRow.id)
        .join(BackboneRow, BackboneRow.id == AdapterRow.backbone_id)
    )


def _version(row: Mapping[Any, Any]) -> Version:
    description = digest_json([row[column.key] for column in COMPARED])
    return Version(row["id"], row["digest"], description, row["created_at"])


def check_conflicts(source: Connection, target: Connection, selection: Selection) -> None:
    """Raise unless everything can be copied beside what is there.

    A version that both banks have must be the same. If each of them has versions of a task that
    the other lacks, the task has gone different ways.

    Raises:
        ConflictError: naming every conflict, and how to solve it.
    """
    conflicts = [*_tokenizer_conflicts(source, target), *_task_conflicts(target, selection)]
    if not conflicts:
        return
    renamed = [old for old, _ in conflicts if old is not None]
    how = (
        "nothing was written; give each of these tasks a name of its own there, such as "
        + " ".join(f"--rename {old}={old}-2" for old in renamed[:3])
        if renamed
        else "nothing was written"
    )
    lines = "\n".join(f"  {text}" for _, text in conflicts)
    count = len(conflicts)
    what = "1 conflict" if count == 1 else f"{count:,} conflicts"
    raise ConflictError(f"{what} with what is there:\n{lines}\n{how}")


def _task_conflicts(target: Connection, selection: Selection) -> Iterator[tuple[str, str]]:
    """Yield the name of a task, and how it conflicts with the task of that name in the target."""
    there = read_tasks(target, list(selection.names.values()))
    chosen: dict[str, set[int]] = defaultdict(set)
    for name, number in selection.chosen():
        chosen[name].add(number)
    for old, task in selection.tasks.items():
        new = selection.names[old]
        other = there.get(new)
        if other is None:
            continue
        if other.kind != task.kind:
            yield old, f"{new} is of the kind {other.kind} there, and of {task.kind} here"
            continue
        both = sorted(task.versions.keys() & other.versions.keys())
        differing = [
            f"{new}@{number}: {difference}"
            for number in both
            if (difference := task.versions[number].difference(other.versions[number]))
        ]
        yield from ((old, text) for text in differing)
        own = sorted(other.versions.keys() - task.versions.keys())
        more = sorted(chosen[old] - other.versions.keys())
        if own and more and not differing:
            yield (
                old,
                f"{new} has the versions {_listed(own)} there, which are not here, and lacks "
                f"{_listed(more)}",
            )


def _tokenizer_conflicts(source: Connection, target: Connection) -> Iterator[tuple[None, str]]:
    there = {one.fingerprint: one.identity for one in read_backbones(target)}
    for backbone in read_backbones(source):
        other = there.get(backbone.fingerprint)
        if other is None or None in (other.settings, backbone.identity.settings):
            continue
        differing = backbone.identity.differing_settings(other.settings)
        if differing:
            yield (
                None,
                (
                    f"the backbone {backbone.identity.spec!r} has another tokenizer configuration "
                    f"there: {'; '.join(differing)}"
                ),
            )


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (", …" if len(numbers) > 10 else "")
