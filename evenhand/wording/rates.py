"""Rates, changes and periods in words: every figure with its interval and the number reviewed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from evenhand.statistics.change import Change
from evenhand.statistics.estimator import Estimate
from evenhand.wording.words import KINDS, UNKNOWN, Names, capital, day, percent, points, spoken

#: The kinds of error, as a person reads them; the first is all of them together.
OUTCOMES = {"total": "All errors", **KINDS}
UNCLEAR = {"policy_unclear": "Policy unclear"}  # nobody's error, so in no sum
Titles = Mapping[tuple[str, str], str]  # as `evenhand.records.policy.titles` gives them
_NAMES = Names([])


def number(estimate: Estimate) -> str:
    """The rate, or that it is not known yet."""
    if estimate.status == "unknown":
        return UNKNOWN
    return f"≈ {percent(estimate.rate)}" if estimate.status == "modelled" else percent(estimate.rate)


def interval(estimate: Estimate) -> str:
    """The two ends of the 95% interval."""
    return f"{percent(estimate.low)} to {percent(estimate.high)}"


def evidence(estimate: Estimate) -> str:
    """Interval and reviews behind a rate; what is missing where it is not known yet."""
    reviewed = f"{estimate.n_reviewed:,} reviewed"
    if estimate.status == "measured":
        if estimate.method == "census":
            return f"every one of {estimate.population:,} reviewed"
        return f"95% interval {interval(estimate)} · {reviewed}"
    missing = f"{reviewed}, about {estimate.reviews_needed:,} more needed"
    return (
        f"modelled, {interval(estimate)} · {missing}"
        if estimate.status == "modelled"
        else f"{missing} to tell"
    )


def short_evidence(estimate: Estimate) -> str:
    """The same for a place where another figure has said that intervals are 95% ones."""
    return evidence(estimate).replace("95% interval ", "")


def changed(change: Change) -> str:
    """A change in points, with its interval."""
    return f"{points(change.difference)} points ({points(change.low)} to {points(change.high)})"


def period(since: date | None, until: date | None) -> str:
    """The days from `since` up to, not including, `until`, to stand after "decisions".

    >>> period(date(2026, 1, 5), date(2026, 3, 1)), period(None, date(2026, 3, 1)), period(date(2026, 1, 5), None)
    ('from 5 Jan 2026 to 28 Feb 2026', 'up to 28 Feb 2026', 'from 5 Jan 2026 on')
    """
    last = day(until - timedelta(days=1)) if until else None
    if since is None:
        return f"up to {last}" if last else "of all days"
    return f"from {day(since)} to {last}" if last else f"from {day(since)} on"


def domain_name(column: str, value: str, titles: Titles, area: str = "") -> str:
    """A value of a column as a person reads it: an area or a label by its title (`session.titles`), a label as `area` calls it.

    >>> domain_name("area", "hate", {("hate", ""): "Hate speech"}), domain_name("queue", "live_video", {})
    ('Hate speech', 'Live video')
    """
    if column == "language":
        return _NAMES.value(column, value)
    title = titles.get({"area": (value, ""), "label": (area, value)}.get(column, ("", "")))
    return title or (spoken(value) if value.islower() and column != "policy_version" else value)


def domain_names(where: Mapping[str, str], titles: Titles) -> dict[str, str]:
    """The values of a slice as a person reads them, by column."""
    area = where.get("area", "")
    return {column: domain_name(column, value, titles, area) for column, value in where.items()}


def place_name(where: Mapping[str, str], titles: Titles) -> str:
    """A slice in words.

    >>> place_name({"market": "TH", "area": "hate"}, {("hate", ""): "Hate speech"})
    'Market: TH · Area: Hate speech'
    """
    return " · ".join(f"{spoken(column)}: {name}" for column, name in domain_names(where, titles).items())


def sentence(text: str) -> str:
    """A note as a sentence of its own."""
    return f"{capital(text)}."
