"""A stand-in for the Hugging Face Hub on loopback, for the real clients.

It speaks what `huggingface_hub`, `transformers` and `datasets` ask of repositories: information,
file lists, downloads (large files from another address, as on the hub), creation, uploads and
commits. It knows branches, private and gated repositories and tokens, and can be told to fail.

It has no xet storage, no pull requests, no rate limits and no search: set HF_HUB_DISABLE_XET=1.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

HOSTS = ("127.0.0.1", "127.0.0.2")
LARGE = 20_000  # bytes from which a file is stored as a large file
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz12345678"
_REPO = r"(?P<repo>[^/]+/[^/]+)"
_FILES = rf"/(?P<kind>datasets/)?{_REPO}"
_API = rf"/api/(?P<kind>models|datasets)/{_REPO}"
_REVISION = r"(?P<revision>[^/]+)"
ROUTES = {
    "resolve": rf"{_FILES}/resolve/{_REVISION}/(?P<path>.+)",
    "large": r"/large/(?P<digest>[0-9a-f]{64})",
    "create": r"/api/repos/create",
    "validate": r"/api/validate-yaml",
    "who": r"/api/whoami-v2",
    "batch": rf"{_FILES}\.git/info/lfs/objects/batch",
    "preupload": rf"{_API}/preupload/{_REVISION}",
    "commit": rf"{_API}/commit/{_REVISION}",
    "tree": rf"{_API}/tree/{_REVISION}(/(?P<path>.*))?",
    "paths": rf"{_API}/paths-info/{_REVISION}",
    "info": rf"{_API}(/revision/{_REVISION})?",
}


@dataclass
class Repository:
    """A repository of the stand-in.

    Attributes:
        private: whether only the holder of the token sees it.
        gated: whether nobody was granted access to its files.
        commits: the files of each commit, by its hash.
        branches: the hash of the newest commit of each branch.
    """

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        """Make files the whole content of a branch; return the hash of the commit."""
        contents = [f"{path} {_sha256(data)}" for path, data in files.items()]
        digest = _sha256("\n".join([str(len(self.commits)), *contents]).encode())[:40]
        self.commits[digest], self.branches[branch] = dict(files), digest
        return digest

    @property
    def files(self) -> dict[str, bytes]:
        """The files of the branch `main`."""
        return self.commits[self.branches["main"]]


class Hub:
    """A running stand-in.

    Attributes:
        repositories: its repositories, by `models/OWNER/NAME` or `datasets/OWNER/NAME`.
        requests: what it was asked: method and path.
        authorizations: the `Authorization` headers that it was sent.
        cut: how many more downloads of a path break off in the middle.
        lies: the ETag to state for a path instead of its own.
        swapped: what to send for a path instead of its content.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[tuple[str, str]] = []
        self.authorizations: set[str] = set()
        self.large: dict[str, bytes] = {}
        self.cut: dict[str, int] = {}
        self.lies: dict[str, str] = {}
        self.swapped: dict[str, bytes] = {}
        hub = self

        class Handler(_Handler):
            def __init__(self, *arguments: Any) -> None:
                self.hub = hub
                super().__init__(*arguments)

        # Clients follow a link to another host only to download, as they do on the hub.
        self._servers = [ThreadingHTTPServer((host, 0), Handler) for host in HOSTS]
        self.url, self.storage = (
            f"http://{host}:{server.server_address[1]}"
            for host, server in zip(HOSTS, self._servers, strict=True)
        )
        self._threads = [Thread(target=server.serve_forever) for server in self._servers]
        for thread in self._threads:
            thread.start()

    def add(self, name: str, files: Mapping[str, bytes], **options: Any) -> Repository:
        """Add a repository, such as `models/OWNER/NAME`, with one commit."""
        repository = self.repositories[name] = Repository(**options)
        repository.commit(files)
        return repository

    def close(self) -> None:
        """Stop the server."""
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Run a stand-in while the block runs."""
    hub = Hub()
    try:
        yield hub
    finally:
        hub.close()


class _Refusal(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def _blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    """Answers requests. A method named after a route answers what matches the route."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        """Answer a GET, HEAD, POST or PUT."""
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        self.hub.authorizations.add(self.headers.get("Authorization", ""))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            for name, pattern in ROUTES.items():
                match = re.fullmatch(pattern, path)
                if match:
                    getattr(self, f"_{name}")(body, **match.groupdict())
                    return
            raise _Refusal(404, "", f"the stand-in does not know {self.command} {path}")
        except _Refusal as refusal:
            headers = {"X-Error-Message": refusal.message}
            if refusal.code:
                headers["X-Error-Code"] = refusal.code
            self._send(json.dumps({"error": refusal.message}).encode(), refusal.status, headers)

    do_HEAD = do_POST = do_PUT = do_GET

    def _send(
        self,
        body: bytes,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        stated: int | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if stated is None else stated))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if stated is not None and stated != len(body):
            self.close_connection = True

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(json.dumps(value).encode(), status, {"Content-Type": "application/json"})

    @property
    def _known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repository(self, kind: str | None, repo: str) -> Repository:
        kind = "datasets" if (kind or "").startswith("datasets") else "models"
        found = self.hub.repositories.get(f"{kind}/{repo}")
        if found is None or (found.private and not self._known):
            raise _Refusal(404 if self._known else 401, "RepoNotFound", "Repository not found")
        return found

    def _commit_of(self, repository: Repository, revision: str | None) -> str:
        revision = unquote(revision or "main")
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            raise _Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def _resolve(self, body: bytes, kind: str | None, repo: str, revision: str, path: str) -> None:
        repository = self._repository(kind, repo)
        if repository.gated:
            raise _Refusal(403 if self._known else 401, "GatedRepo", "Access is restricted")
        commit = self._commit_of(repository, revision)
        files = repository.commits[commit]
        if path not in files:
            raise _Refusal(404, "EntryNotFound", "Entry not found")
        data = files[path]
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if len(data) >= LARGE:
            digest = _sha256(data)
            self.hub.large[digest] = data
            headers |= {
                "X-Linked-Size": str(len(data)),
                "X-Linked-ETag": f'"{self.hub.lies.get(path, digest)}"',
                "Location": f"{self.hub.storage}/large/{digest}",
            }
            self._send(b"", 302, headers)
            return
        headers["ETag"] = f'"{self.hub.lies.get(path, _blob_id(data))}"'
        self._content(path, self.hub.swapped.get(path, data), headers)

    def _large(self, body: bytes, digest: str) -> None:
        if self.command == "PUT":
            self.hub.large[digest] = body
            self._send(b"")
            return
        data = self.hub.large[digest]
        paths = [
            path
            for repository in self.hub.repositories.values()
            for files in repository.commits.values()
            for path, content in files.items()
            if content == data
        ]
        path = paths[0] if paths else ""
        self._content(path, self.hub.swapped.get(path, data), {"ETag": f'"{digest}"'})

    def _content(self, path: str, data: bytes, headers: Mapping[str, str]) -> None:
        first = 0
        given = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if given:
            first = int(given[1])
            headers = {**headers, "Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"}
        rest = data[first:]
        if self.command == "GET" and self.hub.cut.get(path, 0) > 0:
            self.hub.cut[path] -= 1
            self._send(rest[: len(rest) // 2], 206 if given else 200, headers, stated=len(rest))
            return
        self._send(rest, 206 if given else 200, headers)

    def _entry(self, path: str, data: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "type": "file",
            "path": path,
            "size": len(data),
            "oid": _blob_id(data),
        }
        if len(data) >= LARGE:
            entry["lfs"] = {"oid": _sha256(data), "size": len(data), "pointerSize": 134}
        return entry

    def _info(self, body: bytes, kind: str, repo: str, revision: str | None = None) -> None:
        repository = self._repository(kind, repo)
        commit = self._commit_of(repository, revision)
        siblings = []
        for path, data in repository.commits[commit].items():
            sibling: dict[str, Any] = {
                "rfilename": path,
                "size": len(data),
                "blobId": _blob_id(data),
            }
            if len(data) >= LARGE:
                sibling["lfs"] = {"sha256": _sha256(data), "size": len(data), "pointerSize": 134}
            siblings.append(sibling)
        self._json(
            {
                "id": repo,
                "modelId": repo,
                "sha": commit,
                "private": repository.private,
                "gated": "manual" if repository.gated else False,
                "disabled": False,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "siblings": siblings,
            }
        )

    def _tree(
        self, body: bytes, kind: str, repo: str, revision: str, path: str | None = None
    ) -> None:
        repository = self._repository(kind, repo)
        files = repository.commits[self._commit_of(repository, revision)]
        folder = f"{path}/" if path else ""
        inside = {p: d for p, d in files.items() if p.startswith(folder)}
        if path and not inside:
            raise _Refusal(404, "EntryNotFound", f"{path} does not exist")
        entries, folders = [], dict[str, None]()
        recursive = "recursive=true" in urlsplit(self.path).query.lower()
        for name, data in inside.items():
            rest = name.removeprefix(folder)
            parents = rest.split("/")[:-1]
            folders |= {f"{folder}{'/'.join(parents[: i + 1])}": None for i in range(len(parents))}
            if recursive or not parents:
                entries.append(self._entry(name, data))
        shown = [name for name in folders if recursive or "/" not in name.removeprefix(folder)]
        entries += [
            {"type": "directory", "path": name, "size": 0, "oid": "0" * 40} for name in shown
        ]
        self._json(entries)

    def _paths(self, body: bytes, kind: str, repo: str, revision: str) -> None:
        repository = self._repository(kind, repo)
        files = repository.commits[self._commit_of(repository, revision)]
        wanted = json.loads(body)["paths"]
        self._json([self._entry(path, files[path]) for path in wanted if path in files])

    def _who(self, body: bytes) -> None:
        if not self._known:
            raise _Refusal(401, "", "Invalid credentials in Authorization header")
        self._json({"type": "user", "name": "ann", "orgs": [{"name": "team"}], "auth": {}})

    def _create(self, body: bytes) -> None:
        if not self._known:
            raise _Refusal(401, "", "Invalid username or password.")
        asked = json.loads(body)
        name = f"{asked.get('organization') or 'ann'}/{asked['name']}"
        key = f"{asked.get('type') or 'model'}s/{name}"
        if key in self.hub.repositories:
            self._json({"error": "You already created this repo", "url": name}, 409)
            return
        if not name.startswith(("ann/", "team/")):
            raise _Refusal(403, "", f"You don't have the rights to create a model under {name}")
        private = asked.get("visibility") == "private" or asked.get("private") is True
        self.hub.add(key, {".gitattributes": b"* text=auto\n"}, private=private)
        self._json({"url": f"{self.hub.url}/{name}", "name": name, "id": name})

    def _validate(self, body: bytes) -> None:
        import yaml

        content = json.loads(body)["content"]
        front = re.match(r"---\r?\n(.*?)\r?\n---(\r?\n|$)", content, re.DOTALL)
        try:
            data = yaml.safe_load(front[1]) if front else {}
            errors = [] if isinstance(data, dict) else [{"message": "the metadata is no mapping"}]
        except yaml.YAMLError as error:
            errors = [{"message": str(error)}]
        self._json({"errors": errors, "warnings": []}, 400 if errors else 200)

    def _writable(self, kind: str | None, repo: str) -> Repository:
        if not self._known:
            raise _Refusal(401, "", "Invalid username or password.")
        return self._repository(kind, repo)

    def _preupload(self, body: bytes, kind: str, repo: str, revision: str) -> None:
        repository = self._writable(kind, repo)
        files = repository.commits[self._commit_of(repository, revision)]
        answers = []
        for file in json.loads(body)["files"]:
            mode = "lfs" if file["size"] >= LARGE else "regular"
            answer = {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
            if file["path"] in files:
                data = files[file["path"]]
                answer["oid"] = _sha256(data) if mode == "lfs" else _blob_id(data)
            answers.append(answer)
        self._json({"files": answers})

    def _batch(self, body: bytes, kind: str | None, repo: str) -> None:
        self._writable(kind, repo)
        objects = []
        for one in json.loads(body)["objects"]:
            answer = {**one, "authenticated": True}
            if one["oid"] not in self.hub.large:
                href = f"{self.hub.storage}/large/{one['oid']}"
                answer["actions"] = {"upload": {"href": href}}
            objects.append(answer)
        self._json({"transfer": "basic", "objects": objects})

    def _commit(self, body: bytes, kind: str, repo: str, revision: str) -> None:
        repository = self._writable(kind, repo)
        files = dict(repository.commits[self._commit_of(repository, revision)])
        for line in body.splitlines():
            change = json.loads(line)
            value = change["value"]
            if change["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif change["key"] == "lfsFile":
                data = self.hub.large[value["oid"]]
                if _sha256(data) != value["oid"]:
                    raise _Refusal(400, "", f"{value['path']} was not uploaded whole")
                files[value["path"]] = data
            elif change["key"] == "deletedFile":
                files.pop(value["path"], None)
        commit = repository.commit(files, unquote(revision))
        url = f"{self.hub.url}/{repo}/commit/{commit}"
        self._json({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})
