"""Stores rulings: they are appended, replaced by later ones or taken back, but never changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evenhand.errors import RecordError, SampleError, UserError
from evenhand.records.decision import decision_id
from evenhand.records.ruling import AddResult, Ruling
from evenhand.store.base import CHUNK, StoreBase, note
from evenhand.store.queries import is_current
from evenhand.store.tables import DrawRow, ItemRow, RulingRow, UndoRow

if TYPE_CHECKING:
    import polars as pl

_RULING_FIELDS = tuple(f.name for f in fields(Ruling))
_IDENTITY = (
    "case_id",
    "area",
    "policy_version",
    "label",
    "sme_id",
    "decision_moderator_id",
    "draw_id",
    "replaces",
)
_SAME = ("case_id", "area", "decision_moderator_id", "draw_id")  # these stay the same in a correction


class RulingMethods(StoreBase):
    """Adding and listing rulings."""

    def add_rulings(self, rulings: Sequence[Ruling], *, by: str) -> AddResult:
        """Append rulings; exact repeats of stored ones are only counted.

        They are committed when this returns. RecordError, and nothing is added, for a ruling with a `draw_id`
        whose case is not in that draw, or one that replaces a ruling which does not exist, is on another
        decision or in another draw, or was replaced already.
        """
        with self._writing() as session:
            return self._add(session, rulings, by=by)

    def rule_item(self, ruling: Ruling, *, by: str) -> None:
        """Add the first ruling on a drawn case.

        UserError if somebody has ruled on it meanwhile; then nothing is added. RecordError for a ruling that
        names no draw and moderator.
        """
        decision = _decision_of(ruling)
        if ruling.draw_id is None or decision is None:
            raise RecordError(
                f"ruling on case {ruling.case_id}: names no drawn decision; give draw_id and decision_moderator_id"
            )
        with self._writing() as session:
            check_unruled(session, ruling.draw_id, decision)
            self._add(session, [ruling], by=by)

    def _add(self, session: Session, rulings: Sequence[Ruling], *, by: str) -> AddResult:
        rows = {_content_hash(ruling): ruling for ruling in rulings}
        known = _known(session, list(rows))
        fresh = {mark: ruling for mark, ruling in rows.items() if mark not in known}
        _check_drawn(session, fresh.values())
        _check_replaced(session, fresh.values())
        prepared = [_ruling_values(mark, ruling) for mark, ruling in fresh.items()]
        added = self._insert_new(session, RulingRow, prepared, "content_hash")
        written = [row for row in prepared if row["content_hash"] in added]
        _note_added(session, written, by=by, at=datetime.now(UTC))
        return AddResult(added=len(added), duplicates=len(rulings) - len(added))

    def rulings(
        self, *, draw_id: str | None = None, policy_version: str | None = None, current: bool = True
    ) -> pl.DataFrame:
        """Rulings, in the order they were added. With `current`, without those replaced or taken back."""
        from evenhand.store import frames

        query = select(*(RulingRow.__table__.c[name] for name in frames.RULINGS))
        if draw_id is not None:
            query = query.where(RulingRow.draw_id == draw_id)
        if policy_version is not None:
            query = query.where(RulingRow.policy_version == policy_version)
        if current:
            query = query.where(is_current(draw_id))
        with self._reading() as session:
            return frames.rulings_frame(session.execute(query.order_by(RulingRow.id)).all())

    def ruling_count(self) -> tuple[int, int]:
        """How many rulings were ever stored, and how many of them were taken back.

        Both numbers only grow, so any change shows in them.
        """
        with self._reading() as session:
            stored = session.scalar(select(func.count()).select_from(RulingRow))
            undone = session.scalar(select(func.count()).select_from(UndoRow))
        return int(stored or 0), int(undone or 0)


def check_unruled(session: Session, draw_id: str, decision: str) -> None:
    """UserError if somebody has ruled on the drawn case meanwhile.

    The case is locked, so that there is only one act on it at a time.
    """
    key = ItemRow.draw_id == draw_id, ItemRow.decision_id == decision
    session.execute(select(ItemRow.decision_id).where(*key).with_for_update())
    before = session.execute(
        select(RulingRow.sme_id, RulingRow.ruled_at).where(
            RulingRow.draw_id == draw_id, RulingRow.decision_id == decision, is_current(draw_id)
        )
    ).first()
    if before is not None:
        raise UserError(
            f"{before.sme_id} ruled on this case at {before.ruled_at:%H:%M} UTC, so yours is not stored;"
            " go on with the next case"
        )


def _parts(found: Iterable[Any]) -> Iterator[list[Any]]:
    ordered = list(found)
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]


def _known(session: Session, marks: list[str]) -> set[str]:
    known: set[str] = set()
    for part in _parts(marks):
        known |= set(session.scalars(select(RulingRow.content_hash).where(RulingRow.content_hash.in_(part))))
    return known


def _check_drawn(session: Session, rulings: Iterable[Ruling]) -> None:
    wanted: dict[str, dict[str, str]] = {}  # draw -> decision -> policy version of its ruling
    for ruling in rulings:
        if ruling.draw_id is not None:
            decision = _decision_of(ruling)
            if decision is None:
                raise RecordError(
                    f"ruling on case {ruling.case_id}: a ruling of draw {ruling.draw_id} must name the"
                    " decision's moderator (decision_moderator_id)"
                )
            wanted.setdefault(ruling.draw_id, {})[decision] = ruling.policy_version
    for draw_id, ids in wanted.items():
        if session.scalar(select(DrawRow.draw_id).where(DrawRow.draw_id == draw_id)) is None:
            raise SampleError(f"no draw {draw_id!r} to rule on; make one with `evenhand draw`")
        there: dict[str, str] = {}
        for part in _parts(ids):
            query = select(ItemRow.decision_id, ItemRow.policy_version).where(
                ItemRow.draw_id == draw_id, ItemRow.decision_id.in_(part)
            )
            there |= {row.decision_id: row.policy_version for row in session.execute(query)}
        if missing := [decision for decision in ids if decision not in there]:
            raise RecordError(
                f"draw {draw_id} has no item for {len(missing)} of the rulings (first decision id: {missing[0]});"
                " give rulings on cases that were not drawn without a draw id: they are gold for training only"
            )
        if other := [decision for decision, version in ids.items() if version != there[decision]]:
            raise RecordError(
                f"draw {draw_id}: {len(other)} of the rulings are under another policy version than their decision (first decision"
                f" id: {other[0]}, decided under {there[other[0]]!r}, ruled under {ids[other[0]]!r}); rule under the version of the"
                " decision, or give the rulings without a draw id"
            )


def _check_replaced(session: Session, rulings: Iterable[Ruling]) -> None:
    corrections: dict[int, Ruling] = {}
    for ruling in rulings:
        if ruling.replaces is not None:
            if ruling.replaces in corrections:
                raise RecordError(
                    f"ruling {ruling.replaces} is replaced twice in one go; keep the later correction"
                )
            corrections[ruling.replaces] = ruling
    for part in _parts(sorted(corrections)):
        columns = (RulingRow.__table__.c[name] for name in ("id", *_SAME))
        query = select(*columns).where(RulingRow.id.in_(part))
        there = {row.id: row for row in session.execute(query.with_for_update())}
        for old in part:
            new, found = corrections[old], there.get(old)
            if found is None or any(getattr(found, name) != getattr(new, name) for name in _SAME):
                raise RecordError(
                    f"ruling on case {new.case_id}, area {new.area}: replaces {old}, which is no ruling on the"
                    f" same {', '.join(_SAME)}; name the ruling that it corrects"
                )
        undone = select(UndoRow.ruling_id)
        query_newer = select(RulingRow.replaces, RulingRow.id).where(
            RulingRow.replaces.in_(part), RulingRow.id.not_in(undone)
        )
        for old_id, newer in session.execute(query_newer):
            raise RecordError(f"ruling {old_id} was replaced already, by {newer}; correct that one instead")


def _note_added(session: Session, rows: Sequence[Mapping[str, Any]], *, by: str, at: datetime) -> None:
    if len(rows) == 1:
        details = {name: rows[0][name] for name in ("area", "label", "draw_id")}
        note(session, "rule", rows[0]["case_id"], by=by, at=at, details=details)
    elif rows:
        draws = sorted({row["draw_id"] for row in rows if row["draw_id"]})
        details = {"n": len(rows), "draws": draws}
        note(session, "rule", f"{len(rows)} rulings", by=by, at=at, details=details)


def _decision_of(ruling: Ruling) -> str | None:
    if ruling.decision_moderator_id is None:
        return None
    return decision_id(ruling.case_id, ruling.area, ruling.decision_moderator_id)


def _content_hash(ruling: Ruling) -> str:
    """The hash of a ruling's content: two rulings with the same hash are the same ruling, given twice."""
    parts = [getattr(ruling, name) for name in _IDENTITY] + [ruling.ruled_at.isoformat()]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def _ruling_values(mark: str, ruling: Ruling) -> dict[str, Any]:
    named = {name: getattr(ruling, name) for name in _RULING_FIELDS}
    return {**named, "content_hash": mark, "decision_id": _decision_of(ruling)}
