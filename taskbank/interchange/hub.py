"""Pushes exports to the Hugging Face Hub, and downloads them from there.

What comes from the hub is as untrusted as any folder: only files that an import may read are
downloaded, of one commit, and their bytes must be those that the hub lists for it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.data.fields import preview
from taskbank.data.hub import HUB
from taskbank.errors import InputError
from taskbank.interchange.export import export_adapter
from taskbank.interchange.untrusted import MAX_WEIGHTS_BYTES
from taskbank.runtime.hub_errors import LOGIN, hub_reason

if TYPE_CHECKING:
    from huggingface_hub import HfApi

REPOSITORY = re.compile(r"hf:(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?", re.ASCII)
# Nothing else is downloaded: no pickle, no code, nothing in folders.
READABLE = re.compile(r"[\w-][\w.-]*\.(json|jsonl|safetensors|sig)|row-digests\.bin", re.ASCII)
MAX_FILES = 3000


@dataclass(frozen=True)
class Pushed:
    """An adapter that was pushed to the hub.

    Attributes:
        record: the adapter.
        source: what `import_adapter` imports again: `hf:OWNER/NAME@COMMIT`.
        url: the address of the commit.
        public: whether everybody can read it.
    """

    record: AdapterRecord
    source: str
    url: str
    public: bool


def push_adapter(
    bank: Bank,
    ref: str,
    repository: str,
    *,
    format: str = "taskbank",
    public: bool = False,
) -> Pushed:
    """Push one adapter to a repository of the Hugging Face Hub, as one commit.

    The commit has exactly the files of the export. A new repository is private. The token is that
    of `hf auth login` or `HF_TOKEN`; it is neither stored nor shown.

    Args:
        bank: an open bank.
        ref: `NAME`, `NAME@VERSION` or `NAME@ALIAS`.
        repository: `hf:OWNER/NAME`; it is created if it does not exist.
        format: a format of `export_adapter`.
        public: whether everybody may read it. The format `taskbank` has the examples of every
            stored split.

    Raises:
        NotFoundError: if the adapter does not exist.
        InputError: if the repository's name is invalid, there is no token, the format cannot hold
            the adapter, a repository that exists is public and `public` is false, or the hub
            refuses.
    """
    from huggingface_hub import HfApi, get_token

    name, revision = _parts(repository)
    if revision is not None:
        raise InputError(f"{repository!r} has a revision: a push makes a commit, so leave it out")
    record = bank[ref]
    if get_token() is None:
        raise InputError(f"{repository} cannot be pushed to without a token: {LOGIN}")
    api = HfApi()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "export"
        export_adapter(bank, record.ref, folder, format=format)
        with _explained(repository, "cannot be pushed to"):
            api.create_repo(name, private=not public, exist_ok=True)
            is_public = not api.model_info(name).private
            if is_public and not public:
                raise InputError(
                    f"{repository} is public: everybody could read the adapter"
                    f"{' and its examples' if format == 'taskbank' else ''}. Make the repository "
                    "private, or give --public"
                )
            commit = api.upload_folder(
                repo_id=name,
                folder_path=folder,
                commit_message=f"{record.ref}, {record.digest}",
                delete_patterns="*",  # of another export: the commit is this one, whole
            )
    return Pushed(record, f"{HUB}{name}@{commit.oid}", str(commit.commit_url), is_public)


@contextmanager
def downloaded(source: str) -> Iterator[tuple[Path, str]]:
    """Download what an import may read of a repository, while the block runs.

    Args:
        source: `hf:OWNER/NAME[@REVISION]`.

    Returns:
        the folder, and the source with the commit that was downloaded.

    Raises:
        InputError: if the repository's name is invalid, the hub refuses, or what it sent is
            not what it lists.
    """
    name, revision = _parts(source)
    from huggingface_hub import HfApi

    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "download"
        with _explained(source, "cannot be imported"):
            commit = _download(HfApi(), name, revision, folder)
        yield folder, f"{HUB}{name}@{commit}"


def _parts(source: str) -> tuple[str, str | None]:
    match = REPOSITORY.fullmatch(source)
    if match is None or ".." in source:
        raise InputError(
            f"{preview(source)} names no repository of the hub: write hf:OWNER/NAME, or "
            "hf:OWNER/NAME@REVISION to import a branch, a tag or a commit"
        )
    return match["name"], match["revision"]


def _download(api: HfApi, name: str, revision: str | None, folder: Path) -> str:
    """Download what an import may read; return the commit."""
    info = api.model_info(name, revision=revision, files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    chosen = [path for path in sizes if READABLE.fullmatch(path)]
    if not any(path.endswith(".safetensors") for path in chosen):
        raise InputError(
            f"{HUB}{name} has no weights in safetensors, and taskbank reads no pickle; it has "
            f"{preview(', '.join(sizes) or 'no files')}"
        )
    total = sum(sizes[path] for path in chosen)
    if len(chosen) > MAX_FILES or total > MAX_WEIGHTS_BYTES:
        raise InputError(
            f"{HUB}{name} has {len(chosen):,} files of {total:,} bytes in all: an adapter has at "
            f"most {MAX_FILES:,} files and {MAX_WEIGHTS_BYTES:,} bytes"
        )
    commit = str(info.sha)
    api.snapshot_download(name, revision=commit, local_dir=folder, allow_patterns=chosen)
    for wrong in _differing(api, name, commit, folder):
        raise InputError(
            f"{HUB}{name}: {wrong['path']} has the {wrong['algorithm']} {wrong['actual']}, and the "
            f"hub lists {wrong['expected']}: run it again, and tell the owner if it stays so"
        )
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # what the client remembers
    return commit


def _differing(api: HfApi, name: str, commit: str, folder: Path) -> list[Any]:
    return list(api.verify_repo_checksums(name, revision=commit, local_dir=folder).mismatches)


@contextmanager
def _explained(source: str, what: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # the client and its parts raise many types
        reason = hub_reason(error) or (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{source} {what}: {reason}") from error
