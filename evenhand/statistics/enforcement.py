"""Precision and recall of enforcement, from the share of decisions that enforce and the error rates.

A is the share of a domain's decisions that enforce (counted, not estimated). over and under are the shares of
all its decisions that are over- and under-enforcement. Then precision = (A - over) / A, recall = (A - over) /
(A - over + under). What counts is that something was enforced, even under a wrong label. An error that the
expert called technical, or caused by unclear policy, is neither over- nor under-enforcement. With shares of
views instead of decisions, all of this is about views.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import Literal

from evenhand.statistics.estimator import Estimate

Status = Literal["measured", "unknown", "no enforcement", "no violation found"]
Span = tuple[float, float, float]  # value, low, high


@dataclass(frozen=True, kw_only=True)
class Indicator:
    """Precision or recall and its interval, as fractions in [0, 1]; None if the whole is empty."""

    rate: float | None
    low: float | None
    high: float | None
    status: Status


def precision(enforced: float, over: Estimate) -> Indicator:
    """The share of what was enforced that should have been: 1 - over / A.

    `enforced`: A, in [0, 1]; `over`: over-enforcement as a share of all decisions of the domain. The interval
    is that of `over` reversed, divided by A and cut at 0. Status "unknown" if that of `over` is, "no
    enforcement" if A is 0.
    """
    if enforced == 0:
        return Indicator(rate=None, low=None, high=None, status="no enforcement")
    rate, low, high = (max(1 - wrong / enforced, 0.0) for wrong in (over.rate, over.high, over.low))
    return Indicator(rate=rate, low=low, high=high, status=_status(over))


def recall(enforced: float, over: Estimate, under: Estimate) -> Indicator:
    """The share of what should have been enforced that was: 1 / (1 + r), with r = under / (A - over).

    `enforced` and `over` as in `precision`; `under`: under-enforcement as a share of all decisions of the
    domain. The interval is that of r (`ratio_interval`) reversed. `over` and `under` come from disjoint sets
    of decisions and are taken as independent. Status "unknown" if an estimate that it needs is unknown: only
    `over` is needed if everything was enforced, only `under` if nothing was. Status "no violation found" if,
    by the estimates, nothing should have been enforced.
    """
    right, least, most = (max(enforced - wrong, 0.0) for wrong in (over.rate, over.high, over.low))
    missed = (under.rate, under.low, under.high) if enforced < 1 else (0.0, 0.0, 0.0)
    status = _status(*[over] * (enforced > 0), *[under] * (enforced < 1))
    violating = right + missed[0]
    if violating == 0 and status == "measured":
        return Indicator(rate=None, low=None, high=None, status="no violation found")
    low, high = ratio_interval(missed, (right, least, most))
    rate = right / violating if violating > 0 else None
    return Indicator(rate=rate, low=1 / (1 + high), high=1 / (1 + low), status=status)


def ratio_interval(first: Span, second: Span) -> tuple[float, float]:
    """Interval (low, high) of the ratio `first` / `second`; high may be infinite.

    Each is (value, low, high), independent and at least 0. The ends x solve (first - x second)^2 = (first -
    its far end)^2 + x^2 (second - its far end)^2. The high end is infinite if `second` may be 0; both ends
    are if `second` is 0 and `first` is not. Source: Donner and Zou (2012), MOVER-R.

    >>> low, high = ratio_interval((0.10, 0.07, 0.14), (0.50, 0.45, 0.55))
    >>> round(low, 3), round(high, 3)
    (0.138, 0.285)
    """
    (a, low_a, high_a), (b, low_b, high_b) = first, second

    def middle(end_a: float, end_b: float) -> float:
        """The common part of the numerators of both ends, for the given ends."""
        inner = (a * b) ** 2 - end_a * (2 * a - end_a) * end_b * (2 * b - end_b)
        return a * b + sqrt(max(inner, 0.0))

    # this form of the lower end does not divide by high_b (2 b - high_b), which may be 0
    above, below = low_a * (2 * a - low_a), middle(low_a, high_b)
    low = above / below if below > 0 else inf if above > 0 else 0.0
    least = low_b * (2 * b - low_b)
    high = middle(high_a, low_b) / least if least > 0 else inf
    return low, high


def _status(*rests_on: Estimate) -> Status:
    return "measured" if all(one.status == "measured" for one in rests_on) else "unknown"
