"""Error rates from a probability sample, by domain: the recalibrated difference estimator.

For domain d: rate = (sum over the frame of yhat + sum over the sample of w e) / N, with w = 1 / pi, e = y -
yhat, and yhat the score recalibrated on the sample. The weighted residuals keep the rate unbiased however bad
the score is; a good score makes the interval narrow. All sums add up, so pooling disjoint frames or regions
is an addition (`Totals`).

Variance: the sum of (1 - pi)(w e)^2. If errors come in clusters, the sum over ultimate clusters (Hansen,
Hurwitz and Madow 1953; Sarndal, Swensson and Wretman 1992, 4.6), if that is larger. SME error adds the second
phase (ibid. ch. 9). Sources: Cassel, Sarndal and Wretman (1976); Angelopoulos et al. (2023, arXiv
2301.09633).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from evenhand.errors import EstimateError
from evenhand.statistics.arrays import Bools, Floats, Ints
from evenhand.statistics.belief import BELIEF
from evenhand.statistics.intervals import logit_t, wilson_rate
from evenhand.statistics.ridge_logistic import ridge_logistic

ENOUGH = 30.0  # with fewer effective reviews a rate is "unknown"
#: With fewer rulings it is "unknown" too: the model must not be the larger part of the evidence.
RULED = 15
SMOOTH = 40.0  # logit-t holds from this many degrees of freedom; below, Wilson's interval
CLUSTERS = 10  # with fewer reviewed clusters in a domain, the variance between clusters cannot be estimated
_EDGE = 1e-6
_CHUNK = 1 << 17  # decisions at a time, so that intermediate results stay in the processor's cache


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
    method: Literal["logit-t", "wilson n_eff", "census", "none", "hierarchical"]
    status: Literal["measured", "unknown", "modelled"]
    reviews_needed: int = 0  # about how many more until the rate counts as measured
    clustering: float = 1.0  # factor on the standard error, relative to errors that do not come in clusters

    def __str__(self) -> str:
        if self.status == "modelled":
            return f"modelled {self.rate:.1%} ({self.low:.1%} to {self.high:.1%})"
        if self.n_reviewed == 0:
            return f"not known yet (0 reviewed, about {self.reviews_needed} needed)"
        text = f"{self.rate:.1%} ({self.low:.1%} to {self.high:.1%}, {self.n_reviewed:,} reviewed)"
        if self.status == "unknown":
            return f"not known yet: {text}, about {self.reviews_needed} more needed"
        return text


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums by domain, each of shape (domains,). Adding those of disjoint frames pools them."""

    population: Floats  # decisions
    size: Floats  # sum of x over the frame; x is 1, or the views of the decision
    model: Floats  # sum of x yhat over the frame
    residual: Floats  # sum of w x e over the sample
    v: Floats  # estimated variance of the sum above: see the module docstring
    v2: Floats  # sum of squares of the terms of v
    v_plain: Floats  # v if errors did not come in clusters
    anticipated: Floats  # sum over the frame of (1 - pi) / pi * x^2 y* (1 - y*)
    reviewed: Floats
    found: Floats  # errors in the sample
    found_at_random: Floats  # errors in the sample with pi < 1
    shown_wrong: Floats  # sum of x over the errors in the sample
    shown_right: Floats  # sum of x over the decisions in the sample that were right

    def __add__(self, other: Totals) -> Totals:
        return Totals(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def grouped(self, code: Ints, domains: int) -> Totals:
        """The totals of domains that combine these: `code` in [0, domains), of the same shape as the sums."""
        return Totals(
            **{f.name: np.bincount(code, getattr(self, f.name), domains).astype(float) for f in fields(self)}
        )


@dataclass(frozen=True, kw_only=True)
class SecondPhase:
    """What a panel said about some of the sample, each of shape (n,), in the order of the sample."""

    asked: Bools  # whether the panel ruled
    chance: Floats  # the probability with which it was asked to, in (0, 1]
    verdict: Floats  # 1 if it found the error; 0 if it did not or was not asked


def recalibrate(logit_p: Floats, y: Floats, weight: Floats) -> tuple[float, float]:
    """(a, b) so that expit(a + b logit_p) fits the sample: ridge logistic, prior a = 0 +- 1, b = 1 +- 0.5.

    All of shape (n,); weights are rescaled to mean 1.
    """
    if not len(y):
        return 0.0, 1.0
    prior = np.array([0.0, 1.0])
    beta, _ = ridge_logistic(
        np.stack([np.ones_like(logit_p), logit_p], axis=1),
        y,
        centre=prior,
        precision=np.array([1.0, 4.0]),
        start=prior,
        weight=weight * len(weight) / weight.sum(),
    )
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
    exposure: Floats | None = None,
    clusters: Sequence[Ints] = (),
    second: SecondPhase | None = None,
) -> Totals:
    """Sums by domain for one frame and one outcome.

    `p`, `pi`: shape (N,), the whole frame, scores in [0, 1] and inclusion probabilities in (0, 1]. `sample`:
    indices of the reviewed decisions, shape (n,); `y`: 1 if the SME found the error, shape (n,). `domain`:
    codes in [0, domains). `possible`: where the error can occur at all (an error class); elsewhere the
    model's mean is 0. `calibration`: (a, b) to use instead of fitting them. `exposure`: views, shape (N,), as
    weights of the decisions. `clusters`: codes of shape (n,), like the moderator; the largest variance
    counts. `second`: a panel's rulings on part of the sample; the rate is then what the panel would overturn.
    Raises EstimateError if an inclusion probability is missing, 0 or above 1.
    """
    code = np.zeros(len(p), np.int64) if domain is None else domain
    inside = None if possible is None else possible[sample]
    fit = calibration or calibrated(p[sample], pi[sample], y, inside)
    return frame_totals(
        p, pi, fit, domain=code, domains=domains, possible=possible, exposure=exposure
    ) + sample_totals(
        p[sample],
        pi[sample],
        y,
        fit,
        domain=code[sample],
        domains=domains,
        possible=inside,
        exposure=None if exposure is None else exposure[sample],
        clusters=clusters,
        second=second,
    )


def calibrated(p: Floats, pi: Floats, y: Floats, possible: Bools | None) -> tuple[float, float]:
    """(a, b) of `recalibrate` from the sample; all arrays of shape (n,).

    Only decisions where the error is `possible` are used.
    """
    possible = np.ones(len(p), bool) if possible is None else possible
    log_odds = logit(np.clip(p[possible], _EDGE, 1 - _EDGE))
    return recalibrate(log_odds, y[possible], 1 / pi[possible])


def frame_totals(
    p: Floats,
    pi: Floats,
    calibration: tuple[float, float],
    *,
    domain: Ints | NDArray[np.int32],
    domains: int,
    possible: Bools | None = None,
    exposure: Floats | None = None,
) -> Totals:
    """The sums over the frame; those over the sample are 0.

    One pass. Arguments and errors are those of `domain_totals`.
    """
    size, step = np.zeros((6, domains)), max(_CHUNK, domains)
    yhats = able = 0.0
    for i in range(0, len(p), step):
        part = slice(i, i + step)
        chance, code = pi[part], domain[part]
        if not (chance.min() > 0 and chance.max() <= 1):  # also fails if one is missing
            raise EstimateError(
                "some decisions have no inclusion probability above 0 (a top-k list, or a batch chosen by hand);"
                " only a draw made by `evenhand draw` yields an error rate"
            )
        yhat = _modelled(p[part], calibration)
        odds = 1 / chance - 1
        if possible is not None:
            yhat, odds = yhat * possible[part], odds * possible[part]
        yhats += float(yhat.sum())
        able += len(yhat) if possible is None else int(possible[part].sum())
        x = 1.0 if exposure is None else exposure[part]
        odds = odds * x * x
        count = np.bincount(code, minlength=domains)
        size[0] += count
        size[1] += count if exposure is None else np.bincount(code, x, domains)
        for row, values in ((2, x * yhat), (3, odds), (4, odds * yhat), (5, odds * yhat * yhat)):
            size[row] += np.bincount(code, values, domains)
    mean, none = yhats / max(able, 1), np.zeros(domains)
    # sum of odds x^2 d (1 - d) with d = believed(yhat, mean) = b yhat + c, multiplied out
    b, c = BELIEF, (1 - BELIEF) * mean
    anticipated = (c - c**2) * size[3] + (b - 2 * b * c) * size[4] - b**2 * size[5]
    return Totals(
        population=size[0],
        size=size[1],
        model=size[2],
        anticipated=anticipated,
        residual=none,
        v=none,
        v2=none,
        v_plain=none,
        reviewed=none,
        found=none,
        found_at_random=none,
        shown_wrong=none,
        shown_right=none,
    )


def sample_totals(
    p: Floats,
    pi: Floats,
    y: Floats,
    calibration: tuple[float, float],
    *,
    domain: Ints,
    domains: int,
    possible: Bools | None = None,
    exposure: Floats | None = None,
    clusters: Sequence[Ints] = (),
    second: SecondPhase | None = None,
) -> Totals:
    """The sums over the sample; those over the frame are 0.

    All arguments have shape (n,); the rest is as in `domain_totals`.
    """
    x = np.ones(len(p)) if exposure is None else exposure
    w = x / pi
    yhat = _modelled(p, calibration) * (1.0 if possible is None else possible)
    found, right, e, more = _verdicts(y, yhat, w, pi, second)
    terms = np.sqrt(1 - pi) * w * e

    def over_sample(values: Floats | None) -> Floats:
        return np.bincount(domain, values, domains).astype(float)

    v, v2 = v_plain, _ = _spread(domain, terms, more, domains)
    for codes in clusters:
        wide, wide2 = _clustered_spread(domain, codes, terms, more, domains)
        v, v2 = np.where(wide > v, wide, v), np.where(wide > v, wide2, v2)
    none = np.zeros(domains)
    return Totals(
        population=none,
        size=none,
        model=none,
        anticipated=none,
        residual=over_sample(w * e),
        v=v,
        v2=v2,
        v_plain=v_plain,
        reviewed=over_sample(None),
        found=over_sample(found),
        found_at_random=over_sample(found * (pi < 1)),
        shown_wrong=over_sample(found * x),
        shown_right=over_sample(right * x),
    )


def _modelled(p: Floats, calibration: tuple[float, float]) -> Floats:
    a, b = calibration
    return np.asarray(expit(a + b * logit(np.clip(p, _EDGE, 1 - _EDGE))))


def _verdicts(
    y: Floats, yhat: Floats, weight: Floats, pi: Floats, second: SecondPhase | None
) -> tuple[Floats, Floats, Floats, Floats]:
    """Shown wrong, shown right, residual, and the variance added by asking the panel about a part only.

    Each has shape (n,).
    """
    if second is None:
        return y, 1 - y, y - yhat, np.zeros(len(y))
    correction = np.where(second.asked, (second.verdict - y) / second.chance, 0.0)
    more = pi * (1 - second.chance) * (correction * weight) ** 2
    return second.asked * second.verdict, second.asked * (1 - second.verdict), y + correction - yhat, more


def _spread(there: Ints, terms: Floats, more: Floats, domains: int) -> tuple[Floats, Floats]:
    """Sum of squared terms and of their squares, by domain; each decision counts by itself."""
    n = len(terms)
    squares = terms**2 * (n / (n - 1) if n > 1 else 1.0) + more
    return (
        np.bincount(there, squares, domains).astype(float),
        np.bincount(there, squares**2, domains).astype(float),
    )


def _clustered_spread(
    there: Ints, codes: Ints, terms: Floats, more: Floats, domains: int
) -> tuple[Floats, Floats]:
    """The same as `_spread`, but the terms of a cluster are added up before they are squared.

    0 if there are too few clusters.
    """
    pairs, place = np.unique(np.stack([there, codes]), axis=1, return_inverse=True)
    owner, place = pairs[0].astype(np.int64), place.ravel()
    count = np.bincount(owner, minlength=domains).astype(float)
    enough = count >= CLUSTERS
    factor = np.where(enough, count / np.maximum(count - 1, 1), 0.0)[owner]
    squares = np.bincount(place, terms, len(owner)) ** 2 * factor
    squares = squares + np.bincount(place, more, len(owner)) * (factor > 0)
    return (
        np.bincount(owner, squares, domains).astype(float),
        np.bincount(owner, squares**2, domains).astype(float),
    )


def estimates(totals: Totals, *, confidence: float = 0.95) -> list[Estimate]:
    """One Estimate for each domain.

    The reviews also bound rate and interval: a domain has at least the errors found, and at most all
    decisions minus those found right. Interval: logit-t if at least 20 errors outside the take-all part
    support it (df >= 40), else Wilson with n_eff.
    """
    size = np.where(totals.size > 0, totals.size, 1.0)
    mean = totals.model / size
    raw = (totals.model + totals.residual) / size
    least = totals.shown_wrong / size
    most = 1 - totals.shown_right / size
    rate = np.clip(raw, least, np.maximum(most, least))
    variance, anticipated = totals.v / size**2, totals.anticipated / size**2
    df = np.minimum(2 * totals.v**2 / np.maximum(totals.v2, 1e-300), 2 * totals.found_at_random)
    n_eff = _effective(rate, variance, mean, anticipated)
    smooth = (df >= SMOOTH) & (raw > 0) & (rate < 1)
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
    """Reviews of a random draw with the same variance; infinite if nothing is left to chance.

    It is the harmonic mean of what the sample says and what the model anticipates. The sample's variance
    alone is too small just when the rate is, so its intervals cover too seldom; the model's alone misses what
    the model misses.
    """
    from_model = mean * (1 - mean) / np.maximum(anticipated, 1e-300)
    from_sample = rate * (1 - rate) / np.maximum(variance, 1e-300)
    usable = (rate > 0) & (rate < 1) & (variance > 0)
    both = 2 / (1 / np.maximum(from_model, 1e-300) + 1 / np.maximum(from_sample, 1e-300))
    return np.where(usable, both, from_model)


def _estimate(
    totals: Totals, i: int, rate: float, low: float, high: float, n_eff: float, *, smooth: bool
) -> Estimate:
    reviewed, population = int(totals.reviewed[i]), int(totals.population[i])
    found = int(round(float(totals.found[i])))
    common = {"n_reviewed": reviewed, "errors_found": found, "population": population}
    if reviewed == population and population and totals.v[i] == 0:
        exact = float(totals.shown_wrong[i] / totals.size[i]) if totals.size[i] > 0 else 0.0
        return Estimate(
            rate=exact, low=exact, high=exact, n_eff=None, method="census", status="measured", **common
        )
    if reviewed == 0:
        return Estimate(
            rate=rate,
            low=0.0,
            high=1.0,
            n_eff=0.0,
            method="none",
            status="unknown",
            reviews_needed=min(population, int(ENOUGH)),
            **common,
        )
    known = reviewed >= RULED and n_eff >= ENOUGH
    more = 0 if known else max(1, RULED - reviewed, int(np.ceil(reviewed * (ENOUGH / max(n_eff, 0.5) - 1))))
    return Estimate(
        rate=rate,
        low=low,
        high=high,
        n_eff=n_eff,
        method="logit-t" if smooth else "wilson n_eff",
        status="measured" if known else "unknown",
        reviews_needed=min(more, population - reviewed),
        clustering=float((totals.v[i] / totals.v_plain[i]) ** 0.5) if totals.v_plain[i] > 0 else 1.0,
        **common,
    )
