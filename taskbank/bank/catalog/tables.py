"""The tables of a bank, independent of torch, of files and of how the rows are used.

Every table except `gc_permits` is append-only: database triggers reject every UPDATE, and every
DELETE that no permitted garbage collection covers (see the migrations). Rows carry a *seal*, the
digest of all their other columns, except blobs, whose digest already is their key, and child
rows, whose digests their parent's row carries. A changed value is therefore always detectable.
Which rows there are, and under which ids, is recorded in the chain (see `chain.py`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from taskbank.bank.catalog.column_types import BigInteger, Boolean, Double, Integer, String, Text

# The same constraint names on every database, so that migrations can refer to them.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# The last one is the revision that this code uses; a test pins it to the migrations' head.
SCHEMA_REVISIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
)
SCHEMA_REVISION = SCHEMA_REVISIONS[-1]

# Columns added after the first schema, with their values in older rows. Digests leave out a
# column at that value, so that older rows keep their seals.
ADDED_COLUMNS: dict[str, Any] = {
    "settings": {},
    "canary": None,
    "run_id": None,
    "vouched": None,
    "circumstances": None,
    "evidence": None,
    "course": None,
    "request": None,
    "row_digests": None,
    "kept_rows": None,
}

Digest = String(71)  # "sha256:" and 64 hex digits
Moment = String(32)  # ISO 8601 in UTC: it sorts as text and is the same on every database


class Base(DeclarativeBase):
    """Base of all tables; the annotations map to portable column types."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: Text(),
        int: Integer(),
        float: Double(),
        bool: Boolean(),
        dict[str, Any]: JSON(),
        list[str]: JSON(),
        list[Any]: JSON(),
    }


class BankRow(Base):
    """The bank itself; the table has one row."""

    __tablename__ = "bank"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36))
    blobs: Mapped[str]  # "catalog", or the URL of the blob store
    created_at: Mapped[str] = mapped_column(Moment)
    created_with: Mapped[str]
    seal: Mapped[str] = mapped_column(Digest)


class BackboneRow(Base):
    """A frozen model with its tokenizer, identified by fingerprint."""

    __tablename__ = "backbones"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Digest, unique=True)
    spec: Mapped[str]
    model_type: Mapped[str]
    pooling: Mapped[str]
    parameters: Mapped[int] = mapped_column(BigInteger)
    hidden_size: Mapped[int]
    layers: Mapped[int]
    max_length: Mapped[int]
    weights: Mapped[str] = mapped_column(Digest)
    config: Mapped[str] = mapped_column(Digest)
    tokenizer: Mapped[str] = mapped_column(Digest)
    created_at: Mapped[str] = mapped_column(Moment)
    seal: Mapped[str] = mapped_column(Digest)


class TokenizerSettingsRow(Base):
    """What decides the tokens of a backbone's inputs besides the rules of its tokenizer."""

    __tablename__ = "tokenizer_settings"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    backbone_id: Mapped[int] = mapped_column(ForeignKey("backbones.id"), unique=True)
    settings: Mapped[dict[str, Any]]
    recorded_at: Mapped[str] = mapped_column(Moment)
    seal: Mapped[str] = mapped_column(Digest)


class TaskRow(Base):
    """A task: a name and a kind; its versions are adapters."""

    __tablename__ = "tasks"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    kind: Mapped[str]
    created_at: Mapped[str] = mapped_column(Moment)
    seal: Mapped[str] = mapped_column(Digest)


class AdapterRow(Base):
    """One stored version of a task, without its child rows."""

    __tablename__ = "adapters"
    __table_args__ = (
        UniqueConstraint("task_id", "version"),
        Index(None, "backbone_id"),
        Index(None, "digest"),
        Index(None, "score", "id"),  # the orders of a list of tasks
        Index(None, "bytes", "id"),
        Index(None, "row_digests"),
        Index(None, "kept_rows"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"))
    version: Mapped[int]
    backbone_id: Mapped[int] = mapped_column(ForeignKey("backbones.id"))
    method: Mapped[str]
    options: Mapped[dict[str, Any]]
    options_digest: Mapped[str] = mapped_column(Digest)
    training: Mapped[dict[str, Any]]
    training_digest: Mapped[str] = mapped_column(Digest)
    labels: Mapped[list[str]]
    settings: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    description: Mapped[str]
    metric: Mapped[str]
    score: Mapped[float]
    split: Mapped[str]
    parameters: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(Digest)  # of the weights
    environment: Mapped[dict[str, Any]]
    created_at: Mapped[str] = mapped_column(Moment)
    contents: Mapped[dict[str, Any]]  # digest of the rows in each child table
    seal: Mapped[str] = mapped_column(Digest)
    # How the training went, and the digest of the request. Older rows hold both in `environment`.
    course: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    request: Mapped[str | None] = mapped_column(Digest)
    row_digests: Mapped[str | None] = mapped_column(Digest)  # of the digests of the training rows
    kept_rows: Mapped[str | None] = mapped_column(Digest)  # of the training rows, if they are kept


class TagRow(Base):
    """A key and a value that an adapter was tagged with when it was added."""

    __tablename__ = "tags"
    __table_args__ = (
        UniqueConstraint("adapter_id", "key"),
        Index(None, "key", "value"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    adapter_id: Mapped[int] = mapped_column(ForeignKey("adapters.id"))
    key: Mapped[str] = mapped_column(String(100))
    value: Mapped[str]


class MetricRow(Base):
    """A metric's value and standard error on one of an adapter's splits."""

    __tablename__ = "metrics"
    __table_args__ = (
        UniqueConstraint("adapter_id", "split", "name"),
        Index(None, "name", "value"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    adapter_id: Mapped[int] = mapped_column(ForeignKey("adapters.id"))
    split: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(100))
    value: Mapped[float]
    standard_error: Mapped[float]
    count: Mapped[int]


class SplitRow(Base):
    """An evaluation data set, identified by its digest; many adapters may share it."""

    __tablename__ = "splits"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(Digest, unique=True)
    rows: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[str] = mapped_column(Moment)
    seal: Mapped[str] = mapped_column(Digest)


class PredictionRow(Base):
    """An adapter's reference predictions on a split: float32 logits in a blob."""

    __tablename__ = "predictions"
    __table_args__ = (
        UniqueConstraint("adapter_id", "split"),
        Index(None, "split_digest"),
        Index(None, "digest"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    adapter_id: Mapped[int] = mapped_column(ForeignKey("adapters.id"))
    split: Mapped[str] = mapped_column(String(100))
    origin: Mapped[str]
    split_digest: Mapped[str] = mapped_column(Digest, ForeignKey("splits.digest"))
    digest: Mapped[str] = mapped_column(Digest)  # of the logits
    rows: Mapped[int]
    canary: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))  # positions


class ScoredSplitRow(Base):
    """A further split of an adapter, scored after it was added: its predictions and metrics."""

    __tablename__ = "scored_splits"
    __table_args__ = (
        UniqueConstraint("adapter_id", "split"),
        Index(None, "split_digest"),
        Index(None, "digest"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    adapter_id: Mapped[int] = mapped_column(ForeignKey("adapters.id"))
    split: Mapped[str] = mapped_column(String(100))
    origin: Mapped[str]
    split_digest: Mapped[str] = mapped_column(Digest, ForeignKey("splits.digest"))
    digest: Mapped[str] = mapped_column(Digest)  # of the predictions
    rows: Mapped[int]
    canary: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))  # positions
    metrics: Mapped[dict[str, Any]]  # value, standard_error and count by name
    scored_at: Mapped[str] = mapped_column(Moment)
    seal: Mapped[str] = mapped_column(Digest)


class AliasRow(Base):
    """One change of an alias: the version that it points at from then on."""

    __tablename__ = "aliases"
    __table_args__ = (Index(None, "task_id", "name", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"))
    name: Mapped[str] = mapped_column(String(100))
    version: Mapped[int | None]  # None: the alias was dropped
    set_at: Mapped[str] = mapped_column(Moment)
    seal: Mapped[str] = mapped_column(Digest)


class RetirementRow(Base):
    """A retired adapter; the row outlives the adapter, so its number is never reused."""

    __tablename__ = "retirements"
    __table_args__ = (UniqueConstraint("task_id", "version"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"))
    version: Mapped[int]
    digest: Mapped[str] = mapped_column(Digest)
    retired_at: Mapped[str] = mapped_column(Moment)
    seal: Mapped[str] = mapped_column(Digest)


class VerificationRow(Base):
    """A finished verification."""

    __tablename__ = "verifications"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    level: Mapped[str]
    ok: Mapped[bool]
    checked: Mapped[int]
    tolerance: Mapped[float]
    environment: Mapped[dict[str, Any]]
    started_at: Mapped[str] = mapped_column(Moment)
    finished_at: Mapped[str] = mapped_column(Moment)
    contents: Mapped[dict[str, Any]]  # digests of its results and of its findings
    seal: Mapped[str] = mapped_column(Digest)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"))
    vouched: Mapped[int | None]  # number of adapters that earlier verifications confirmed


class ResultRow(Base):
    """A verification's result for one adapter."""

    __tablename__ = "results"
    __table_args__ = (
        Index(None, "verification_id"),
        Index(None, "task", "version"),
        Index(None, "circumstances"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    verification_id: Mapped[int] = mapped_column(ForeignKey("verifications.id"))
    task: Mapped[str] = mapped_column(String(100))
    version: Mapped[int]
    status: Mapped[str]
    metric: Mapped[str | None]
    recorded: Mapped[float | None]
    observed: Mapped[float | None]
    flips: Mapped[int | None]
    examples: Mapped[int | None]
    shift: Mapped[float | None]
    circumstances: Mapped[str | None] = mapped_column(Digest)  # everything the result depends on
    evidence: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class FindingRow(Base):
    """One finding of a verification."""

    __tablename__ = "findings"
    __table_args__ = (Index(None, "verification_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    verification_id: Mapped[int] = mapped_column(ForeignKey("verifications.id"))
    task: Mapped[str | None] = mapped_column(String(100))
    version: Mapped[int | None]
    check: Mapped[str]
    message: Mapped[str]


class RunRow(Base):
    """A verification that started to predict; it is unfinished if no verification refers to it."""

    __tablename__ = "runs"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    level: Mapped[str]
    tasks: Mapped[list[str]]  # the requested tasks; empty means all
    environment: Mapped[dict[str, Any]]
    started_at: Mapped[str] = mapped_column(Moment)
    seal: Mapped[str] = mapped_column(Digest)


class ObservationRow(Base):
    """An adapter's predictions for one of its splits, made during a verification."""

    __tablename__ = "observations"
    __table_args__ = (
        Index(None, "run_id"),
        Index(None, "adapter_id"),
        Index(None, "circumstances"),
        Index(None, "digest"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"))
    adapter_id: Mapped[int]  # no foreign key: the row outlives the adapter
    split: Mapped[str] = mapped_column(String(100))
    circumstances: Mapped[str] = mapped_column(Digest)
    noise: Mapped[float]
    digest: Mapped[str] = mapped_column(Digest)  # of the predictions
    observed_at: Mapped[str] = mapped_column(Moment)
    seal: Mapped[str] = mapped_column(Digest)


class AcceptanceRow(Base):
    """The predictions of a verification that became the reference of an adapter's split."""

    __tablename__ = "acceptances"
    __table_args__ = (
        Index(None, "adapter_id"),
        Index(None, "digest"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    adapter_id: Mapped[int]  # no foreign key: the row outlives the adapter
    split: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(Digest)  # of the predictions
    verification_id: Mapped[int] = mapped_column(ForeignKey("verifications.id"))
    reason: Mapped[str]
    accepted_at: Mapped[str] = mapped_column(Moment)
    seal: Mapped[str] = mapped_column(Digest)


class ToleranceRow(Base):
    """A task's tolerance from then on."""

    __tablename__ = "tolerances"
    __table_args__ = (Index(None, "task_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"))
    tolerance: Mapped[float | None]  # None: each verification's own tolerance
    set_at: Mapped[str] = mapped_column(Moment)
    seal: Mapped[str] = mapped_column(Digest)


class TrialRow(Base):
    """One training of a task; of equal specifications, the last row counts."""

    __tablename__ = "trials"
    __table_args__ = (
        Index(None, "task", "specification"),
        Index(None, "digest"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    task: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str]
    backbone_id: Mapped[int] = mapped_column(ForeignKey("backbones.id"))
    specification: Mapped[str] = mapped_column(Digest)  # everything that determines its bytes
    method: Mapped[str]
    options: Mapped[dict[str, Any]]
    training: Mapped[dict[str, Any]]
    data: Mapped[dict[str, Any]]  # origin, rows and digest of each split
    labels: Mapped[list[str]]
    settings: Mapped[dict[str, Any]]
    status: Mapped[str]
    metric: Mapped[str]
    score: Mapped[float]  # on validation
    metrics: Mapped[list[Any]]
    parameters: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str | None] = mapped_column(Digest)  # of the weights, if they were kept
    environment: Mapped[dict[str, Any]]
    created_at: Mapped[str] = mapped_column(Moment)
    seal: Mapped[str] = mapped_column(Digest)
    course: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    request: Mapped[str | None] = mapped_column(Digest)


class ByteCheckRow(Base):
    """A row whose blobs were read in full and found intact, and the state they were in then."""

    __tablename__ = "byte_checks"
    __table_args__ = (Index(None, "of_table", "row_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    of_table: Mapped[str] = mapped_column(String(100))
    row_id: Mapped[int]  # no foreign key: the row outlives the one of that id
    state: Mapped[str] = mapped_column(Digest)  # of the row, and of what its store lists
    checked_at: Mapped[str] = mapped_column(Moment)
    seal: Mapped[str] = mapped_column(Digest)


class BlobRow(Base):
    """A blob, in banks whose catalog is the blob store."""

    __tablename__ = "blobs"

    digest: Mapped[str] = mapped_column(Digest, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class ChainRow(Base):
    """One entry of the chain: the rows that a transaction inserted and deleted."""

    __tablename__ = "chain"

    # Consecutive numbers from 1, given by the code.
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[str] = mapped_column(Moment)
    changes: Mapped[str]  # canonical JSON; text, because the head covers its very bytes
    head: Mapped[str] = mapped_column(Digest)  # of the previous head and this entry


class GcPermitRow(Base):
    """Permission for the running garbage collection to delete a retired adapter."""

    __tablename__ = "gc_permits"

    adapter_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)


SEALED_TABLES = (
    BankRow,
    BackboneRow,
    TokenizerSettingsRow,
    TaskRow,
    AdapterRow,
    SplitRow,
    ScoredSplitRow,
    AliasRow,
    RetirementRow,
    RunRow,
    VerificationRow,
    ObservationRow,
    AcceptanceRow,
    ToleranceRow,
    TrialRow,
    ByteCheckRow,
)
# By name of the child table: its model and the column that refers to the parent.
CHILDREN: dict[str, tuple[type[Base], str]] = {
    "tags": (TagRow, "adapter_id"),
    "metrics": (MetricRow, "adapter_id"),
    "predictions": (PredictionRow, "adapter_id"),
}
VERIFICATION_CHILDREN: dict[str, tuple[type[Base], str]] = {
    "results": (ResultRow, "verification_id"),
    "findings": (FindingRow, "verification_id"),
}
# The child tables of each table whose rows have child rows.
FAMILIES = {"adapters": CHILDREN, "verifications": VERIFICATION_CHILDREN}
