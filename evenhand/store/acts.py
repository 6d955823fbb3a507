"""A person's acts on a case of a batch, a ruling or a skip, and taking them back: both stay on record."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evenhand.errors import SampleError, UserError
from evenhand.records.batches import Act
from evenhand.store.base import StoreBase, note
from evenhand.store.queries import is_current, is_standing
from evenhand.store.rulings import check_unruled
from evenhand.store.tables import AssignmentRow, ItemRow, RulingRow, SkipRow, SkipUndoRow, UndoRow


class ActMethods(StoreBase):
    """Skipping a case, finding a person's last act, and taking either act back."""

    def skip_item(self, draw_id: str, decision: str, *, sme_id: str, reason: str, at: datetime) -> None:
        """Leave an item out, with the reason; it counts as missing in the estimate.

        SampleError if it is not in the draw; UserError if somebody has ruled on it meanwhile, and nothing is
        stored.
        """
        with self._writing() as session:
            if session.get(ItemRow, (draw_id, decision)) is None:
                raise SampleError(f"decision {decision} is not in draw {draw_id}; take one from its queue")
            check_unruled(session, draw_id, decision)
            session.add(SkipRow(draw_id=draw_id, decision_id=decision, sme_id=sme_id, reason=reason, at=at))
            details = {"draw_id": draw_id, "reason": reason}
            note(session, "skip", decision, by=sme_id, at=at, details=details)

    def skip_count(self) -> tuple[int, int]:
        """How many skips were ever stored, and how many of them were taken back.

        Both numbers only grow, so any change shows in them.
        """
        with self._reading() as session:
            stored = session.scalar(select(func.count()).select_from(SkipRow))
            undone = session.scalar(select(func.count()).select_from(SkipUndoRow))
        return int(stored or 0), int(undone or 0)

    def last_act(self, draw_id: str, *, sme_id: str) -> Act | None:
        """The SME's last act in the batch that they have not taken back.

        That is the newest current ruling or skip, by its time.
        """
        rulings = (
            select(RulingRow)
            .where(RulingRow.draw_id == draw_id, RulingRow.sme_id == sme_id, is_current(draw_id))
            .order_by(RulingRow.id.desc())
        )
        skips = (
            select(SkipRow)
            .where(SkipRow.draw_id == draw_id, SkipRow.sme_id == sme_id, is_standing())
            .order_by(SkipRow.id.desc())
        )
        with self._reading() as session:
            ruling, skip = session.scalar(rulings.limit(1)), session.scalar(skips.limit(1))
        if skip is not None and (ruling is None or skip.at >= ruling.ruled_at):
            return Act(
                kind="skip",
                act_id=skip.id,
                draw_id=draw_id,
                decision_id=skip.decision_id,
                at=skip.at,
                reason=skip.reason,
            )
        if ruling is None or ruling.decision_id is None:
            return None
        return Act(
            kind="ruling",
            act_id=ruling.id,
            draw_id=draw_id,
            decision_id=ruling.decision_id,
            at=ruling.ruled_at,
            label=ruling.label,
            error_class=ruling.error_class,
        )

    def undo_ruling(self, ruling_id: int, *, by: str) -> None:
        """Take back one's own ruling; its case is theirs again. The ruling stays on record.

        UserError if it is not there, is somebody else's or was taken back already.
        """
        with self._writing() as session:
            row = session.get(RulingRow, ruling_id)
            if row is None:
                raise UserError(f"no ruling {ruling_id}; reload the list of rulings")
            self._take_back(session, "ruling", row, UndoRow, by=by)

    def undo_skip(self, skip_id: int, *, by: str) -> None:
        """Take back one's own skip; its case is theirs again. The skip stays on record.

        UserError if it is not there, is somebody else's or was taken back already.
        """
        with self._writing() as session:
            row = session.get(SkipRow, skip_id)
            if row is None:
                raise UserError(f"no skip {skip_id}; reload the page")
            self._take_back(session, "skip", row, SkipUndoRow, by=by)

    def _take_back(
        self,
        session: Session,
        act: str,
        row: RulingRow | SkipRow,
        undone: type[UndoRow] | type[SkipUndoRow],
        *,
        by: str,
    ) -> None:
        """Write down that an act of `by` is taken back, and hand its case back to them."""
        at = datetime.now(UTC)
        if row.sme_id != by:
            raise UserError(
                f"{act} {row.id} is {row.sme_id}'s, not {by}'s; only {row.sme_id} can take it back"
            )
        key = f"{act}_id"
        if not self._insert_new(session, undone, [{key: row.id, "at": at, "by": by}], key):
            raise UserError(f"{act} {row.id} was taken back already; nothing is left to undo")
        note(session, f"undo_{act}", str(row.id), by=by, at=at)
        if row.draw_id is not None and row.decision_id is not None:
            _hand_back(session, row.draw_id, row.decision_id, by, at)


def _hand_back(session: Session, draw_id: str, decision: str, user_id: str, at: datetime) -> None:
    """The case goes to the person who took their act back, before any other case they have."""
    key = AssignmentRow.draw_id == draw_id, AssignmentRow.decision_id == decision
    newest = session.scalar(select(func.max(AssignmentRow.turn)).where(*key))
    turn = 0 if newest is None else newest + 1
    session.add(AssignmentRow(draw_id=draw_id, decision_id=decision, turn=turn, sme_id=user_id, at=at))
