"""What a review batch of a given size will find, and how wide its intervals will be, before anybody reviews.

All figures come from the scores before any review. The scores are shrunk toward their mean
(`evenhand.statistics.belief`). The interval that counts is the later one, estimated from the rulings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import norm

from evenhand.batches.population import codes
from evenhand.errors import SampleError
from evenhand.statistics.arrays import Floats, Ints
from evenhand.statistics.belief import believed
from evenhand.statistics.design import Design
from evenhand.statistics.estimator import ENOUGH, RULED

KAPPAS = (0.0, 1.0, 1.1, 1.25, 1.5)  # 0: measure only, nothing for the highest scores
_HELPS = 1.2  # the model helps if it finds more errors than this many times those of a random draw
_NARROWS = 0.97  # the model narrows intervals if the half-width is below this share of a random draw's


@dataclass(frozen=True, kw_only=True)
class Option:
    """One way to spend the budget; rates and widths as fractions."""

    kappa: float
    phi: float  # share of the budget on the highest scores
    errors: float  # expected number among the reviewed
    errors_random: float  # the same for a random draw of the same size
    half_width: float  # of the 95% interval of the overall rate
    half_width_random: float

    @property
    def yield_ratio(self) -> float:
        """Errors found, relative to a random draw."""
        return self.errors / self.errors_random

    @property
    def width_ratio(self) -> float:
        """Half-width relative to a random draw's; 1 for a census."""
        return 1.0 if not self.half_width_random else self.half_width / self.half_width_random


@dataclass(frozen=True, kw_only=True)
class Domain:
    """What the chosen option means for one value of a column."""

    name: str
    decisions: int
    reviews: float  # expected
    expected_rate: float
    half_width: float
    measured: bool  # whether it is expected to count as measured
    reviews_for_target: int  # budget of the whole draw that narrows the half-width to the target


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a budget is expected to bring."""

    budget: int
    frame_size: int
    hours: float
    chosen: Option
    frontier: tuple[Option, ...]
    domains: tuple[Domain, ...]
    by: str
    target: float
    unknown_cells: float  # share of the cells that will stay unknown
    advice: str


def make_plan(
    frame: pl.DataFrame,
    budget: int,
    *,
    kappa: float,
    floor: float,
    cell_floor: float,
    cells: Sequence[str],
    by: str,
    minutes_per_case: float,
    target: float = 0.01,
) -> Plan:
    """What to expect from drawing `budget` decisions of `frame` (see `evenhand.batches.draw.scored_frame`).

    `reviews_for_target` aims at the half-width `target`. Raises SampleError for a budget outside 1 to the
    frame's size.
    """
    p = frame["p_overturn"].to_numpy()
    if not 1 <= budget <= len(p):
        raise SampleError(f"a budget of {budget:,} for a frame of {len(p):,} decisions; give 1 to {len(p):,}")
    cell = codes(frame, cells)
    design = Design(p, budget, floor=floor, cell_floor=cell_floor, cell=cell)
    options = []
    for allowed in sorted({*KAPPAS, kappa}):
        phi = design.phi(allowed) if allowed else 0.0
        options.append(_option(p, design.probabilities(phi), allowed, phi))
    chosen = next(option for option in options if option.kappa == kappa)
    pi = design.probabilities(chosen.phi)
    variance = (1 - pi) / pi * _uncertain(p)
    return Plan(
        budget=budget,
        frame_size=len(p),
        hours=budget * minutes_per_case / 60,
        chosen=chosen,
        frontier=tuple(options),
        domains=_domains(*_named(frame, by), p, pi, variance, budget, target),
        by=by,
        target=target,
        unknown_cells=_unknown(cell, p, pi, variance),
        advice=_advice(chosen, p),
    )


def _uncertain(p: Floats) -> Floats:
    y = believed(p, float(p.mean()))
    return np.asarray(y * (1 - y))


def _named(frame: pl.DataFrame, by: str) -> tuple[list[str], Ints]:
    """The values of a column, and for each row the index of its value."""
    code = codes(frame, [by])
    first = np.unique(code, return_index=True)[1]
    return frame[by][first].cast(pl.String).fill_null("(none)").to_list(), code


def _half_width(variance: float) -> float:
    return float(norm.ppf(0.975) * np.sqrt(variance))


def _option(p: Floats, pi: Floats, kappa: float, phi: float) -> Option:
    n, mean = float(pi.sum()), float(p.mean())
    return Option(
        kappa=kappa,
        phi=phi,
        errors=float((pi * p).sum()),
        errors_random=n * mean,
        half_width=_half_width(float(((1 - pi) / pi * _uncertain(p)).sum()) / len(p) ** 2),
        half_width_random=_half_width(mean * (1 - mean) / n * (1 - n / len(p)) if n < len(p) else 0.0),
    )


def _effective(code: Ints, p: Floats, variance: Floats) -> tuple[Floats, Floats, Floats]:
    """The expected rate of each domain, its variance, and the equivalent reviews.

    Equivalent reviews: the size of a random draw with the same variance.
    """
    size = np.bincount(code).astype(float)
    mean = believed(np.bincount(code, p) / size, float(p.mean()))
    of_mean = np.bincount(code, variance) / size**2
    return mean, of_mean, mean * (1 - mean) / np.maximum(of_mean, 1e-300)


def _unknown(cell: Ints, p: Floats, pi: Floats, variance: Floats) -> float:
    """Share of the cells that will stay unknown."""
    measured = (_effective(cell, p, variance)[2] >= ENOUGH) & (np.bincount(cell, pi) >= RULED)
    return float(1 - np.mean(measured))


def _domains(
    labels: Sequence[str], code: Ints, p: Floats, pi: Floats, terms: Floats, budget: int, target: float
) -> tuple[Domain, ...]:
    size, reviews = np.bincount(code), np.bincount(code, pi)
    mean, variance, n_eff = _effective(code, p, terms)
    rows = []
    for i in sorted(range(len(labels)), key=lambda place: labels[place]):
        half = _half_width(float(variance[i]))
        rows.append(
            Domain(
                name=labels[i],
                decisions=int(size[i]),
                reviews=float(reviews[i]),
                expected_rate=float(mean[i]),
                half_width=half,
                measured=bool(n_eff[i] >= ENOUGH and reviews[i] >= RULED),
                reviews_for_target=min(int(np.ceil(budget * (half / target) ** 2)), len(p)),
            )
        )
    return tuple(rows)


def _advice(chosen: Option, p: Floats) -> str:
    if p.max() - p.min() < 1e-9:
        return "all scores are equal: the model tells nothing apart, and the draw is as good as a random one"
    if chosen.yield_ratio < _HELPS and chosen.width_ratio > _NARROWS:
        return "the model will hardly help: it finds about as many errors as a random draw, with an interval as wide"
    return (
        f"about {chosen.yield_ratio:.1f} times the errors of a random draw, with an interval"
        f" {chosen.width_ratio:.2f} times as wide"
    )
