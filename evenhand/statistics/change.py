"""Did an error rate change between two periods or policy versions, or is it noise?

Both rates come from samples that are independent of each other (other decisions, other draws), so the two
intervals combine without a covariance (MOVER, Newcombe 1998; see `evenhand.statistics.intervals.mover`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evenhand.statistics.estimator import Estimate
from evenhand.statistics.intervals import mover

Verdict = Literal["real", "within noise", "not known yet"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """How much an error rate rose (above 0) or fell, as fractions in [-1, 1]."""

    difference: float
    low: float
    high: float
    real: bool  # both rates are measured and the interval does not contain 0
    known: bool  # both rates are measured

    @property
    def verdict(self) -> Verdict:
        """What a manager may say about it."""
        if not self.known:
            return "not known yet"
        return "real" if self.real else "within noise"

    def __str__(self) -> str:
        points = f"{100 * self.difference:+.1f} points ({100 * self.low:+.1f} to {100 * self.high:+.1f})"
        return f"{self.verdict}: {points}"


def change(a: Estimate, b: Estimate) -> Change:
    """The change from `a` to `b`, two estimates from independent samples, with its 95% interval.

    A rate that is not known yet gives an interval too (up to -1 to 1), but never the verdict "real". "Within
    noise" and "real" are only about sampling noise. The reader has to judge who ruled, and under which
    policy.
    """
    difference, low, high = mover((a.rate, a.low, a.high), (b.rate, b.low, b.high))
    if not a.n_reviewed or not b.n_reviewed:
        low, high = -1.0, 1.0
    known = a.status == b.status == "measured"
    return Change(
        difference=difference,
        low=max(low, -1.0),
        high=min(high, 1.0),
        real=known and (low > 0 or high < 0),
        known=known,
    )
