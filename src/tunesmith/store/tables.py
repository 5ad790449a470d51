"""Every table. Times are seconds since the epoch; documents (specifications, plans, bodies of events) are JSON."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Sequence,
    String,
    Table,
    Text,
    UniqueConstraint,
)

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMING)
_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")
"""A counting key; SQLite counts only plain integers by itself."""

job_numbers = Sequence("job_numbers", metadata=metadata)
"""Counts jobs on PostgreSQL; SQLite, where only one writes at a time, counts by itself."""

organisations = Table(
    "organisations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("weight", Float, nullable=False, default=1.0),
    # Quotas; NULL means the server's setting.
    Column("max_queued", Integer),
    Column("max_running", Integer),
    Column("max_device_hours", Float),
    Column("max_bytes", BigInteger),
    # Job whose model answers for the organisation; NULL means its newest.
    Column("serves", String(40)),
)
members = Table(
    "members",
    metadata,
    Column("org", ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
)
keys = Table(
    "keys",
    metadata,
    Column("id", String(40), primary_key=True),
    # NULL: an operator's key, good for every organisation.
    Column("org", ForeignKey("organisations.id", ondelete="CASCADE")),
    Column("member", String(128)),
    Column("role", String(16), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("prefix", String(16), nullable=False),
    Column("label", String(128), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("used_at", Float),
    Column("revoked_at", Float),
)
machines = Table(
    "machines",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)
servers = Table(
    "servers",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("machine", ForeignKey("machines.id", ondelete="CASCADE"), nullable=False),
    Column("role", String(8), nullable=False),
    Column("device", String(8), nullable=False),
    Column("url", String(256)),
    Column("pid", Integer, nullable=False),
    Column("started", String(64)),
    Column("boot", String(64)),
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("stopped_at", Float),
    Index("ix_servers_machine", "machine"),
)
devices = Table(
    "devices",
    metadata,
    Column("machine", ForeignKey("machines.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("name", String(128), nullable=False),
    Column("memory", BigInteger, nullable=False),
    # Whether it is what it claims: a gpu lane on a machine without a GPU computes on the CPU.
    Column("real", Boolean, nullable=False, default=True),
    # Offered no more: it goes as soon as the job that holds it gives it back.
    Column("withdrawn", Boolean, nullable=False, default=False),
    # Who has it, whose job that is, under which lease, and since when; all NULL while it is free.
    Column("job", String(12)),
    Column("org", String(64)),
    Column("token", Integer),
    Column("since", Float),
    Index("ix_devices_job", "job"),
)
jobs = Table(
    "jobs",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("number", _NUMBER, nullable=False, unique=True),
    Column("org", ForeignKey("organisations.id"), nullable=False),
    Column("created_by", String(40)),
    Column("door", String(24), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", String(64), nullable=False),
    # What is trained, and the plan of it; a job of another kind has its work instead.
    Column("spec", JSON(none_as_null=True)),
    Column("work", JSON(none_as_null=True)),
    Column("plan", JSON),
    Column("folder", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("waiting", Text),
    Column("request", String(16), nullable=False, default="none"),
    Column("requested_at", Float),
    Column("priority", Integer, nullable=False, default=0),
    Column("device", String(8), nullable=False),
    Column("slots", Integer, nullable=False, default=1),
    Column("created_at", Float, nullable=False),
    Column("available_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("attempts", Integer, nullable=False, default=0),
    Column("run", String(128)),
    Column("lease_owner", String(40)),
    Column("lease_token", Integer, nullable=False, default=0),
    Column("lease_until", Float),
    Column("progress", JSON, nullable=False),
    Column("error", JSON),
    Column("warnings", JSON, nullable=False),
    Column("result", JSON),
    # What the way in wants to show again: OpenAI's metadata, the file ids, the model type that was asked for.
    Column("extra", JSON, nullable=False),
    # Whether the service made it; a job read from a run folder that the command line made is never deleted.
    Column("indexed", Boolean, nullable=False, default=False),
    # All that the choice of the next job reads, so that it never looks into the rows themselves.
    Index("ix_jobs_claim", "state", "priority", "org", "device", "slots", "available_at", "number"),
    Index("ix_jobs_org", "org", "number"),
    Index("ix_jobs_owner", "lease_owner", "state"),
    Index("ix_jobs_state", "state", "number"),
)
runs = Table(
    "runs",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("job", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("org", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("machine", String(128), nullable=False),
    Column("device", String(8), nullable=False),
    Column("slots", Integer, nullable=False, default=1),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("handle", JSON),
    Column("exit", Integer),
    Column("step", Integer),
    Column("event_offset", BigInteger, nullable=False, default=0),
    Column("event_seq", Integer, nullable=False, default=0),
    Column("created_at", Float, nullable=False),
    Column("launched_at", Float),
    Column("heartbeat_at", Float),
    Column("ended_at", Float),
    Column("peak_memory", BigInteger),
    Index("ix_runs_job", "job"),
    Index("ix_runs_org", "org", "created_at"),
)
events = Table(
    "events",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("org", String(64), nullable=False),
    Column("job", String(12), nullable=False),
    # NULL: said by the service of the job, not by a run.
    Column("run", String(128)),
    Column("seq", Integer),
    Column("time", Float, nullable=False),
    Column("kind", String(24), nullable=False),
    Column("body", JSON, nullable=False),
    UniqueConstraint("run", "seq"),
    Index("ix_events_job", "job", "id"),
    Index("ix_events_org", "org", "id"),
    sqlite_autoincrement=True,
)
usage = Table(
    "usage",
    metadata,
    Column("org", String(64), primary_key=True),
    Column("hour", Integer, primary_key=True),
    Column("device_seconds", Float, nullable=False),
)
files = Table(
    "files",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("org", ForeignKey("organisations.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("purpose", String(24), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("path", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("status_details", Text),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Index("ix_files_org", "org", "created_at"),
)
uploads = Table(
    "uploads",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("org", ForeignKey("organisations.id"), nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("sha256", String(64)),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    # The file or data set that a complete upload became.
    Column("became", String(40)),
    Index("ix_uploads_org", "org"),
)
datasets = Table(
    "datasets",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("org", ForeignKey("organisations.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("type", String(32), nullable=False),
    Column("path", Text, nullable=False),
    Column("rows", Integer),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64)),
    Column("created_at", Float, nullable=False),
    Index("ix_datasets_org", "org", "created_at"),
)
models = Table(
    "models",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("org", ForeignKey("organisations.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("path", Text, nullable=False),
    Column("job", String(12)),
    Column("run", String(128)),
    # Lineage: what it was made of, so that it can be explained and made again.
    Column("base", Text, nullable=False),
    Column("base_fingerprint", String(64)),
    Column("parent", String(40)),
    Column("recipe", JSON, nullable=False),
    Column("data", JSON, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("org", "name"),
    Index("ix_models_job", "job"),
)
idempotency = Table(
    "idempotency",
    metadata,
    Column("org", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    # Route and sha256 of the body: the same key with another request is refused.
    Column("request", String(128), nullable=False),
    # What the first request answered; NULL while it is being answered.
    Column("status", Integer),
    Column("answer", JSON),
    Column("created_at", Float, nullable=False),
)
