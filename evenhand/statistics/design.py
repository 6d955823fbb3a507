"""The design of a draw: the probability with which each decision is drawn.

Design "take-all and defensive square root": the phi * n highest scores are drawn for certain. The others are
drawn with probability proportional to sqrt(p (1 - p)), mixed with flat sampling so that every decision can be
drawn. Decisions drawn for certain add no variance: searching for errors costs budget, but does not bias the
rates. Sources: Zrnic and Candes (2024, arXiv 2403.03208) for sqrt(p (1 - p)); Li, Zrnic and Candes (2025,
arXiv 2511.08991) for the defensive mix.
"""

from __future__ import annotations

import numpy as np

from evenhand.errors import SampleError
from evenhand.statistics.arrays import Floats, Ints, Marks
from evenhand.statistics.belief import believed

PHI_MAX = 0.7  # share of the budget that may be spent on the highest scores
_EDGE = 1e-6  # a score of exactly 0 or 1 still leaves room for doubt
_CHUNK = 1 << 17  # numbers at a time, so that intermediate results stay in the processor's cache


def capped(size: Floats, n: float) -> Floats:
    """Probabilities min(1, c * size) that sum to `n`; shape as `size`, which must not be negative.

    >>> capped(np.array([1.0, 1.0, 8.0]), 2).tolist()
    [0.5, 0.5, 1.0]
    """
    scale, count = n / size.sum(), 0
    while True:
        sure = size >= 1 / scale
        known, count = count, int(sure.sum())
        if count == known:  # a unit that is certain now stays certain
            out: Floats = np.minimum(size * scale, 1.0)
            out[sure] = 1.0
            return out
        if n - count <= 0 or count == len(size):
            return np.asarray(sure, float)
        scale = (n - count) / size.sum(where=~sure)


class Design:
    """The choice between searching for errors and measuring, for one frame and budget.

    What does not depend on that choice is computed once. `p` are scores in [0, 1], shape (N,). `floor` is the
    share of flat sampling outside the take-all part, of which `cell_floor` goes evenly to the cells (`cell`:
    codes from 0) instead of the decisions. `tie` decides which of equal scores are taken for certain, the
    smallest first (else the first in order). Raises SampleError if `n` is not between 1 and N, or a score is
    no probability.
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
        """Inclusion probability of each decision, shape (N,), in (0, 1]; their sum is `n`.

        The share `phi` of it is spent on the highest scores.
        """
        return self._probabilities(self._top(phi))

    def phi(self, kappa: float) -> float:
        """The largest take-all share whose anticipated variance stays within kappa^2 of a random draw's.

        `kappa` is the half-width to allow relative to a simple random sample of the same size. Raises
        SampleError if it is not positive.
        """
        if not kappa > 0:
            raise SampleError(
                f"kappa is {kappa}; give a positive number, like 1.0 (never wider than a random draw)"
            )
        mean = float(self.p.mean())
        if mean in (0.0, 1.0):  # nothing to anticipate: equal scores give no reason to take some for certain
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
        return min(round(phi * self.n), self.n - 1)  # at least one decision must represent the rest

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
        """Anticipated variance of the total.

        The scores are first shrunk toward their mean.
        """
        if top not in self._variances:
            pi, mean, total = self._probabilities(top), float(self.p.mean()), 0.0
            for i in range(0, len(pi), _CHUNK):
                doubted = believed(self.p[i : i + _CHUNK], mean)
                total += float((doubted * (1 - doubted) * (1 / pi[i : i + _CHUNK] - 1)).sum())
            self._variances[top] = total
        return self._variances[top]


def _highest(p: Floats, count: int, tie: Marks | None) -> Ints:
    """Indices of the `count` highest scores, the highest first.

    Of equal scores the smallest `tie` comes first, or without `tie` the first in order.
    """
    if count <= 0:
        return np.empty(0, np.int64)
    least = np.partition(p, len(p) - count)[len(p) - count]
    found = np.flatnonzero(p >= least)
    order = np.lexsort((found if tie is None else tie[found], -p[found]))
    return np.asarray(found[order[:count]], np.int64)
