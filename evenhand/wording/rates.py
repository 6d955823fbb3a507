"""Words for rates, changes and periods: every figure with its interval and the number reviewed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from evenhand.statistics.change import Change
from evenhand.statistics.estimator import Estimate
from evenhand.wording.words import KINDS, UNKNOWN, Names, capital, day, percent, points, spoken

#: The kinds of error in readable words; the first is all of them together.
OUTCOMES = {"total": "All errors", **KINDS}
UNCLEAR = {"policy_unclear": "Policy unclear"}  # nobody's error, so it is in no sum
Titles = Mapping[tuple[str, str], str]  # the result of `evenhand.records.policy.titles`
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
    """Interval and reviews behind a rate; if it is not known yet, what is missing."""
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
    """The same, for a place where another figure has said that intervals are 95% ones."""
    return evidence(estimate).replace("95% interval ", "")


def changed(change: Change) -> str:
    """A change in points, with its interval."""
    return f"{points(change.difference)} points ({points(change.low)} to {points(change.high)})"


def period(since: date | None, until: date | None) -> str:
    """The days from `since` up to, not including, `until`, as words after "decisions".

    >>> period(date(2026, 1, 5), date(2026, 3, 1)), period(None, date(2026, 3, 1))
    ('from 5 Jan 2026 to 28 Feb 2026', 'up to 28 Feb 2026')
    >>> period(date(2026, 1, 5), None)
    'from 5 Jan 2026 on'
    """
    last = day(until - timedelta(days=1)) if until else None
    if since is None:
        return f"up to {last}" if last else "of all days"
    return f"from {day(since)} to {last}" if last else f"from {day(since)} on"


def domain_name(column: str, value: str, titles: Titles, area: str = "") -> str:
    """A readable name for a value of a column.

    An area or a label has its title (`titles`); a label has the title that `area` gives it.

    >>> domain_name("area", "hate", {("hate", ""): "Hate speech"}), domain_name("queue", "live_video", {})
    ('Hate speech', 'Live video')
    """
    if column == "language":
        return _NAMES.value(column, value)
    title = titles.get({"area": (value, ""), "label": (area, value)}.get(column, ("", "")))
    return title or (spoken(value) if value.islower() and column != "policy_version" else value)


def domain_names(where: Mapping[str, str], titles: Titles) -> dict[str, str]:
    """Readable names for the values of a slice, by column."""
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
