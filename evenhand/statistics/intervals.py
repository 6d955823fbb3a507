"""Intervals for error rates: logit-t if there are enough errors, else Wilson with an effective n."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import norm
from scipy.stats import t as student

from evenhand.errors import EstimateError
from evenhand.statistics.arrays import Floats


def wilson(wrong: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Interval for an error rate after `wrong` errors in a simple random sample of `n`.

    Fractions in [0, 1]. Raises EstimateError if n is 0. Source: Wilson (1927).

    >>> low, high = wilson(3, 50)
    >>> round(low, 3), round(high, 3)
    (0.021, 0.162)
    """
    if n < 1 or not 0 <= wrong <= n:
        raise EstimateError(f"{wrong} errors in a sample of {n}: no interval; review at least one case")
    low, high = wilson_rate(wrong / n, float(n), confidence=confidence)
    return float(low), float(high)


def wilson_rate(rate: ArrayLike, n_eff: ArrayLike, *, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Wilson's interval for `rate`, as if it came from `n_eff` reviews (Franco et al. 2019, PMC6690503)."""
    x, n = np.asarray(rate, float), np.clip(np.asarray(n_eff, float), 1e-9, 1e12)
    z = norm.ppf(0.5 + confidence / 2)
    centre = (x + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(np.maximum(x * (1 - x), 0) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def logit_t(
    rate: ArrayLike, variance: ArrayLike, df: ArrayLike, *, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Student interval on the logit scale, mapped back.

    expit(logit(rate) +- t * sqrt(V) / (rate (1 - rate))).
    """
    x = np.clip(np.asarray(rate, float), 1e-7, 1 - 1e-7)
    t = student.ppf(0.5 + confidence / 2, np.maximum(np.asarray(df, float), 1))
    half = t * np.sqrt(np.maximum(np.asarray(variance, float), 1e-18)) / (x * (1 - x))
    return expit(logit(x) - half), expit(logit(x) + half)


def mover(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Change from `first` to `second`, each (rate, low, high) of an independent sample: (change, low, high).

    Source: Newcombe (1998), MOVER.
    """
    (a, low_a, high_a), (b, low_b, high_b) = first, second
    change = b - a
    low = change - float(np.hypot(b - low_b, high_a - a))
    high = change + float(np.hypot(high_b - b, a - low_a))
    return change, low, high
