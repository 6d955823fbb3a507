"""The work on slices whose error rate stands out: a log of events that is never rewritten."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import select

from evenhand.errors import UserError
from evenhand.records.improvement import Improvement
from evenhand.records.ruling import CAUSES
from evenhand.store.base import StoreBase
from evenhand.store.base import note as audit_note
from evenhand.store.tables import ImprovementEventRow

SETTABLE = ("owner", "cause", "due", "action")


class ImprovementMethods(StoreBase):
    """Improvement areas that somebody works on."""

    def open_improvement(
        self, where: Mapping[str, str], found: Mapping[str, Any], *, by: str, at: datetime, **given: str
    ) -> str:
        """Start work on the slice `where`; `found` is what was measured at that time.

        `given` as in `set_improvement`. Returns its id, 8 hex digits. UserError if the same slice is open
        already.
        """
        _check(given)
        for other in self.improvements():
            if other.open and dict(other.where) == dict(where):
                raise UserError(f"{other.improvement_id} is open for the same slice; close it first")
        improvement_id = uuid4().hex[:8]
        self._improvement_event(
            improvement_id, "opened", {"where": dict(where), "found": dict(found)}, by, at
        )
        if given:
            self._improvement_event(improvement_id, "changed", given, by, at)
        return improvement_id

    def set_improvement(self, improvement_id: str, *, by: str, at: datetime, **given: str) -> None:
        """Change owner, cause, due (a day like 2026-03-01) or action.

        UserError for anything else, or once it is closed.
        """
        self._open_one(improvement_id)
        _check(given)
        self._improvement_event(improvement_id, "changed", given, by, at)

    def add_measurement(
        self, improvement_id: str, record: Mapping[str, Any], *, by: str, at: datetime
    ) -> None:
        """Note the result of measuring again; UserError once it is closed."""
        self._open_one(improvement_id)
        self._improvement_event(improvement_id, "measured", record, by, at)

    def close_improvement(self, improvement_id: str, reason: str, *, by: str, at: datetime) -> None:
        """Close it and say why; UserError if it is closed already, or without a reason."""
        self._open_one(improvement_id)
        if not reason.strip():
            raise UserError("say why it is closed")
        self._improvement_event(improvement_id, "closed", {"reason": reason}, by, at)

    def improvements(self) -> list[Improvement]:
        """All of them, oldest first, in the state after their last event."""
        with self._reading() as session:
            rows = session.scalars(select(ImprovementEventRow).order_by(ImprovementEventRow.id)).all()
        found: dict[str, Improvement] = {}
        for row in rows:
            if row.kind == "opened":
                found[row.improvement_id] = Improvement(
                    improvement_id=row.improvement_id, opened_at=row.at, opened_by=row.by, **row.record
                )
            else:
                found[row.improvement_id] = found[row.improvement_id].after(row.kind, row.record, row.at)
        return list(found.values())

    def improvement(self, improvement_id: str) -> Improvement:
        """The one with this id; UserError with advice otherwise."""
        for found in self.improvements():
            if found.improvement_id == improvement_id:
                return found
        raise UserError(f"no improvement {improvement_id!r}; see `evenhand improve list`")

    def _open_one(self, improvement_id: str) -> None:
        if not self.improvement(improvement_id).open:
            raise UserError(f"{improvement_id} is closed; open the slice anew with `evenhand improve open`")

    def _improvement_event(
        self, improvement_id: str, kind: str, record: Mapping[str, Any], by: str, at: datetime
    ) -> None:
        with self._writing() as session:
            session.add(
                ImprovementEventRow(
                    improvement_id=improvement_id, at=at, by=by, kind=kind, record=dict(record)
                )
            )
            audit_note(session, f"improvement_{kind}", improvement_id, by=by, at=at, details=dict(record))


def _check(given: Mapping[str, str]) -> None:
    if unknown := [name for name in given if name not in SETTABLE]:
        raise UserError(f"an improvement has no {unknown[0]!r}; set {', '.join(SETTABLE)}")
    if (cause := given.get("cause")) is not None and cause not in CAUSES:
        raise UserError(f"cause {cause!r} is unknown; use {', '.join(CAUSES)}")
    if (due := given.get("due")) is not None:
        try:
            date.fromisoformat(due)
        except ValueError:
            raise UserError(f"due {due!r} is no day; write it like 2026-03-01") from None
