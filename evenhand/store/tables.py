"""The tables of the store. All but policies, skips and users are append-only, by trigger."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

APPEND_ONLY = (
    "rulings",
    "ruling_undos",
    "draws",
    "drawn_items",
    "live_models",
    "audit",
    "improvement_events",
    "assignments",
    "skip_undos",
)


class Utc(TypeDecorator[datetime]):
    """Aware UTC datetimes; SQLite alone would return naive ones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store as UTC; a naive time is a bug in the calling code."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value}: a time without zone reached the store")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_ID = BigInteger().with_variant(Integer(), "sqlite")


class Base(DeclarativeBase):
    """The base class of all tables."""


class PolicyRow(Base):
    """A policy version's text, as it was added."""

    __tablename__ = "policies"
    version: Mapped[str] = mapped_column(Text, primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(String(32))
    added_at: Mapped[datetime] = mapped_column(Utc)
    added_by: Mapped[str] = mapped_column(Text)


class DrawRow(Base):
    """A review batch."""

    __tablename__ = "draws"
    draw_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Utc)
    record: Mapped[dict[str, Any]] = mapped_column(JSON)


class ItemRow(Base):
    """A drawn decision, in queue order."""

    __tablename__ = "drawn_items"
    draw_id: Mapped[str] = mapped_column(ForeignKey("draws.draw_id"), primary_key=True)
    decision_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    position: Mapped[int] = mapped_column(Integer)
    pi: Mapped[float] = mapped_column(Float(53))
    p_overturn: Mapped[float] = mapped_column(Float(53))
    take_all: Mapped[bool] = mapped_column(Boolean)
    case_id: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(Text)
    market: Mapped[str] = mapped_column(Text)
    queue: Mapped[str] = mapped_column(Text)
    area: Mapped[str] = mapped_column(Text)
    policy_version: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(Text)
    moderator_id: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime] = mapped_column(Utc)
    predicted_label: Mapped[str] = mapped_column(Text)
    team: Mapped[str | None] = mapped_column(Text)
    content_type: Mapped[str | None] = mapped_column(Text)
    reasons: Mapped[str] = mapped_column(Text)
    explanation: Mapped[dict[str, Any]] = mapped_column(JSON)
    __table_args__ = (UniqueConstraint("draw_id", "position"),)


class RulingRow(Base):
    """An SME's ruling."""

    __tablename__ = "rulings"
    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(32), unique=True)
    decision_id: Mapped[str | None] = mapped_column(String(16))
    case_id: Mapped[str] = mapped_column(Text)
    area: Mapped[str] = mapped_column(Text)
    policy_version: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(Text)
    sme_id: Mapped[str] = mapped_column(Text)
    ruled_at: Mapped[datetime] = mapped_column(Utc)
    decision_moderator_id: Mapped[str | None] = mapped_column(Text)
    error_class: Mapped[str | None] = mapped_column(String(32))
    cause: Mapped[str | None] = mapped_column(Text)
    confidence: Mapped[float | None] = mapped_column(Float(53))
    rationale: Mapped[str | None] = mapped_column(Text)
    draw_id: Mapped[str | None] = mapped_column(ForeignKey("draws.draw_id"))
    replaces: Mapped[int | None] = mapped_column(ForeignKey("rulings.id"))
    seconds: Mapped[float | None] = mapped_column(Float(53))
    source: Mapped[str] = mapped_column(String(32))
    __table_args__ = (
        Index("ix_rulings_draw", "draw_id", "decision_id"),
        Index(  # partial: corrections are few, and every queue query reads them all
            "ix_rulings_replaces",
            "replaces",
            sqlite_where=text("replaces IS NOT NULL"),
            postgresql_where=text("replaces IS NOT NULL"),
        ),
    )


class UndoRow(Base):
    """A ruling that its SME took back; the ruling itself stays."""

    __tablename__ = "ruling_undos"
    ruling_id: Mapped[int] = mapped_column(ForeignKey("rulings.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(Utc)
    by: Mapped[str] = mapped_column(Text)


class SkipRow(Base):
    """An item that an SME skipped, with the reason: missing data, not a ruling."""

    __tablename__ = "skips"
    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    draw_id: Mapped[str] = mapped_column(ForeignKey("draws.draw_id"))
    decision_id: Mapped[str] = mapped_column(String(16))
    sme_id: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Utc)
    __table_args__ = (Index("ix_skips_draw", "draw_id", "decision_id"),)


class SkipUndoRow(Base):
    """A skip that its SME took back; the skip itself stays."""

    __tablename__ = "skip_undos"
    skip_id: Mapped[int] = mapped_column(ForeignKey("skips.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(Utc)
    by: Mapped[str] = mapped_column(Text)


class AssignmentRow(Base):
    """A drawn item handed to an SME; the highest turn has it.

    The key ensures that two who ask at the same time do not both get it.
    """

    __tablename__ = "assignments"
    draw_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    decision_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    turn: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    sme_id: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Utc)
    __table_args__ = (
        ForeignKeyConstraint(["draw_id", "decision_id"], ["drawn_items.draw_id", "drawn_items.decision_id"]),
    )


class UserRow(Base):
    """A person who uses the app."""

    __tablename__ = "users"
    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    role: Mapped[str] = mapped_column(String(32))
    markets: Mapped[list[str]] = mapped_column(JSON)
    languages: Mapped[list[str]] = mapped_column(JSON)
    capacity: Mapped[int | None] = mapped_column(Integer)
    away_since: Mapped[date | None] = mapped_column(Date)
    away_until: Mapped[date | None] = mapped_column(Date)


class LiveRow(Base):
    """The ledger of live models."""

    __tablename__ = "live_models"
    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    model_version: Mapped[str] = mapped_column(Text)
    policy_version: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(Utc)
    by: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)


class AuditRow(Base):
    """The audit log: who did what, when."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    at: Mapped[datetime] = mapped_column(Utc)
    by: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSON)


class ImprovementEventRow(Base):
    """An event of the work on a slice whose error rate stands out.

    It was opened, changed, measured or closed.
    """

    __tablename__ = "improvement_events"
    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    improvement_id: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(Utc)
    by: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(32))
    record: Mapped[dict[str, Any]] = mapped_column(JSON)
    __table_args__ = (Index("ix_improvement_events_improvement", "improvement_id"),)
