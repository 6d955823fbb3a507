"""Error rates from a probability sample: the recalibrated difference estimator, by domain.

For domain d: rate = (sum over the frame of yhat + sum over the sample of w e) / N, with w = 1 / pi, e = y - yhat and yhat
the score recalibrated on the sample. The weighted residuals make it right whatever the score is worth; a good
score makes it narrow. All sums add up, so pooling disjoint frames or regions is an addition (`Totals`).
Sources: Cassel, Sarndal and Wretman (1976); Angelopoulos et al. (2023, arXiv 2301.09633).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from evenhand.errors import EstimateError
from evenhand.intervals import logit_t, wilson_rate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ENOUGH = 30.0  # effective reviews below which a rate is "unknown"
_EDGE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An error rate and its interval, all three as fractions in [0, 1]."""

    rate: float
    low: float
    high: float
    n_reviewed: int
    n_eff: float | None  # reviews of a random draw with the same width; None for a census
    errors_found: int
    population: int  # decisions
    method: Literal["logit-t", "wilson n_eff", "census", "none"]
    status: Literal["measured", "unknown"]
    reviews_needed: int = 0  # about how many more until the rate counts as measured

    def __str__(self) -> str:
        if self.n_reviewed == 0:
            return f"not known yet (0 reviewed, about {self.reviews_needed} needed)"
        text = f"{self.rate:.1%} ({self.low:.1%} to {self.high:.1%}, {self.n_reviewed:,} reviewed)"
        if self.status == "unknown":
            return f"not known yet: {text}, about {self.reviews_needed} more needed"
        return text


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums by domain, each of shape (domains,). Adding two of disjoint frames pools them."""

    population: Floats
    model: Floats  # sum of yhat over the frame
    residual: Floats  # sum of w e over the sample
    v: Floats  # sum of (1 - pi)(w e)^2 n / (n - 1)
    v2: Floats  # sum of squares of the terms of v
    anticipated: Floats  # sum over the frame of (1 - pi) / pi * y* (1 - y*)
    reviewed: Floats
    found: Floats  # errors in the sample
    found_at_random: Floats  # errors in the sample with pi < 1

    def __add__(self, other: Totals) -> Totals:
        return Totals(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


def recalibrate(logit_p: Floats, y: Floats, weight: Floats) -> tuple[float, float]:
    """(a, b) so that expit(a + b logit_p) fits the sample: ridge logistic, prior a = 0 +- 1, b = 1 +- 0.5.

    All of shape (n,); weights are rescaled to mean 1. Newton with step halving, which cannot diverge.
    """
    if not len(y):
        return 0.0, 1.0
    w = weight * len(weight) / weight.sum()
    design = np.stack([np.ones_like(logit_p), logit_p], axis=1)
    start, precision = np.array([0.0, 1.0]), np.array([1.0, 4.0])

    def objective(beta: Floats) -> float:
        eta = design @ beta
        fit = (w * (y * eta - np.logaddexp(0, eta))).sum()
        return float(fit - (precision * (beta - start) ** 2).sum() / 2)

    beta = start.copy()
    for _ in range(25):
        mean = expit(design @ beta)
        hessian = (design * (w * mean * (1 - mean))[:, None]).T @ design + np.diag(precision)
        gradient = design.T @ (w * (y - mean)) - precision * (beta - start)
        step, before = np.linalg.solve(hessian, gradient), objective(beta)
        while objective(beta + step) < before and np.abs(step).max() > 1e-9:
            step = step / 2
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            break
    return float(beta[0]), float(beta[1])


def domain_totals(
    p: Floats,
    pi: Floats,
    sample: Ints,
    y: Floats,
    *,
    domain: Ints | None = None,
    domains: int = 1,
    possible: Bools | None = None,
    calibration: tuple[float, float] | None = None,
) -> Totals:
    """Sums by domain for one frame and one outcome.

    `p`, `pi`: shape (N,), the whole frame, scores in [0, 1] and inclusion probabilities in (0, 1]. `sample`: indices of the
    reviewed decisions, shape (n,); `y`: 1 where the SME found the error, shape (n,). `domain`: codes in [0, domains).
    `possible`: where the error can occur at all (an error class); elsewhere the model's mean is 0. `calibration`: (a, b) to
    use instead of fitting them. Raises EstimateError if an inclusion probability is missing, 0 or above 1.
    """
    if not (np.isfinite(pi).all() and (pi > 0).all() and (pi <= 1).all()):
        raise EstimateError(
            "some decisions have no inclusion probability above 0 (a top-k list, or a batch chosen by hand);"
            " only a draw made by `evenhand draw` yields an error rate"
        )
    code = np.zeros(len(p), np.int64) if domain is None else domain
    able = np.ones(len(p), bool) if possible is None else possible
    log_odds = logit(np.clip(p, _EDGE, 1 - _EDGE))
    inside = able[sample]
    w = 1 / pi[sample]
    a, b = calibration or recalibrate(log_odds[sample][inside], y[inside], w[inside])
    yhat = np.where(able, expit(a + b * log_odds), 0.0)
    e = y - yhat[sample]
    n = len(sample)
    v = (1 - pi[sample]) * (w * e) ** 2 * (n / (n - 1) if n > 1 else 1.0)
    doubted = 0.8 * yhat + 0.2 * (yhat.sum() / max(able.sum(), 1)) * able
    there = code[sample]

    def over_frame(values: Floats | None) -> Floats:
        return np.bincount(code, values, domains).astype(float)

    def over_sample(values: Floats | None) -> Floats:
        return np.bincount(there, values, domains).astype(float)

    return Totals(
        population=over_frame(None),
        model=over_frame(yhat),
        residual=over_sample(w * e),
        v=over_sample(v),
        v2=over_sample(v * v),
        anticipated=over_frame((1 - pi) / pi * doubted * (1 - doubted)),
        reviewed=over_sample(None),
        found=over_sample(y),
        found_at_random=over_sample(y * (pi[sample] < 1)),
    )


def estimates(totals: Totals, *, confidence: float = 0.95) -> list[Estimate]:
    """One Estimate a domain.

    What the reviews have shown already bounds rate and interval: a domain holds at least the errors found and at most all
    but the decisions found right.
    Interval: logit-t if at least 15 errors outside the take-all part carry it (df >= 30), else Wilson with n_eff.
    """
    size = np.maximum(totals.population, 1)
    mean = totals.model / size
    raw = (totals.model + totals.residual) / size
    least = totals.found / size
    most = 1 - (totals.reviewed - totals.found) / size
    rate = np.clip(raw, least, most)
    variance, anticipated = totals.v / size**2, totals.anticipated / size**2
    df = np.minimum(2 * totals.v**2 / np.maximum(totals.v2, 1e-300), 2 * totals.found_at_random)
    n_eff = _effective(rate, variance, mean, anticipated)
    smooth = (df >= 30) & (raw > 0) & (rate < 1)
    low_t, high_t = logit_t(rate, variance, df, confidence=confidence)
    low_w, high_w = wilson_rate(rate, n_eff, confidence=confidence)
    low = np.clip(np.where(smooth, low_t, low_w), least, rate)
    high = np.clip(np.where(smooth, high_t, high_w), rate, most)
    return [
        _estimate(
            totals, i, float(rate[i]), float(low[i]), float(high[i]), float(n_eff[i]), smooth=bool(smooth[i])
        )
        for i in range(len(size))
    ]


def _effective(rate: Floats, variance: Floats, mean: Floats, anticipated: Floats) -> Floats:
    """Reviews of a random draw with the same variance; infinite where nothing is left to chance."""
    from_model = mean * (1 - mean) / np.maximum(anticipated, 1e-300)
    from_sample = rate * (1 - rate) / np.maximum(variance, 1e-300)
    usable = (rate > 0) & (rate < 1) & (variance > 0)
    return np.where(usable, np.minimum(from_model, from_sample), from_model)


def _estimate(
    totals: Totals, i: int, rate: float, low: float, high: float, n_eff: float, *, smooth: bool
) -> Estimate:
    reviewed, population = int(totals.reviewed[i]), int(totals.population[i])
    found = int(round(float(totals.found[i])))
    common = {"n_reviewed": reviewed, "errors_found": found, "population": population}
    if reviewed == population and population and totals.v[i] == 0:
        exact = found / population
        return Estimate(
            rate=exact, low=exact, high=exact, n_eff=None, method="census", status="measured", **common
        )
    if reviewed == 0:
        return Estimate(
            rate=rate, low=0.0, high=1.0, n_eff=0.0, method="none", status="unknown",
            reviews_needed=min(population, int(ENOUGH)), **common,
        )  # fmt: skip
    known = reviewed >= 2 and n_eff >= ENOUGH
    more = 0 if known else max(1, int(np.ceil(reviewed * (ENOUGH / max(n_eff, 0.5) - 1))))
    return Estimate(
        rate=rate,
        low=low,
        high=high,
        n_eff=n_eff,
        method="logit-t" if smooth else "wilson n_eff",
        status="measured" if known else "unknown",
        reviews_needed=min(more, population - reviewed),
        **common,
    )
