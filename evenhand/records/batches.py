"""Records that only the store hands out: draws, drawn items, people, the live-model ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Literal, get_args

from evenhand.errors import RecordError

Role = Literal["sme", "ml", "management", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, kw_only=True)
class DrawRecord:
    """A review batch as it was drawn: frame, design, seed. Immutable."""

    draw_id: str
    created_at: datetime
    created_by: str
    seed: int
    budget: int  # cases to review
    kappa: float
    phi: float  # share of the budget on the highest scores, in [0, 1]
    floor: float
    cell_floor: float
    cells: tuple[str, ...]
    since: date | None
    until: date | None  # exclusive
    filters: Mapping[str, str]
    policy_versions: tuple[str, ...]
    model_version: str
    frame_size: int  # decisions
    frame_file: str  # relative to the workspace
    frame_hash: str
    excluded_ruled: int  # decisions left out because they had a ruling
    pi_min: float  # smallest inclusion probability, > 0
    w_max: float  # largest weight relative to a simple random sample's
    design: str = "take-all and defensive square root, Pareto"
    unscored: int = (
        0  # decisions of the period and filters without a score by the model, so outside the frame
    )
    dated_later: int = 0  # decisions of the frame that are dated after the draw was made

    def covers(self, other: DrawRecord) -> bool:
        """Whether the two frames can hold the same decision: their periods and filters overlap."""
        apart = (self.until and other.since and self.until <= other.since) or (
            other.until and self.since and other.until <= self.since
        )
        if apart:
            return False
        both = set(self.filters) & set(other.filters)
        return all(self.filters[name] == other.filters[name] for name in both)


@dataclass(frozen=True, kw_only=True)
class DrawnItem:
    """One drawn decision with its inclusion probability and a copy of its case."""

    draw_id: str
    decision_id: str
    position: int  # place in the queue, from 0
    pi: float  # in (0, 1]
    p_overturn: float
    take_all: bool
    case_id: str
    text: str
    language: str
    market: str
    queue: str
    area: str
    policy_version: str
    label: str
    moderator_id: str
    decided_at: datetime
    predicted_label: str
    team: str | None = None
    content_type: str | None = None
    reasons: str = ""
    explanation: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.pi <= 1:
            raise RecordError(
                f"decision {self.decision_id}: inclusion probability {self.pi} is outside (0, 1];"
                " without it no error rate can be given"
            )
        if not 0 <= self.p_overturn <= 1:
            raise RecordError(
                f"decision {self.decision_id}: p_overturn {self.p_overturn} is outside [0, 1]; score it again"
            )


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
        """Whether cases of this market and language are theirs to rule."""
        return (not self.markets or market in self.markets) and reads(self.languages, language)


def reads(languages: Sequence[str], language: str) -> bool:
    """Whether somebody who reads `languages` reads this one too; none given means all.

    >>> reads(("pt", "en"), "pt-BR"), reads(("zh-Hant",), "zh"), reads(("th",), "und")
    (True, False, False)
    """
    return not languages or any(language == one or language.startswith(f"{one}-") for one in languages)


@dataclass(frozen=True, kw_only=True)
class LiveModel:
    """One line of the ledger: from `since` on, this model was live for this policy version."""

    model_version: str
    policy_version: str
    since: datetime
    by: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class AddResult:
    """How many rulings were new, and how many were there already."""

    added: int
    duplicates: int


@dataclass(frozen=True, kw_only=True)
class OpenItem:
    """A drawn case that is neither ruled nor skipped, and who had it last."""

    decision_id: str
    position: int
    market: str
    language: str
    holder: str | None = None  # who it was handed to last
    held_since: datetime | None = None
    turn: int = -1  # times it was handed out before, less one


@dataclass(frozen=True, kw_only=True)
class Handout:
    """What the queue has for a person: a case that is theirs now, or why there is none."""

    item: DrawnItem | None = None
    reason: Literal["", "finished", "held", "away", "capacity"] = ""  # "held": others have what is left


@dataclass(frozen=True, kw_only=True)
class Act:
    """What a person did last with a case of a batch, and has not taken back: a ruling or a skip."""

    kind: Literal["ruling", "skip"]
    act_id: int  # of the ruling or the skip
    draw_id: str
    decision_id: str
    at: datetime
    label: str = ""  # that was ruled
    error_class: str | None = None
    reason: str = ""  # of the skip


@dataclass(frozen=True, kw_only=True)
class QueueProgress:
    """How far a batch is."""

    total: int
    ruled: int
    skipped: int

    @property
    def open(self) -> int:
        """Items neither ruled nor skipped."""
        return self.total - self.ruled - self.skipped


@dataclass(frozen=True, kw_only=True)
class Improvement:
    """A slice whose error rate stood out, and what was done about it."""

    improvement_id: str
    where: Mapping[str, str]
    found: Mapping[str, Any]  # what was measured when it was opened
    opened_at: datetime
    opened_by: str
    owner: str = ""
    cause: str = ""
    due: str = ""  # a day like 2026-03-01
    action: str = ""
    acted_at: datetime | None = None  # when the action was first written down
    measured: tuple[Mapping[str, Any], ...] = ()  # re-measures, oldest first
    closed: str = ""  # why; empty while open

    @property
    def open(self) -> bool:
        """Whether somebody should still do something."""
        return not self.closed

    def after(self, kind: str, record: Mapping[str, Any], at: datetime) -> Improvement:
        """As the next event of its log leaves it."""
        if kind == "measured":
            return replace(self, measured=(*self.measured, record))
        if kind == "closed":
            return replace(self, closed=record["reason"])
        acted = at if record.get("action") and self.acted_at is None else self.acted_at
        return replace(self, **record, acted_at=acted)
