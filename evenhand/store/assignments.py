"""Hands out the cases of a batch: each to one SME at a time, in queue order."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from evenhand.errors import SampleError
from evenhand.records.batches import DrawnItem, Handout, OpenItem
from evenhand.records.people import User
from evenhand.store.base import StoreBase, values
from evenhand.store.draws import ITEM_FIELDS
from evenhand.store.handing_out import HOLD, Absence, absences, first_for, week_start
from evenhand.store.people import all_users
from evenhand.store.queries import is_current, is_ruled, is_skipped, is_standing
from evenhand.store.tables import AssignmentRow, DrawRow, ItemRow, RulingRow, SkipRow


class AssignmentMethods(StoreBase):
    """Who has which case. Assignments are appended, never changed: the newest turn of a case holds it."""

    def take_item(self, draw_id: str, user: User, *, at: datetime, hold: timedelta = HOLD) -> Handout:
        """Hand `user` their next case of the batch; it goes to nobody else while they have it.

        Asking again gives the same case. It goes to others if it was held for `hold` without a ruling, or if
        its holder is away or has reached the week's capacity. SampleError for an unknown draw.
        """
        while True:
            with self._writing() as session:
                gone = _gone(session, at)
                if (reason := gone.get(user.user_id)) is not None:
                    return Handout(reason=reason)
                items = _open_items(session, draw_id)
                item = first_for(user, items, all_users(session), gone, at, hold=hold)
                if item is None:
                    theirs = any(user.can_rule(one.market, one.language) for one in items)
                    return Handout(reason="held" if theirs else "finished")
                if item.holder == user.user_id or self._assign(session, draw_id, item, user, at):
                    return Handout(item=_item(session, draw_id, item))

    def open_items(self, draw_id: str) -> list[OpenItem]:
        """The cases of a batch that are neither ruled nor skipped, in queue order, with who has them."""
        with self._reading() as session:
            return _open_items(session, draw_id)

    def done_since(self, since: datetime) -> dict[str, int]:
        """Cases of review batches that each person has ruled on or skipped since that time."""
        with self._reading() as session:
            return _done_since(session, since)

    def _assign(self, session: Session, draw_id: str, item: OpenItem, user: User, at: datetime) -> bool:
        """Write down that the case is theirs; False if somebody else was quicker."""
        row = {
            "draw_id": draw_id,
            "decision_id": item.decision_id,
            "turn": item.turn + 1,
            "sme_id": user.user_id,
            "at": at,
        }
        return bool(self._insert_new(session, AssignmentRow, [row], "draw_id", "decision_id", "turn"))


def _gone(session: Session, at: datetime) -> dict[str, Absence]:
    people = all_users(session)
    limited = any(person.capacity is not None for person in people)
    done = _done_since(session, week_start(at)) if limited else {}
    return absences(people, done, at)


def _open_items(session: Session, draw_id: str) -> list[OpenItem]:
    if session.scalar(select(DrawRow.draw_id).where(DrawRow.draw_id == draw_id)) is None:
        raise SampleError(f"no draw {draw_id!r}; `evenhand queue` lists those there are")
    one = AssignmentRow
    newest = (
        select(one.decision_id, func.max(one.turn).label("turn"))
        .where(one.draw_id == draw_id)
        .group_by(one.decision_id)
        .subquery()
    )
    held = and_(one.draw_id == draw_id, one.decision_id == newest.c.decision_id, one.turn == newest.c.turn)
    query = (
        select(
            ItemRow.decision_id,
            ItemRow.position,
            ItemRow.market,
            ItemRow.language,
            one.sme_id,
            one.at,
            one.turn,
        )
        .outerjoin(newest, newest.c.decision_id == ItemRow.decision_id)
        .outerjoin(one, held)
        .where(ItemRow.draw_id == draw_id, ~is_ruled(draw_id), ~is_skipped(draw_id))
        .order_by(ItemRow.position)
    )
    return [
        OpenItem(
            decision_id=row.decision_id,
            position=row.position,
            market=row.market,
            language=row.language,
            holder=row.sme_id,
            held_since=row.at,
            turn=-1 if row.turn is None else row.turn,
        )
        for row in session.execute(query)
    ]


def _item(session: Session, draw_id: str, item: OpenItem) -> DrawnItem:
    return DrawnItem(**values(session.get_one(ItemRow, (draw_id, item.decision_id)), ITEM_FIELDS))


def _done_since(session: Session, since: datetime) -> dict[str, int]:
    ruled = (
        select(RulingRow.sme_id, func.count())
        .where(
            RulingRow.ruled_at >= since,
            RulingRow.draw_id.is_not(None),
            RulingRow.source != "panel",
            is_current(),
        )
        .group_by(RulingRow.sme_id)
    )
    skipped = (
        select(SkipRow.sme_id, func.count())
        .where(SkipRow.at >= since, is_standing())
        .group_by(SkipRow.sme_id)
    )
    found: Counter[str] = Counter()
    for query in (ruled, skipped):
        for name, n in session.execute(query):
            found[name] += n
    return dict(found)
