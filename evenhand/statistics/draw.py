"""The draw itself: a Pareto sample with given inclusion probabilities.

It also has the probabilities if only part of the sample is reviewed. Source: Rosen (1997) for Pareto
sampling.
"""

from __future__ import annotations

import hashlib

import numpy as np
from scipy.special import expit

from evenhand.statistics.arrays import Floats, Ints, Marks

_CHUNK = 1 << 17  # numbers at a time, so that intermediate results stay in the processor's cache


def uniform(salt: str, numbers: Marks) -> Floats:
    """A number in (0, 1) for each of `numbers`, shape (n,), without pattern over numbers or salts.

    Mixed twice (splitmix64: Steele, Lea and Flood 2014), with two keys from SHA-256(salt).
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

    Units with pi = 1 are drawn. Of the others, those with the smallest keys u/(1-u) * (1-pi)/pi are drawn
    (Rosen 1997). The queue is in key order, and the certain units are spread evenly among the others, in the
    order of `u`. So the first part of the queue, wherever it ends, is again a probability sample
    (`partial_probabilities`).
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

    Of the units with pi < 1, `sampled` were reviewed: pi' = c rho / (1 + c rho) with rho = pi / (1 - pi), and
    the pi' sum to `sampled`. Of those with pi = 1, `certain` were reviewed, in random order: pi' is their
    share.
    """
    out = np.empty(len(pi))
    sure = pi >= 1
    out[sure] = certain / max(int(sure.sum()), 1)
    if (~sure).any():
        out[~sure] = _scaled_odds(pi[~sure], sampled)
    return out


def _scaled_odds(pi: Floats, m: int) -> Floats:
    """Scaled odds: c rho / (1 + c rho) with rho = pi / (1 - pi); their sum is `m`.

    Solved by Newton's method on log c, kept between bounds.
    """
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
