"""Intervals that stay valid if people look at them repeatedly while rulings come in.

A 95% interval promises 95% for one look. People who look every day, and stop at a look that they like, are
wrong far more often. Both ways here widen the usual interval by asking for a higher confidence, so that it
keeps its shape in small samples: a confidence sequence for daily looks without an end (Waudby-Smith et al.
2021, arXiv 2103.06476: asymptotic, normal mixture), or a fixed number of weekly looks (Bonferroni), which is
a little narrower.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import norm

from evenhand.errors import EstimateError


@dataclass(frozen=True, kw_only=True)
class Looks:
    """How often an interval may be looked at while rulings come in.

    Once, every day, or at a number of weekly looks. Raises EstimateError if both kinds are asked for, or
    weeks below 1.
    """

    daily: bool = False
    weeks: int | None = None

    def __post_init__(self) -> None:
        if self.daily and self.weeks is not None:
            raise EstimateError(
                "daily and weekly looks at once; daily looks hold at weekly ones too, so ask for one of them"
            )
        if self.weeks is not None and self.weeks < 1:
            raise EstimateError(f"{self.weeks} weekly looks; give at least 1")

    def confidence(self, days: int) -> float:
        """The confidence to ask of a one-look interval, in (0, 1), so that all these looks hold with 95%.

        `days` is the number of days with rulings so far.
        """
        if self.daily:
            return daily_confidence(days)
        return 0.95 if self.weeks is None else weekly_confidence(self.weeks)

    def __str__(self) -> str:
        if self.daily:
            return "every daily look"
        return "one look" if self.weeks is None else f"{self.weeks} weekly looks"


ONE_LOOK = Looks()
DAY_THAT_COUNTS = 28  # the daily look at which the sequence is narrowest, relative to a single look


def daily_critical_value(days: int, *, confidence: float = 0.95, narrowest: int = DAY_THAT_COUNTS) -> float:
    """The half-width of the interval in standard errors after `days` days, so that all daily looks hold.

    The days have about equal work. `narrowest` must be fixed before the first look. Raises EstimateError if
    `days` or `narrowest` is below 1.

    >>> round(daily_critical_value(28) / 1.96, 2)
    1.55
    """
    if days < 1 or narrowest < 1:
        raise EstimateError(f"looks on {days} days, narrowest at day {narrowest}; give at least 1 of each")
    alpha = 1 - confidence
    level = -2 * math.log(alpha)
    information = days * (level + math.log(level + 1)) / narrowest + 1
    return math.sqrt(2 * information / (information - 1) * math.log(math.sqrt(information) / alpha))


def daily_confidence(days: int, *, confidence: float = 0.95, narrowest: int = DAY_THAT_COUNTS) -> float:
    """The confidence to ask of a one-look interval after `days` days.

    Then, with probability `confidence`, no daily look is wrong.
    """
    value = daily_critical_value(days, confidence=confidence, narrowest=narrowest)
    return 1 - 2 * float(norm.sf(value))


def weekly_confidence(weeks: int, *, confidence: float = 0.95) -> float:
    """The confidence to ask of each of `weeks` weekly intervals (Bonferroni).

    Then, with probability `confidence`, none of them is wrong. Raises EstimateError if `weeks` is below 1.

    >>> round(weekly_confidence(12), 4)
    0.9958
    """
    if weeks < 1:
        raise EstimateError(f"{weeks} weekly looks; give at least 1")
    return 1 - (1 - confidence) / weeks
