"""Simulates weeks of decisions with scores and errors, in five scenarios.

Some scenarios mislead on purpose (see `estimation.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

POLICIES, MARKETS = 5, 8
CELLS = POLICIES * MARKETS
CHANGED = 2  # policies that shift and blind change
RATES = np.exp(np.linspace(np.log(0.005), np.log(0.15), CELLS))  # true error rates of the cells
DOMAINS: dict[str, Ints] = {  # domain of each cell
    "overall": np.zeros(CELLS, np.int64),
    "policy": np.arange(CELLS) % POLICIES,
    "market": np.arange(CELLS) // POLICIES,
    "cell": np.arange(CELLS),
}
SCENARIOS = ("cal", "over", "cellbias", "shift", "blind")


@dataclass(frozen=True, kw_only=True)
class Population:
    """One simulated week.

    Scores `p`, chances of error `q`, errors `y` (0 or 1) and `cell` codes have shape (decisions,).
    """

    p: Floats
    q: Floats
    y: Floats
    cell: Ints
    auroc: float  # of p for the errors, in expectation

    def truth(self, domain: Ints) -> Floats:
        """Error rate of each domain."""
        code = domain[self.cell]
        return np.asarray(np.bincount(code, self.y) / np.bincount(code))


def expected_auroc(score: Floats, q: Floats) -> float:
    """AUROC of `score` for errors that happen with probability `q`."""
    q = q[np.argsort(score)]
    below = np.cumsum(1 - q) - (1 - q)
    return float((q * below).sum() / (q.sum() * (1 - q).sum() - (q * (1 - q)).sum()))


def intercepts(z: Floats, cell: Ints, rate: Floats, spread: float) -> Floats:
    """Log-odds a of each cell, shape (CELLS,), by Newton's method.

    The mean of expit(a + spread z) in a cell is its `rate`.
    """
    size, a = np.bincount(cell, minlength=CELLS), logit(rate)
    for _ in range(12):
        q = expit(a[cell] + spread * z)
        slope = np.bincount(cell, q * (1 - q), CELLS) / size
        a = a - np.clip((np.bincount(cell, q, CELLS) / size - rate) / slope, -1.5, 1.5)
    return a


def population(rng: np.random.Generator, scenario: str, auroc: float, n: int) -> Population:
    """A week of `n` decisions whose calibrated score would have this AUROC.

    Cells have very different sizes.
    """
    share = np.exp(rng.normal(0, 0.9, CELLS))
    size = np.maximum(n // 500, share / share.sum() * n).astype(int)
    size[size.argmax()] += n - size.sum()
    cell = np.repeat(np.arange(CELLS), size)
    rate, z = rng.permutation(RATES), rng.normal(size=n)
    low, high = 0.2, 3.5
    for _ in range(12):  # the spread of the log-odds that gives this AUROC
        spread = (low + high) / 2
        log_odds = intercepts(z, cell, rate, spread)[cell] + spread * z
        enough = expected_auroc(log_odds, expit(log_odds)) >= auroc
        low, high = (low, spread) if enough else (spread, high)
    q = expit(log_odds)
    p, changed = q.copy(), DOMAINS["policy"] < CHANGED
    if scenario == "over":
        centre = logit(q.mean())
        p = expit(centre + 1.8 * (log_odds - centre))
    elif scenario == "cellbias":
        p = expit(log_odds + rng.normal(0, 0.6, CELLS)[cell])
    elif scenario == "shift":
        other = np.where(changed[cell], 0.4 * z + np.sqrt(0.84) * rng.normal(size=n), z)
        more = np.where(changed, np.minimum(0.25, 3 * rate), rate)
        q = expit(intercepts(other, cell, more, spread)[cell] + spread * other)
    elif scenario == "blind":
        q = np.where(changed[cell] & (z < 0), q + 0.05, q)
    p = np.clip(p, 1e-5, 0.999)
    y = (rng.random(n) < q).astype(float)
    return Population(p=p, q=q, y=y, cell=cell.astype(np.int64), auroc=expected_auroc(p, q))
