"""The people who use the app: their role, and what they may rule on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

from evenhand.errors import RecordError

Role = Literal["sme", "ml", "management", "admin"]


ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, kw_only=True)
class User:
    """A person who uses the app. No markets or languages given means all."""

    user_id: str
    role: Role
    markets: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()  # BCP 47
    capacity: int | None = None  # cases of review batches a week; None: no limit
    away_since: date | None = None
    away_until: date | None = None  # first day back; None with `away_since`: until told otherwise

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise RecordError(f"user {self.user_id}: role {self.role!r} is unknown; use {', '.join(ROLES)}")
        if self.capacity is not None and self.capacity < 0:
            raise RecordError(
                f"user {self.user_id}: a capacity of {self.capacity} cases a week; give 0 or more, or none for no limit"
            )
        if self.away_since and self.away_until and self.away_since >= self.away_until:
            raise RecordError(
                f"user {self.user_id}: away from {self.away_since} and back on {self.away_until}; give a later first day back"
            )

    def is_away(self, day: date) -> bool:
        """Whether the person is away on this day (UTC)."""
        started = self.away_since is not None and self.away_since <= day
        return started and (self.away_until is None or day < self.away_until)

    def can_rule(self, market: str, language: str) -> bool:
        """Whether this person may rule on cases of this market and language."""
        return (not self.markets or market in self.markets) and reads(self.languages, language)


def reads(languages: Sequence[str], language: str) -> bool:
    """Whether somebody who reads `languages` reads this one too; an empty sequence means all languages.

    >>> reads(("pt", "en"), "pt-BR"), reads(("zh-Hant",), "zh"), reads(("th",), "und")
    (True, False, False)
    """
    return not languages or any(language == one or language.startswith(f"{one}-") for one in languages)
