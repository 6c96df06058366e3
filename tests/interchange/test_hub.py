"""The Hugging Face Hub: backbones, data and adapters through the real clients.

The hub is a stand-in on loopback. The commands run in forks of a process that was started for it,
as the clients read its address when they are imported.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from safetensors.numpy import load, save

import taskbank
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from tests.helpers.fork_server import ForkServer
from tests.helpers.hub import TOKEN, Hub, running_hub

pytestmark = [pytest.mark.process, pytest.mark.slow]

Run = Callable[..., subprocess.CompletedProcess[str]]
ROWS = b"text,label\n" + b"".join(b"good %d,yes\nbad %d,no\n" % (i, i) for i in range(20))
NUMBERS = count()


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """A stand-in for the hub."""
    with running_hub() as running:
        yield running


@pytest.fixture(scope="module")
def settings(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What tells the clients of the stand-in."""
    return {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path_factory.mktemp("home")),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
    }


@pytest.fixture(scope="module")
def server(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ForkServer]:
    """What runs commands whose clients know the stand-in."""
    started = ForkServer(tmp_path_factory.mktemp("server"), **settings)
    yield started
    started.close()


@pytest.fixture
def run(server: ForkServer, settings: dict[str, str], tmp_path: Path) -> Run:
    """Run `taskbank` in the test's folder, by default with a token."""

    def command(*arguments: str, token: str | None = TOKEN) -> subprocess.CompletedProcess[str]:
        environment = os.environ | settings | {"TMPDIR": str(tmp_path)}
        environment |= {} if token is None else {"HF_TOKEN": token}
        return subprocess.run(
            [server.programs / "taskbank", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return command


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def model(hub: Hub, folder: Path) -> str:
    """A new repository with the tiny backbone."""
    name = f"team/encoder-{next(NUMBERS)}"
    hub.add(f"models/{name}", _files(folder))
    return name


@pytest.fixture
def repository() -> str:
    """The name of a repository that does not exist yet."""
    return f"hf:team/mood-{next(NUMBERS)}"


@pytest.fixture
def pushed(run: Run, mood: Bank, repository: str) -> str:
    """A repository with the task `mood`."""
    done = run("--bank", mood.url, "push", "mood", repository)
    assert done.returncode == 0, done.stderr
    return repository


def _key(repository: str) -> str:
    return f"models/{repository.removeprefix('hf:')}"


def test_a_backbone_of_the_hub_stays_what_it_was_when_its_branch_moves(
    run: Run, hub: Hub, model: str, tmp_path: Path
) -> None:
    """The bank records the commit: its tasks go on after the branch got other weights, a bare name
    means the recorded commit, and only `init` takes the new one, beside the old."""
    repository = hub.repositories[f"models/{model}"]
    old = repository.branches["main"]
    made = run("init", "--backbone", f"{model}@main", "--json")
    assert json.loads(made.stdout)["backbone"] == f"{model}@{old}", made.stderr
    hub.add(f"datasets/{model}", {"train.csv": ROWS})
    added = run("add-task", "yes", "--train", f"hf:{model}", "--epochs", "1", "--layers", "top:1")
    assert added.returncode == 0, added.stderr
    assert "examples/s" not in added.stderr

    tensors = load(repository.files["model.safetensors"])
    tensors["embeddings.word_embeddings.weight"] += 1
    weights = save(tensors, {"format": "pt"})
    new = repository.commit(repository.files | {"model.safetensors": weights})
    assert run("predict", "yes", "good 1").returncode == 0
    assert run("predict", "yes", "good 1", "--backbone", model).returncode == 0
    assert run("verify-all").returncode == 0
    again = run("add-task", "no", "--train", f"hf:{model}", "--epochs", "1", "--backbone", model)
    assert again.returncode == 0, again.stderr
    mismatch = run("predict", "yes", "good 1", "--backbone", f"{model}@{new}")
    assert mismatch.returncode == 4
    assert new in mismatch.stderr
    assert run("init", "--backbone", model).returncode == 0
    with Bank(f"sqlite:///{tmp_path}/taskbank.db") as bank:
        specs = [one.identity.spec for one in bank.backbones()]
    assert specs == [f"{model}@{old}", f"{model}@{new}"]


def test_an_adapter_comes_back_from_the_hub_as_it_was_pushed(
    run: Run, hub: Hub, mood: Bank, pushed: str, url: str, folder: Path
) -> None:
    """The repository is private, has exactly the export, and gives an equal, verified adapter."""
    repository = hub.repositories[_key(pushed)]
    assert repository.private
    assert set(repository.files) >= {"adapter.json", "weights.safetensors", "test.jsonl"}
    with create_bank(url):
        pass
    done = run("--bank", url, "import", pushed, "--backbone", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["digest"] == mood["mood"].digest
    with Bank(url) as bank:
        assert taskbank.verify_all(bank).ok


def test_a_push_replaces_what_an_earlier_one_left(
    run: Run, hub: Hub, mood: Bank, pushed: str
) -> None:
    """A file that the export does not have is gone after the next push, and the old commit stays
    importable."""
    repository = hub.repositories[_key(pushed)]
    first = repository.branches["main"]
    files = repository.files | {"old.jsonl": b"{}\n"}
    repository.commit(files)
    done = run("--bank", mood.url, "push", "mood", pushed, "--json")
    assert "old.jsonl" not in repository.files, done.stderr
    assert json.loads(done.stdout)["source"] == f"{pushed}@{repository.branches['main']}"
    again = run("--bank", mood.url, "import", f"{pushed}@{first}", "--name", "again")
    assert again.returncode == 0, again.stderr


def test_the_token_is_sent_and_never_shown_or_stored(
    run: Run, hub: Hub, mood: Bank, repository: str
) -> None:
    """The hub gets the token; no output, no error, no commit and no row has it."""
    hub.authorizations.clear()
    outputs = [run("--bank", mood.url, "push", "mood", repository, "--json")]
    outputs += [run("--bank", mood.url, "import", repository, "--name", "again")]
    outputs += [run("--bank", mood.url, "push", "mood", "hf:others/mood")]
    assert f"Bearer {TOKEN}" in hub.authorizations
    assert [done.returncode for done in outputs] == [0, 0, 2]
    assert all(TOKEN not in done.stdout + done.stderr for done in outputs)
    assert all(
        TOKEN.encode() not in data for data in hub.repositories[_key(repository)].files.values()
    )
    assert TOKEN.encode() not in Path(mood.url.removeprefix("sqlite:///")).read_bytes()


def test_nothing_is_pushed_to_a_public_repository_by_mistake(
    run: Run, hub: Hub, mood: Bank, repository: str
) -> None:
    """A repository that is public gets nothing without `--public`, and with it the export."""
    made = hub.add(_key(repository), {".gitattributes": b""})
    refused = run("--bank", mood.url, "push", "mood", repository)
    assert refused.returncode == 2
    assert "is public: everybody could read the adapter and its examples" in refused.stderr
    assert list(made.files) == [".gitattributes"]
    done = run("--bank", mood.url, "push", "mood", repository, "--public")
    assert done.returncode == 0, done.stderr
    assert "to a public repository" in done.stdout
    assert "adapter.json" in made.files


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("init --backbone team/missing", "the hub has no such repository, or hides it from you"),
        ("init --backbone MODEL@nowhere", "it has no such revision"),
        ("init --backbone team/gated", "it is gated: ask for access on its page"),
        ("init --backbone team/pickle", "no weights in safetensors, and taskbank reads no pickle"),
        ("init --backbone team/empty", "holds no model, as it has no config.json"),
        ("add-task x --train hf:team/missing --backbone MODEL", "doesn't exist on the Hub"),
        ("add-task x --train hf:team/gated --backbone MODEL", "gated dataset on the Hub"),
        ("import hf:team/missing", "the hub has no such repository, or hides it from you"),
        ("import hf:team/gated", "it is gated: ask for access on its page"),
        ("import hf:MODEL@nowhere", "it has no such revision"),
        ("import hf:team/pickle", "no weights in safetensors, and taskbank reads no pickle"),
        ("import hf:MODEL", "has no evidence that the adapter could be verified by"),
        ("import hf:team", "write hf:OWNER/NAME"),
        ("import hf:team/../etc", "write hf:OWNER/NAME"),
        ("import hf:team/a..b", "write hf:OWNER/NAME"),
        ("push mood hf:others/mood", "your token has no right to it"),
        ("push mood hf:team/mood@main", "a push makes a commit, so leave it out"),
        ("push mood hf:mood", "write hf:OWNER/NAME"),
        ("push nothing hf:team/mood", "nothing"),
        ("push mood hf:team/mood --format csv", "'csv' is unknown"),
    ],
)
def test_what_cannot_be_had_from_the_hub_is_said_plainly(
    run: Run, hub: Hub, mood: Bank, model: str, folder: Path, command: str, says: str
) -> None:
    """Each refusal is one line that says what is wrong, and the bank has nothing new."""
    files = _files(folder)
    hub.add("models/team/gated", files | {"adapter.json": b"{}"}, gated=True)
    hub.add("datasets/team/gated", {"train.csv": ROWS}, gated=True)
    hub.add("models/team/pickle", {"config.json": files["config.json"], "adapter_model.bin": b"x"})
    hub.add("models/team/empty", {"README.md": b"# Nothing"})
    before = len(mood.adapters()), len(mood.backbones())
    done = run("--bank", mood.url, *command.replace("MODEL", model).split())
    assert done.returncode in (2, 4)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert (len(mood.adapters()), len(mood.backbones())) == before


@pytest.mark.parametrize("token", [None, "hf_wrongwrongwrongwrongwrongwrongwrong"])
def test_a_push_needs_a_token_that_the_hub_accepts(
    run: Run, mood: Bank, repository: str, token: str | None
) -> None:
    """Without a token, or with a wrong one, the error says how to log in."""
    done = run("--bank", mood.url, "push", "mood", repository, token=token)
    assert done.returncode == 2
    assert "log in with hf auth login, or set HF_TOKEN" in done.stderr


def test_an_interrupted_download_goes_on_where_it_stopped(
    run: Run, hub: Hub, mood: Bank, pushed: str
) -> None:
    """A connection that breaks off once is resumed, and one that always does is an error."""
    hub.cut["weights.safetensors"] = 1
    done = run("--bank", mood.url, "import", pushed, "--name", "again")
    assert done.returncode == 0, done.stderr
    assert mood["again"].digest == mood["mood"].digest


@pytest.mark.parametrize("path", ["weights.safetensors", "adapter.json"])
def test_bytes_that_the_hub_does_not_list_are_refused(
    run: Run, hub: Hub, mood: Bank, pushed: str, tmp_path: Path, path: str
) -> None:
    """A file whose bytes differ from the listed digest is named, and nothing stays behind."""
    content = hub.repositories[_key(pushed)].files[path]
    hub.swapped[path] = content[:-1] + bytes([content[-1] ^ 1])
    try:
        done = run("--bank", mood.url, "import", pushed, "--name", "again")
    finally:
        hub.swapped.clear()
    assert done.returncode == 2
    assert f"{path} has the" in done.stderr, done.stderr
    assert len(mood.adapters()) == 1
    assert [p for p in tmp_path.iterdir() if p.name.startswith("tmp")] == []


def test_an_etag_that_lies_changes_nothing(run: Run, hub: Hub, mood: Bank, pushed: str) -> None:
    """Two files that the hub calls the same are not taken for each other."""
    hub.lies |= dict.fromkeys(("adapter.json", "weights.safetensors"), "0" * 40)
    try:
        done = run("--bank", mood.url, "import", pushed, "--name", "again")
    finally:
        hub.lies.clear()
    assert done.returncode == 0, done.stderr
    assert mood["again"].digest == mood["mood"].digest


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({f"split-{i}.jsonl": b"{}" for i in range(3001)}, "has 3,0"),
        ({"../../evil.json": b"{}"}, None),
        ({"sub/adapter.json": b"{}", "code.py": b"raise SystemExit", "a.bin": b"\x80\x04"}, None),
    ],
)
def test_what_else_a_repository_holds_is_not_downloaded(
    run: Run,
    hub: Hub,
    mood: Bank,
    pushed: str,
    tmp_path: Path,
    extra: dict[str, bytes],
    says: str | None,
) -> None:
    """Paths that leave the folder, code, pickles and folders are never asked for, and a repository
    with thousands of files is refused before the first."""
    repository = hub.repositories[_key(pushed)]
    repository.commit(repository.files | extra)
    hub.requests.clear()
    done = run("--bank", mood.url, "import", pushed, "--name", "again")
    assert done.returncode == (0 if says is None else 2), done.stderr
    assert says is None or says in done.stderr
    asked = [path.partition("/resolve/")[2].partition("/")[2] for _, path in hub.requests]
    assert not set(asked) & extra.keys()
