"""Words for the notes beside a rate, the same on pages, in reports and in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from evenhand.rates import notes as n
from evenhand.records.checks import EXPOSURE
from evenhand.wording.words import capital, day

Named = Callable[[str, datetime], str]


def by_id(draw_id: str, drawn_at: datetime) -> str:
    """A draw as commands name it.

    >>> by_id("draw-20260402-0930-868c25", datetime(2026, 4, 2, 9, 30))
    'draw draw-20260402-0930-868c25'
    """
    return f"draw {draw_id}"


def by_day(draw_id: str, drawn_at: datetime) -> str:
    """A draw as people name it, by the day and time (UTC) when it was made.

    >>> by_day("draw-20260402-0930-868c25", datetime(2026, 4, 2, 9, 30))
    'batch of 2 Apr 2026, 09:30'
    """
    return f"batch of {day(drawn_at)}, {drawn_at:%H:%M}"


def said_note(note: n.Note, *, draws: Named = by_id) -> str:
    """A note in words, without a full stop; `draws` names a draw."""
    if isinstance(note, n.DrawNote):
        return f"{draws(note.draw_id, note.drawn_at)}{_of_draw(note, draws)}"
    return _of_rate(note)


def sentence(note: n.Note, *, draws: Named = by_day) -> str:
    """A note as a sentence of its own."""
    return f"{capital(said_note(note, draws=draws))}."


def _of_draw(note: n.DrawNote, draws: Named) -> str:
    match note:
        case n.OverlappingDraw():
            return f" is left out: its frame overlaps the newer {draws(note.newer_id, note.newer_at)}"
        case n.SharedNumbers():
            return (
                f" was made by Evenhand 0.1 with the random numbers of {draws(note.earlier_id, note.earlier_at)}: its inclusion"
                " probabilities are false and its rates biased; draw again"
            )
        case n.RuledBeforeDraw():
            return f": {note.decisions:,} decisions had a ruling before the draw; they are outside the population"
        case n.RuledMoreThanOnce():
            return (
                f": {note.cases} cases were ruled more than once, the newest ruling counts"
                f" ({note.with_another_label} with another label)"
            )
        case n.RuledUnderAnotherVersion():
            return (
                f": {note.rulings} rulings are under another policy version than the decision they are on; they say nothing of it"
                " and are left out"
            )
        case n.ImpossibleDates():
            return (
                f": {note.before_draw} rulings are dated before their draw and {note.before_decision} before the decision they are"
                " on; they count, but a clock was wrong"
            )
        case n.DatedLater():
            return (
                f": {note.decisions:,} decisions are dated later than the draw itself; a window counts them on the day they name,"
                " so check their export"
            )
        case n.NotRuledYet():
            return f": {note.left} of {note.cases} cases are not ruled yet; the reviewed part is weighed up"
        case n.SkippedCases():
            count = sum(note.reasons.values())
            why = ", ".join(f"{reason} {number}" for reason, number in note.reasons.items())
            return (
                f": {count} {'case was' if count == 1 else 'cases were'} skipped ({why}); missing at random"
            )
        case n.LanguagesApart():
            return f": languages of {', '.join(note.markets)} stand at different places in the queue; each is weighed up by itself"
        case n.PassedOver():
            are = "case is" if note.cases == 1 else "cases are"
            return f": {note.cases} {are} in flight or passed over in the queue; missing at random"
        case n.TooFewYet():
            return f": too few rulings yet in {', '.join(note.parts)}; outside the population for now"
        case n.PanelOutsideQueue():
            return f": the panel ruled on {note.cases} cases that were not in its queue; they stay out of the correction"
        case n.PanelQueueOpen():
            return f": {note.left} of {note.cases} cases of the panel's queue are open; they count as missing at random"
        case n.WithoutViews():
            none = f"{note.without:,} of {note.decisions:,} decisions carry no views" if note.without else ""
            unfit = (
                f"{note.unfit:,} of {note.decisions:,} decisions carry a figure that is no {EXPOSURE}"
                if note.unfit
                else ""
            )
            return f": {' and '.join(part for part in (none, unfit) if part)} and count as unseen"
    raise TypeError(f"no words for a note of {type(note).__name__}")


def _of_rate(note: n.Note) -> str:
    match note:
        case n.OutsideRates():
            return _outside(note)
        case n.SeveralVersions():
            return f"the frame spans policy versions {', '.join(note.versions)}; split by policy version to see them apart"
        case n.Clustered():
            return (
                "errors come in clusters (one moderator, or one item that several decided): the overall standard error is"
                f" {note.wider:.2f} times what it would be without"
            )
        case n.NeverDrawn():
            return f"{note.rulings:,} rulings on cases never drawn are kept as gold for training, and out of these rates"
        case n.DailyLooks():
            return f"intervals hold at every daily look together, {note.days} days of rulings so far"
        case n.WeeklyLooks():
            return f"intervals hold at {note.weeks} weekly looks together"
        case n.StillComingIn():
            return "rulings still come in: each interval holds for one look; who looks again and again should ask for daily looks"
    raise TypeError(f"no words for a note of {type(note).__name__}")


def _outside(note: n.OutsideRates) -> str:
    missing = sum(note.unscored.values())
    versions = ", ".join(f"{count:,} under {version}" for version, count in note.unscored.items())
    rest = note.outside - missing
    why = (
        f"{missing:,} have no score by {note.model} ({versions})" if missing else "",
        f"{rest:,} were ruled on before their draw, came in after it, or wait for enough rulings"
        if rest > 0
        else "",
    )
    return (
        f"{note.outside:,} of {note.decisions:,} decisions of this period and filter are outside these rates:"
        f" {'; '.join(part for part in why if part)}"
    )
