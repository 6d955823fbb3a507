"""Draws, their items, and the queue that SMEs work through."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, insert, select, text
from sqlalchemy.orm import Session

from evenhand.errors import SampleError
from evenhand.records.batches import DrawnItem, DrawRecord, QueueProgress
from evenhand.store.base import StoreBase, note, values
from evenhand.store.queries import in_slice, is_ruled, is_skipped, is_standing
from evenhand.store.tables import DrawRow, ItemRow, SkipRow

if TYPE_CHECKING:
    import polars as pl

ITEM_FIELDS = tuple(f.name for f in fields(DrawnItem))


class DrawMethods(StoreBase):
    """Review batches: added whole, never changed, reviewed in queue order."""

    def add_draw(self, draw: DrawRecord, items: Sequence[DrawnItem]) -> None:
        """Store a batch with its items, whole or not at all; SampleError if it is there already."""
        _check_items(draw, items)
        row = {"draw_id": draw.draw_id, "created_at": draw.created_at, "record": _as_json(draw)}
        with self._writing() as session:
            _check_number(session, draw)
            if not self._insert_new(session, DrawRow, [row], "draw_id"):
                raise SampleError(f"draw {draw.draw_id} is there already; draws never change")
            if items:
                rows = [
                    {**values(item, ITEM_FIELDS), "explanation": dict(item.explanation)} for item in items
                ]
                session.execute(insert(ItemRow.__table__), rows)  # type: ignore[arg-type]  # a Table
            details = {"budget": draw.budget, "seed": draw.seed, "model_version": draw.model_version}
            note(session, "draw", draw.draw_id, by=draw.created_by, at=draw.created_at, details=details)

    def draws(self) -> list[DrawRecord]:
        """All batches, oldest first."""
        with self._reading() as session:
            records = session.scalars(select(DrawRow.record).order_by(DrawRow.created_at, DrawRow.draw_id))
            return [_draw_record(record) for record in records]

    def draw(self, draw_id: str) -> DrawRecord:
        """The batch called `draw_id`; SampleError with the known ones otherwise."""
        with self._reading() as session:
            record = session.scalar(select(DrawRow.record).where(DrawRow.draw_id == draw_id))
        if record is None:
            known = ", ".join(draw.draw_id for draw in self.draws()[-5:]) or "none yet"
            raise SampleError(f"no draw {draw_id!r}; known: {known}; make one with `evenhand draw`")
        return _draw_record(record)

    def items(self, draw_id: str) -> pl.DataFrame:
        """The items of a batch in queue order, with `ruled` and `skipped`."""
        from evenhand.store import frames

        self.draw(draw_id)
        columns = [ItemRow.__table__.c[name] for name in ITEM_FIELDS]
        query = select(*columns, is_ruled(draw_id), is_skipped(draw_id)).where(ItemRow.draw_id == draw_id)
        with self._reading() as session:
            return frames.items_frame(session.execute(query.order_by(ItemRow.position)).all())

    def item(self, draw_id: str, decision: str) -> DrawnItem:
        """One item of a batch; SampleError if it is not in it."""
        with self._reading() as session:
            row = session.get(ItemRow, (draw_id, decision))
        if row is None:
            raise SampleError(f"decision {decision} is not in draw {draw_id}; take one from its queue")
        return DrawnItem(**values(row, ITEM_FIELDS))

    def progress(
        self,
        draw_id: str,
        *,
        markets: Sequence[str] | None = None,
        languages: Sequence[str] | None = None,
    ) -> QueueProgress:
        """How many items of a batch are ruled and skipped, in these markets and languages.

        An item both skipped and ruled counts as ruled.
        """
        states = (
            select(is_ruled(draw_id).label("ruled"), is_skipped(draw_id).label("skipped"))
            .where(in_slice(draw_id, markets, languages))
            .subquery()
        )
        counts = select(states.c.ruled, states.c.skipped, func.count()).group_by(
            states.c.ruled, states.c.skipped
        )
        with self._reading() as session:
            rows = session.execute(counts).all()
        if not rows:
            self.draw(draw_id)
        return QueueProgress(
            total=sum(n for _, _, n in rows),
            ruled=sum(n for ruled, _, n in rows if ruled),
            skipped=sum(n for ruled, skipped, n in rows if skipped and not ruled),
        )

    def skips(self, draw_id: str) -> dict[str, int]:
        """Why cases of the batch without a ruling were skipped, and how many for each reason.

        The most frequent reason comes first.
        """
        last = (
            select(func.max(SkipRow.id))
            .where(SkipRow.draw_id == draw_id, is_standing())
            .group_by(SkipRow.decision_id)
        )
        query = (
            select(SkipRow.reason, func.count())
            .join(
                ItemRow, and_(ItemRow.draw_id == SkipRow.draw_id, ItemRow.decision_id == SkipRow.decision_id)
            )
            .where(SkipRow.id.in_(last), ~is_ruled(draw_id))
            .group_by(SkipRow.reason)
            .order_by(func.count().desc(), SkipRow.reason)
        )
        with self._reading() as session:
            return {reason: n for reason, n in session.execute(query)}


def _check_items(draw: DrawRecord, items: Sequence[DrawnItem]) -> None:
    for item in items:
        if item.draw_id != draw.draw_id:
            raise SampleError(
                f"draw {draw.draw_id}: decision {item.decision_id} carries the draw id {item.draw_id!r};"
                " give every item its draw's id"
            )
        try:
            json.dumps(dict(item.explanation), allow_nan=False)
        except (TypeError, ValueError) as problem:
            raise SampleError(
                f"draw {draw.draw_id}: the explanation of decision {item.decision_id} is no JSON ({problem});"
                " explain it again"
            ) from problem
    for name in ("decision_id", "position"):
        seen = Counter(getattr(item, name) for item in items)
        if twice := [value for value, n in seen.items() if n > 1]:
            raise SampleError(
                f"draw {draw.draw_id}: {name} {twice[0]} stands there twice; draw without replacement"
            )


def _check_number(session: Session, draw: DrawRecord) -> None:
    """No two draws have one number: their random numbers would be the same."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE draws IN EXCLUSIVE MODE"))
    there = session.scalar(select(func.count()).select_from(DrawRow)) or 0
    if draw.number and draw.number != there + 1:
        raise SampleError(
            f"draw {draw.draw_id}: another draw was stored meanwhile, so this one is not; draw again"
        )


def _as_json(draw: DrawRecord) -> dict[str, Any]:
    record = asdict(draw)
    for name in ("created_at", "since", "until"):
        record[name] = record[name].isoformat() if record[name] else None
    return record


def _draw_record(raw: Mapping[str, Any]) -> DrawRecord:
    def day(value: str | None) -> date | None:
        return date.fromisoformat(value) if value else None

    return DrawRecord(
        **{
            **raw,
            "created_at": datetime.fromisoformat(raw["created_at"]),
            "since": day(raw["since"]),
            "until": day(raw["until"]),
            "cells": tuple(raw["cells"]),
            "policy_versions": tuple(raw["policy_versions"]),
        }
    )
