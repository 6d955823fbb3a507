"""Logistic regression with a normal prior on every coefficient.

All fits of this room use it.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from evenhand.statistics.arrays import Floats

_ROUNDS = 25
_SMALL = 1e-8  # a smaller step means that the mode is found


def ridge_logistic(
    design: Floats,
    y: Floats,
    *,
    centre: Floats,
    precision: Floats,
    start: Floats,
    weight: Floats | None = None,
    offset: float = 0.0,
) -> tuple[Floats, Floats]:
    """The mode of the coefficients, shape (k,), and the Hessian there, shape (k, k).

    `design`: (n, k); `y`: (n,), in [0, 1]; `centre` and `precision` of the prior: (k,); `start`: first
    coefficients, (k,); `weight`: (n,), 1 by default. It halves steps that go too far, so it cannot diverge as
    plain Newton does.
    """
    weight = np.ones(len(y)) if weight is None else weight

    def objective(at: Floats) -> float:
        eta = offset + design @ at
        fit = (weight * (y * eta - np.logaddexp(0, eta))).sum()
        return float(fit - (precision * (at - centre) ** 2).sum() / 2)

    beta, hessian = start.copy(), np.diag(precision)
    for _ in range(_ROUNDS):
        mean = expit(offset + design @ beta)
        hessian = (design * (weight * mean * (1 - mean))[:, None]).T @ design + np.diag(precision)
        gradient = design.T @ (weight * (y - mean)) - precision * (beta - centre)
        step, before = np.linalg.solve(hessian, gradient), objective(beta)
        while objective(beta + step) < before and np.abs(step).max() > _SMALL:
            step = step / 2
        beta = beta + step
        if np.abs(step).max() < _SMALL:
            break
    return beta, np.asarray(hessian)
