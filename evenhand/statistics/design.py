"""The draw: inclusion probabilities first, then a Pareto sample that respects them.

Design "take-all and defensive square root": the phi * n highest scores are drawn for certain, the rest with
probability proportional to sqrt(p (1 - p)), mixed with flat sampling so that no decision is out of reach.
Units drawn for certain add no variance, so hunting for errors costs budget and never honesty.
Sources: Rosen (1997) for Pareto sampling; Zrnic and Candes (2024, arXiv 2403.03208) for sqrt(p (1 - p));
Li, Zrnic and Candes (2025, arXiv 2511.08991) for the defensive mix.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit

from evenhand.errors import SampleError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Marks = NDArray[np.uint64]

PHI_MAX = 0.7  # share of the budget that may be spent on the highest scores
_EDGE = 1e-6  # a score of exactly 0 or 1 still leaves room for doubt
BELIEF = 0.75  # in the scores, when their worth is anticipated; the rest is their mean
_CHUNK = 1 << 17  # numbers at a time, so that what lies between stays in the processor's cache


def capped(size: Floats, n: float) -> Floats:
    """Probabilities min(1, c * size) that sum to `n`; shape as `size`, which must not be negative.

    >>> capped(np.array([1.0, 1.0, 8.0]), 2).tolist()
    [0.5, 0.5, 1.0]
    """
    scale, count = n / size.sum(), 0
    while True:
        sure = size >= 1 / scale
        known, count = count, int(sure.sum())
        if count == known:  # whoever is sure now was so before
            out: Floats = np.minimum(size * scale, 1.0)
            out[sure] = 1.0
            return out
        if n - count <= 0 or count == len(size):
            return np.asarray(sure, float)
        scale = (n - count) / size.sum(where=~sure)


class Design:
    """The choice between hunting and measuring for one frame and budget; what does not depend on it is computed once.

    `p` are scores in [0, 1], shape (N,); `floor` the share of flat sampling outside the take-all part, of which `cell_floor` goes
    evenly to the cells (`cell`: codes from 0) instead of the decisions; `tie` decides which of equal scores are taken for certain,
    the smallest first (else the first in order). Raises SampleError if `n` is not between 1 and N, or a score is no probability.
    """

    def __init__(
        self,
        p: Floats,
        n: int,
        *,
        floor: float = 0.35,
        cell_floor: float = 0.5,
        cell: Ints | None = None,
        tie: Marks | None = None,
    ) -> None:
        if not 1 <= n <= len(p):
            raise SampleError(
                f"a draw of {n} from a frame of {len(p):,} decisions; ask for 1 to {len(p):,}, or widen the period or filter"
            )
        if not np.isfinite(p).all() or p.min() < 0 or p.max() > 1:
            raise SampleError("a score is missing or outside [0, 1]; score the decisions again")
        self.p, self.n, self.floor, self.cell = p, n, floor, cell
        self.cell_floor = 0.0 if cell is None else cell_floor
        self.size = np.empty(0) if cell is None else np.bincount(cell).astype(float)
        self.spread = np.clip(p, _EDGE, 1 - _EDGE)
        self.spread *= 1 - self.spread
        np.sqrt(self.spread, out=self.spread)
        self.highest = _highest(p, min(round(PHI_MAX * n), n - 1), tie)
        self._variances: dict[int, float] = {}

    def probabilities(self, phi: float) -> Floats:
        """Inclusion probability of each decision, shape (N,), in (0, 1], sum `n`; `phi` of it on the highest scores."""
        return self._probabilities(self._top(phi))

    def phi(self, kappa: float) -> float:
        """The largest take-all share whose anticipated variance stays within kappa^2 of a random draw's.

        `kappa` is the half-width to allow relative to a simple random sample of the same size. Raises SampleError if it is not
        positive.
        """
        if not kappa > 0:
            raise SampleError(
                f"kappa is {kappa}; give a positive number, like 1.0 (never wider than a random draw)"
            )
        mean = float(self.p.mean())
        if mean in (0.0, 1.0):  # nothing to anticipate: equal scores are no reason to take some for certain
            return 0.0
        limit = kappa**2 * mean * (1 - mean) * len(self.p) ** 2 / self.n
        low, high = 0, len(self.highest)
        if self._variance(high) <= limit:
            return high / self.n
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._variance(middle) <= limit else (low, middle)
        return low / self.n

    def _top(self, phi: float) -> int:
        return min(round(phi * self.n), self.n - 1)  # someone must stand for the rest

    def _probabilities(self, top: int) -> Floats:
        taken = self.highest[:top] if top <= len(self.highest) else _highest(self.p, top, None)
        left, rest = len(self.p) - top, self.n - top
        if rest >= left:
            return np.ones(len(self.p))
        share = self.floor * (1 - self.cell_floor) / left
        g = self.spread * ((1 - self.floor) / (self.spread.sum() - self.spread[taken].sum()))
        if self.cell is None:
            g += share
        else:
            there = self.size - np.bincount(self.cell[taken], minlength=len(self.size))
            by_cell = self.floor * self.cell_floor / ((there > 0).sum() * np.maximum(there, 1.0))
            g += (share + by_cell)[self.cell]
        g[taken] = 0.0
        pi = capped(g, rest)
        pi[taken] = 1.0
        return pi

    def _variance(self, top: int) -> float:
        """Anticipated variance of the total; the scores are shrunk toward their mean before they are believed."""
        if top not in self._variances:
            pi, mean, total = self._probabilities(top), float(self.p.mean()), 0.0
            for i in range(0, len(pi), _CHUNK):
                doubted = BELIEF * self.p[i : i + _CHUNK] + (1 - BELIEF) * mean
                total += float((doubted * (1 - doubted) * (1 / pi[i : i + _CHUNK] - 1)).sum())
            self._variances[top] = total
        return self._variances[top]


def _highest(p: Floats, count: int, tie: Marks | None) -> Ints:
    """Indices of the `count` highest scores, the highest first; of equal scores the smallest `tie`, else the first."""
    if count <= 0:
        return np.empty(0, np.int64)
    least = np.partition(p, len(p) - count)[len(p) - count]
    found = np.flatnonzero(p >= least)
    order = np.lexsort((found if tie is None else tie[found], -p[found]))
    return np.asarray(found[order[:count]], np.int64)


def id_numbers(ids: Sequence[str] | pl.Series) -> Marks:
    """A 64-bit number for each id, shape (n,): the lake's 16 hex digits read as such, any other id through SHA-256."""
    text = ids if isinstance(ids, pl.Series) else pl.Series(ids, dtype=pl.String)
    numbers = text.str.to_integer(base=16, dtype=pl.UInt64, strict=False)
    odd = (numbers.is_null() | (text.str.len_bytes() != 16)).arg_true()
    out = numbers.fill_null(0).to_numpy(writable=True)
    for i in odd.to_list():
        out[i] = int.from_bytes(hashlib.sha256(text[i].encode()).digest()[:8], "big")
    return out


def hashed_uniform(salt: str, ids: Sequence[str] | pl.Series) -> Floats:
    """A number in (0, 1) for each id, shape (n,): `uniform` of its number, the same on every machine."""
    return uniform(salt, id_numbers(ids))


def uniform(salt: str, numbers: Marks) -> Floats:
    """A number in (0, 1) for each of `numbers`, shape (n,), without pattern over numbers or salts.

    Mixed twice (splitmix64: Steele, Lea and Flood 2014) with two keys from SHA-256(salt).
    """
    digest = hashlib.sha256(salt.encode()).digest()
    keys = [np.uint64(int.from_bytes(digest[i : i + 8], "big")) for i in (0, 8)]
    out = np.empty(len(numbers))
    for i in range(0, len(numbers), _CHUNK):
        x = numbers[i : i + _CHUNK]
        for key in keys:
            x = _mixed(x ^ key)
        out[i : i + _CHUNK] = ((x >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    return out


def _mixed(x: Marks) -> Marks:
    x = x + np.uint64(0x9E3779B97F4A7C15)  # wraps around: arithmetic is modulo 2^64
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def pareto_draw(pi: Floats, u: Floats) -> Ints:
    """Indices of the drawn units in queue order; exactly round(sum pi) of them.

    Units with pi = 1 are in. Of the others those with the smallest keys u/(1-u) * (1-pi)/pi are (Rosen 1997). The queue
    runs in key order with the certain units, in the order of `u`, spread evenly among them; so the first part of
    the queue, wherever it is cut, is again a probability sample (`partial_probabilities`).
    """
    n = round(float(pi.sum()))
    keys = 1 / pi
    keys -= 1
    keys *= u
    keys /= 1 - u
    drawn = np.argpartition(keys, n - 1)[:n] if n < len(pi) else np.arange(len(pi))
    sure = drawn[pi[drawn] >= 1]
    chosen = drawn[pi[drawn] < 1]
    chosen = chosen[np.argsort(keys[chosen], kind="stable")]
    sure = sure[np.argsort(u[sure], kind="stable")]
    place = np.concatenate([_spread(len(chosen)), _spread(len(sure))])
    return np.concatenate([chosen, sure])[np.argsort(place, kind="stable")].astype(np.int64)


def _spread(n: int) -> Floats:
    return (np.arange(n) + 0.5) / max(n, 1)


def partial_probabilities(pi: Floats, *, sampled: int, certain: int) -> Floats:
    """Inclusion probabilities when only a first part of the queue has been reviewed, shape as `pi`.

    Of the units with pi < 1, `sampled` were reviewed: pi' = c rho / (1 + c rho) with rho = pi / (1 - pi), summing to
    `sampled`. Of those with pi = 1, `certain` were, in random order: pi' is their share.
    """
    out = np.empty(len(pi))
    sure = pi >= 1
    out[sure] = certain / max(int(sure.sum()), 1)
    if (~sure).any():
        out[~sure] = _scaled_odds(pi[~sure], sampled)
    return out


def _scaled_odds(pi: Floats, m: int) -> Floats:
    """Odds scaled: c rho / (1 + c rho) with rho = pi / (1 - pi), summing to `m`: Newton on log c, kept between bounds."""
    if m <= 0:
        return np.zeros(len(pi))
    if m >= len(pi):
        return np.ones(len(pi))
    log_odds = np.log(pi) - np.log1p(-pi)
    low, high, at = -80.0, 80.0, float(np.log(m / pi.sum()))
    for _ in range(200):
        out = expit(log_odds + at)
        off = float(out.sum()) - m
        if abs(off) <= 1e-12 * m:
            break
        low, high = (at, high) if off < 0 else (low, at)
        step = at - off / max(float((out * (1 - out)).sum()), 1e-300)
        at = step if low < step < high else (low + high) / 2
    return np.asarray(out)
