"""Rates from a model for cells with hardly any reviews, from what similar cells say.

They are labelled "modelled" wherever they are shown. The model is logistic: the score's slope within and
between cells, intercept and slope by area, intercept by market and by cell. The spread of each kind of effect
is estimated from all cells. The fit has no weights: who was drawn depends on score and cell alone, and both
are in the model.

Unlike `evenhand.statistics.estimator`, these rates depend on the model. They are right on average over cells,
but too high for cells with a rate below 1%, and their interval covers such a rate too seldom. So a modelled
rate never replaces a direct rate, never enters a ranking and never raises an alarm. Sources: Gelman and Hill
(2007) for the model; MacKay (1992) for the spreads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from evenhand.statistics.arrays import Floats, Ints
from evenhand.statistics.intervals import logit_t
from evenhand.statistics.ridge_logistic import ridge_logistic

_EDGE = 1e-6
_BINS = 300  # bins of log-odds for each cell: exact enough, and one pass over the frame is enough
_DF = 20.0  # degrees of freedom of the interval
_ROUNDS = 12
#: Kinds of effect: first spread (variance), and a, b of its inverse-gamma prior; None if the spread is fixed.
_KINDS: tuple[tuple[float, tuple[float, float] | None], ...] = (
    (4.0, None),  # overall level
    (0.25, None),  # slopes within and between cells
    (0.3, (1.0, 0.2)),  # level of an area
    (0.05, (1.0, 0.05)),  # slope of an area
    (0.2, (1.0, 0.1)),  # level of a market
    (0.3, (1.0, 0.2)),  # level of a cell
)
_AREA, _AREA_SLOPE, _MARKET, _CELL = range(2, 6)


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A summary of the frame: log-odds of the scores by cell, in bins.

    `cell`, `count`, `log_odds`: shape (bins,), the bin's cell, its decisions and their mean log-odds.
    `market`, `area`: shape (cells,), codes from 0 of the market and the area of each cell.
    """

    cell: Ints
    count: Floats
    log_odds: Floats
    market: Ints
    area: Ints

    @property
    def size(self) -> Floats:
        """The number of decisions in each cell."""
        return np.asarray(np.bincount(self.cell, self.count, len(self.market)), float)


def in_bins(p: Floats, cell: Ints, *, market: Ints, area: Ints) -> Cells:
    """The summary of the frame; `p` and `cell` of shape (N,), every cell with at least one decision."""
    x = logit(np.clip(p, _EDGE, 1 - _EDGE))
    edges = np.quantile(x, np.linspace(0, 1, _BINS + 1))[1:-1]
    key = cell * _BINS + np.searchsorted(edges, x, side="right")
    count = np.bincount(key, minlength=len(market) * _BINS)
    used = np.flatnonzero(count)
    mean = np.bincount(key, x, len(market) * _BINS)[used] / count[used]
    return Cells(
        cell=(used // _BINS).astype(np.int64),
        count=count[used].astype(float),
        log_odds=mean,
        market=market,
        area=area,
    )


def modelled_rates(cells: Cells, p: Floats, cell: Ints, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Rate, low and high of each cell, shape (cells,), from the reviewed: `p`, `cell` and `y` of shape (n,).

    The errors found count as they are; the model estimates the others. A cell without any review gets a rate
    too.
    """
    size = cells.size
    overall = float((cells.count * cells.log_odds).sum() / size.sum())
    mean = np.bincount(cells.cell, cells.count * cells.log_odds, len(size)) / size
    between = mean - overall
    x = logit(np.clip(p, _EDGE, 1 - _EDGE)) - mean[cell]
    design, kind = _design(cells, cell, x, between)
    beta, covariance = _fit(design, kind, y, overall)
    inner = cells.log_odds - mean[cells.cell]
    frame, _ = _design(cells, cells.cell, inner, between)
    q = expit(overall + frame @ beta)
    seen = np.bincount(cell, y - expit(overall + design @ beta), len(size))
    rate = np.clip((np.bincount(cells.cell, cells.count * q, len(size)) + seen) / size, _EDGE, 1 - _EDGE)
    slope = cells.count * q * (1 - q)
    gradient = np.zeros((len(size), len(beta)))
    np.add.at(gradient, cells.cell, frame * slope[:, None])
    gradient /= size[:, None]
    variance = np.einsum("ij,jk,ik->i", gradient, covariance, gradient)
    low, high = logit_t(rate, variance, np.full(len(size), _DF))
    return rate, low, high


def _design(cells: Cells, cell: Ints, x: Floats, between: Floats) -> tuple[Floats, Ints]:
    """The columns of the model for rows in `cell`, and the kind of each column.

    The rows have log-odds `x` around their cell's mean.
    """
    areas, markets, count = int(cells.area.max()) + 1, int(cells.market.max()) + 1, len(cells.area)
    kind = np.repeat(range(6), (1, 2, areas, areas, markets, count)).astype(np.int64)
    start = np.searchsorted(kind, range(6))
    rows, out = np.arange(len(cell)), np.zeros((len(cell), len(kind)))
    out[:, 0], out[:, 1], out[:, 2] = 1.0, x, between[cell]
    out[rows, start[_AREA] + cells.area[cell]] = 1.0
    out[rows, start[_AREA_SLOPE] + cells.area[cell]] = x
    out[rows, start[_MARKET] + cells.market[cell]] = 1.0
    out[rows, start[_CELL] + cell] = 1.0
    return out, kind


def _fit(design: Floats, kind: Ints, y: Floats, offset: float) -> tuple[Floats, Floats]:
    """Posterior mode and covariance (Laplace); the spreads by MacKay's update."""
    centre = np.zeros(len(kind))
    centre[[1, 2]] = 1.0  # both slopes are 1 at first: the score is believed until the rulings say otherwise
    spread = np.array([first for first, _ in _KINDS])
    beta: Floats = centre.copy()
    covariance: Floats = np.eye(len(kind))
    for _ in range(_ROUNDS):
        precision = 1 / spread[kind]
        beta, hessian = ridge_logistic(
            design, y, centre=centre, precision=precision, start=beta, offset=offset
        )
        covariance = np.asarray(np.linalg.inv(hessian), float)
        for number, (_, prior) in enumerate(_KINDS):
            if prior is None:
                continue
            of = kind == number
            a, b = prior
            freedom = of.sum() - np.diag(covariance)[of].sum() / spread[number]
            spread[number] = ((beta[of] ** 2).sum() + 2 * b) / (freedom + 2 * a)
    return beta, covariance
