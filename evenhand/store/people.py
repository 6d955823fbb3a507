"""Stores people, and the ledger of which model was live when."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from evenhand.errors import UserError
from evenhand.records.live_model import LiveModel
from evenhand.records.people import User
from evenhand.store.base import StoreBase, values
from evenhand.store.base import note as audit_note
from evenhand.store.tables import LiveRow, UserRow

_LIVE_FIELDS = tuple(f.name for f in fields(LiveModel))


class PeopleMethods(StoreBase):
    """Users of the app."""

    def add_user(self, user: User, *, by: str = "setup") -> None:
        """Add a person, or change their role, markets, languages and capacity.

        `set_away` sets when they are away.
        """
        given = {
            "role": user.role,
            "markets": list(user.markets),
            "languages": list(user.languages),
            "capacity": user.capacity,
        }
        with self._writing() as session:
            if not self._insert_new(session, UserRow, [{"user_id": user.user_id, **given}], "user_id"):
                row = session.get(UserRow, user.user_id, with_for_update=True, populate_existing=True)
                for name, value in given.items():
                    setattr(row, name, value)
            audit_note(session, "add_user", user.user_id, by=by, at=datetime.now(UTC), details=given)

    def set_away(self, user_id: str, since: date | None, until: date | None, *, by: str) -> User:
        """Set that a person is away from `since` up to, not including, `until` (None: no end is known).

        Both None: they are here. Their cases in flight go to others meanwhile. UserError for an unknown
        person; RecordError for an end before the beginning.
        """
        changed = replace(self.user(user_id), away_since=since, away_until=until)
        with self._writing() as session:
            row = session.get_one(UserRow, user_id, with_for_update=True)
            row.away_since, row.away_until = since, until
            details = {"since": since and since.isoformat(), "until": until and until.isoformat()}
            audit_note(session, "away", user_id, by=by, at=datetime.now(UTC), details=details)
        return changed

    def users(self) -> list[User]:
        """All people, by id."""
        with self._reading() as session:
            return all_users(session)

    def user(self, user_id: str) -> User:
        """The person called `user_id`; UserError with advice otherwise."""
        with self._reading() as session:
            row = session.get(UserRow, user_id)
        if row is None:
            raise UserError(f"no user {user_id!r}; add one with `evenhand user add {user_id} --role sme`")
        return _user(row)


class LedgerMethods(StoreBase):
    """The ledger of live models."""

    def record_live(
        self, model_version: str, policy_version: str, *, by: str, at: datetime, note: str = ""
    ) -> None:
        """Write in the ledger that this model is live for this policy version from `at` on."""
        given = {"model_version": model_version, "policy_version": policy_version, "note": note}
        with self._writing() as session:
            session.add(LiveRow(**given, since=at, by=by))
            audit_note(session, "live_model", model_version, by=by, at=at, details=given)

    def live_models(self) -> list[LiveModel]:
        """The ledger, oldest first."""
        with self._reading() as session:
            rows = session.scalars(select(LiveRow).order_by(LiveRow.since, LiveRow.id)).all()
        return [LiveModel(**values(row, _LIVE_FIELDS)) for row in rows]

    def live_on(self, at: datetime) -> LiveModel | None:
        """The line of the ledger that holds at `at`; None before the first."""
        before = [line for line in self.live_models() if line.since <= at]
        return before[-1] if before else None


def all_users(session: Session) -> list[User]:
    """All people, by id, in the current transaction."""
    return [_user(row) for row in session.scalars(select(UserRow).order_by(UserRow.user_id))]


def _user(row: UserRow) -> User:
    return User(
        user_id=row.user_id,
        role=row.role,  # type: ignore[arg-type]  # checked by User
        markets=tuple(row.markets),
        languages=tuple(row.languages),
        capacity=row.capacity,
        away_since=row.away_since,
        away_until=row.away_until,
    )
