"""Review batches as they are stored: the draw, its items, who has which case, and the progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from evenhand.errors import RecordError


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
    # decisions of the period and filters without a score by the model, so outside the frame
    unscored: int = 0
    # its place among the workspace's draws, from 1; 0 by 0.1, where draws of one seed and period share random
    # numbers
    number: int = 0
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
class OpenItem:
    """A drawn case that is neither ruled nor skipped, and who had it last."""

    decision_id: str
    position: int
    market: str
    language: str
    holder: str | None = None  # the person it was handed to last
    held_since: datetime | None = None
    turn: int = -1  # how often it was handed out before, minus one


@dataclass(frozen=True, kw_only=True)
class Handout:
    """What the queue has for a person: a case that is theirs now, or the reason why there is none."""

    item: DrawnItem | None = None
    reason: Literal["", "finished", "held", "away", "capacity"] = ""  # "held": others have what is left


@dataclass(frozen=True, kw_only=True)
class Act:
    """The last thing a person did with a case of a batch and has not taken back: a ruling or a skip."""

    kind: Literal["ruling", "skip"]
    act_id: int  # of the ruling or the skip
    draw_id: str
    decision_id: str
    at: datetime
    label: str = ""  # the label of the ruling
    error_class: str | None = None
    reason: str = ""  # the reason of the skip


@dataclass(frozen=True, kw_only=True)
class QueueProgress:
    """How many items of a batch are done."""

    total: int
    ruled: int
    skipped: int

    @property
    def open(self) -> int:
        """Items neither ruled nor skipped."""
        return self.total - self.ruled - self.skipped
