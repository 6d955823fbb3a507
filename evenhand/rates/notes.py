"""Notes that belong beside a rate: what was left out, was given more weight, or may be wrong.

They hold facts only; `evenhand.wording.notes` puts them into words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evenhand.records.batches import DrawRecord


@dataclass(frozen=True, kw_only=True)
class Note:
    """A fact that a reader of the rate has to know."""


@dataclass(frozen=True, kw_only=True)
class DrawNote(Note):
    """A fact about one draw."""

    draw_id: str
    drawn_at: datetime


def about(draw: DrawRecord) -> dict[str, Any]:
    """The fields by which a note names its draw."""
    return {"draw_id": draw.draw_id, "drawn_at": draw.created_at}


@dataclass(frozen=True, kw_only=True)
class OverlappingDraw(DrawNote):
    """The draw is left out: its frame overlaps a newer one's."""

    newer_id: str
    newer_at: datetime


@dataclass(frozen=True, kw_only=True)
class SharedNumbers(DrawNote):
    """The draw has the random numbers of an earlier one, so its inclusion probabilities are false."""

    earlier_id: str
    earlier_at: datetime


@dataclass(frozen=True, kw_only=True)
class RuledBeforeDraw(DrawNote):
    """Decisions that had a ruling before the draw, outside the population."""

    decisions: int


@dataclass(frozen=True, kw_only=True)
class RuledMoreThanOnce(DrawNote):
    """Cases with several rulings, of which the newest counts."""

    cases: int
    with_another_label: int


@dataclass(frozen=True, kw_only=True)
class RuledUnderAnotherVersion(DrawNote):
    """Rulings under another policy version than their decision; they say nothing about it."""

    rulings: int


@dataclass(frozen=True, kw_only=True)
class ImpossibleDates(DrawNote):
    """Rulings dated before their draw, or before the decision that they are about."""

    before_draw: int
    before_decision: int


@dataclass(frozen=True, kw_only=True)
class DatedLater(DrawNote):
    """Decisions dated later than the draw itself."""

    decisions: int


@dataclass(frozen=True, kw_only=True)
class NotRuledYet(DrawNote):
    """Cases of the draw without a ruling."""

    left: int
    cases: int


@dataclass(frozen=True, kw_only=True)
class SkippedCases(DrawNote):
    """Cases that were skipped, by reason."""

    reasons: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class LanguagesApart(DrawNote):
    """Markets whose languages were reviewed to different places in the queue."""

    markets: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PassedOver(DrawNote):
    """Cases left open before the last that was ruled on."""

    cases: int


@dataclass(frozen=True, kw_only=True)
class TooFewYet(DrawNote):
    """Parts of the queue without enough rulings to stand for their decisions."""

    parts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PanelOutsideQueue(DrawNote):
    """Cases that the panel ruled on though they were not in its queue."""

    cases: int


@dataclass(frozen=True, kw_only=True)
class PanelQueueOpen(DrawNote):
    """Cases of the panel's queue that are open."""

    left: int
    cases: int


@dataclass(frozen=True, kw_only=True)
class WithoutViews(DrawNote):
    """Decisions with no number of views, or an impossible one; both count as unseen."""

    without: int
    unfit: int
    decisions: int


@dataclass(frozen=True, kw_only=True)
class OutsideRates(Note):
    """Decisions of the period and filters that are in no frame of the draws used.

    The rates say nothing about them.
    """

    decisions: int  # all decisions of the period and filters in the lake
    outside: int
    unscored: Mapping[str, int]  # by policy version: those without a score by the newest draw's model
    model: str


@dataclass(frozen=True, kw_only=True)
class SeveralVersions(Note):
    """Policy versions that the frame covers but the rates are not split by."""

    versions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Clustered(Note):
    """Errors come in clusters."""

    wider: float  # factor on the standard error, relative to no clusters


@dataclass(frozen=True, kw_only=True)
class NeverDrawn(Note):
    """Rulings on cases that were never drawn; they are not in the rates."""

    rulings: int


@dataclass(frozen=True, kw_only=True)
class DailyLooks(Note):
    """The intervals hold at every daily look together."""

    days: int


@dataclass(frozen=True, kw_only=True)
class WeeklyLooks(Note):
    """The intervals hold at so many weekly looks together."""

    weeks: int


@dataclass(frozen=True, kw_only=True)
class StillComingIn(Note):
    """Rulings still come in, and the intervals are for one look."""
