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
from numpy.typing import NDArray

from evenhand.errors import SampleError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PHI_MAX = 0.7  # share of the budget that may be spent on the highest scores
_HALVINGS = 10  # of the interval of phi: to within 0.001
_EDGE = 1e-6  # a score of exactly 0 or 1 still leaves room for doubt


def capped(size: Floats, n: float) -> Floats:
    """Probabilities min(1, c * size) that sum to `n`; shape as `size`, which must be positive.

    >>> capped(np.array([1.0, 1.0, 8.0]), 2).tolist()
    [0.5, 0.5, 1.0]
    """
    sure = np.zeros(len(size), bool)
    while True:
        rest = n - sure.sum()
        if rest <= 0:
            return sure.astype(float)
        scale = rest / size[~sure].sum()
        new = ~sure & (scale * size >= 1)
        if not new.any():
            return np.where(sure, 1.0, scale * size)
        sure |= new
        if sure.all():
            return sure.astype(float)


def inclusion_probabilities(
    p: Floats,
    n: int,
    *,
    phi: float = 0.0,
    floor: float = 0.35,
    cell_floor: float = 0.5,
    cell: Ints | None = None,
) -> Floats:
    """Inclusion probability of each decision, shape (N,), in (0, 1], sum `n`.

    `p` are scores in [0, 1]; `phi` is the share of `n` that goes to the highest scores; `floor` the share of flat
    sampling in the rest, of which `cell_floor` goes evenly to the cells (`cell`: codes from 0) instead of the decisions.
    Raises SampleError if `n` is not between 1 and N.
    """
    if not 1 <= n <= len(p):
        raise SampleError(
            f"a draw of {n} from a frame of {len(p):,} decisions; ask for 1 to {len(p):,}, or widen the period or filter"
        )
    if not np.isfinite(p).all() or p.min() < 0 or p.max() > 1:
        raise SampleError("a score is missing or outside [0, 1]; score the decisions again")
    pi = np.ones(len(p))
    top = min(round(phi * n), n - 1)  # someone must stand for the rest
    rest = np.argsort(-p, kind="stable")[top:]
    if n - top >= len(rest):
        return pi
    q = np.clip(p[rest], _EDGE, 1 - _EDGE)
    spread = np.sqrt(q * (1 - q))
    flat = np.full(len(rest), 1 / len(rest))
    if cell is not None:
        code = cell[rest]
        count = np.bincount(code)
        flat = (1 - cell_floor) * flat + cell_floor / ((count > 0).sum() * count[code])
    pi[rest] = capped((1 - floor) * spread / spread.sum() + floor * flat, n - top)
    return pi


def choose_phi(
    p: Floats,
    n: int,
    *,
    kappa: float,
    floor: float = 0.35,
    cell_floor: float = 0.5,
    cell: Ints | None = None,
) -> float:
    """The largest take-all share whose anticipated variance stays within kappa^2 of a random draw's.

    `kappa` is the half-width to allow relative to a simple random sample of `n`. The scores are shrunk toward their
    mean (0.7 p + 0.3 mean) before they are believed. Raises SampleError if kappa is not positive.
    """
    if not kappa > 0:
        raise SampleError(
            f"kappa is {kappa}; give a positive number, like 1.0 (never wider than a random draw)"
        )
    order = np.argsort(-p, kind="stable")  # once: sorted scores sort quickly again
    p, cell = p[order], None if cell is None else cell[order]
    doubted = 0.7 * p + 0.3 * p.mean()
    variance, mean = doubted * (1 - doubted), p.mean()
    limit = kappa**2 * mean * (1 - mean) * len(p) ** 2 / n

    def holds(phi: float) -> bool:
        pi = inclusion_probabilities(p, n, phi=phi, floor=floor, cell_floor=cell_floor, cell=cell)
        return bool((variance * (1 - pi) / pi).sum() <= limit)

    if holds(PHI_MAX):
        return PHI_MAX
    low, high = 0.0, PHI_MAX
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def hashed_uniform(salt: str, ids: Sequence[str]) -> Floats:
    """A number in (0, 1) for each id, from the first 53 bits of SHA-256(salt | id): the same on every machine."""
    start = hashlib.sha256(f"{salt}|".encode())

    def bits(text: str) -> int:
        digest = start.copy()
        digest.update(text.encode())
        return int.from_bytes(digest.digest()[:8], "big") >> 11

    return (np.fromiter((bits(text) for text in ids), np.float64, len(ids)) + 0.5) / 2.0**53


def pareto_draw(pi: Floats, u: Floats) -> Ints:
    """Indices of the drawn units in queue order; exactly round(sum pi) of them.

    Units with pi = 1 are in. Of the others those with the smallest keys u/(1-u) * (1-pi)/pi are (Rosen 1997). The queue
    runs in key order with the certain units, in the order of `u`, spread evenly among them; so the first part of
    the queue, wherever it is cut, is again a probability sample (`partial_probabilities`).
    """
    sure = np.flatnonzero(pi >= 1)
    rest = np.flatnonzero(pi < 1)
    m = round(float(pi.sum())) - len(sure)
    keys = u[rest] / (1 - u[rest]) * (1 - pi[rest]) / pi[rest]
    chosen = rest[np.argsort(keys, kind="stable")[:m]]
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
    if m <= 0:
        return np.zeros(len(pi))
    odds = pi / (1 - pi)
    low, high = -60.0, 60.0
    for _ in range(200):
        c = np.exp((low + high) / 2)
        low, high = (
            ((low + high) / 2, high) if (c * odds / (1 + c * odds)).sum() < m else (low, (low + high) / 2)
        )
    c = np.exp((low + high) / 2)
    return np.asarray(c * odds / (1 + c * odds))
