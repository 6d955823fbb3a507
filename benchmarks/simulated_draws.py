"""Draws and estimates on a simulated week: coverage and width of intervals, and errors found."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from simulated_week import CELLS, DOMAINS, Floats, Population

from evenhand.statistics import estimator as estimation
from evenhand.statistics.design import Design
from evenhand.statistics.draw import pareto_draw
from evenhand.statistics.estimator import Estimate, domain_totals, estimates
from evenhand.statistics.intervals import wilson_rate

Bools = NDArray[np.bool_]
KAPPAS: dict[str, float | None] = {"kappa1": 1.0, "kappa1.25": 1.25, "measure": None}  # None: phi = 0
MEASURES = (
    "coverage",
    "half_width",
    "bias",
    "rmse",
    "direct",
    "truth_above",
    "measured",
    "measured_covered",
)


class Tally:
    """Adds up coverage, width and errors of one design, by kind of domain."""

    def __init__(self, truths: dict[str, Floats]) -> None:
        self.truths = truths
        self.rows: dict[str, list[list[float]]] = {name: [] for name in truths}
        self.found: list[float] = []

    def add(
        self, kind: str, rate: Floats, low: Floats, high: Floats, reviewed: Floats, measured: Bools
    ) -> None:
        """Add one draw: coverage over the domains with a review, width and errors over all domains."""
        truth, direct = self.truths[kind], reviewed > 0
        covered = (low <= truth + 1e-12) & (truth <= high + 1e-12)
        off = rate - truth
        self.rows[kind].append(
            [
                float(covered[direct].mean()),
                float((high - low).mean() / 2),
                float(off.mean()),
                float((off**2).mean()),
                float(direct.mean()),
                float((truth > high)[direct].mean()),
                float(measured.mean()),
                float((covered & measured).mean()),
            ]
        )

    def add_estimates(self, kind: str, found: list[Estimate]) -> None:
        """Add the estimates of one draw, one per domain."""
        rate, low, high = np.array([(e.rate, e.low, e.high) for e in found]).T
        reviewed = np.array([e.n_reviewed for e in found])
        self.add(kind, rate, low, high, reviewed, np.array([e.status == "measured" for e in found]))

    def result(self) -> dict[str, Any]:
        """Means over the draws."""
        out: dict[str, Any] = {"found": float(np.mean(self.found))}
        for kind, rows in self.rows.items():
            means = dict(zip(MEASURES, np.mean(rows, axis=0).tolist(), strict=True))
            out[kind] = means | {"rmse": means["rmse"] ** 0.5}
        return out


def random_draws(week: Population, n: int, reps: int, rng: np.random.Generator) -> dict[str, Any]:
    """The reference: simple random samples with Wilson's interval."""
    tally = Tally({kind: week.truth(domain) for kind, domain in DOMAINS.items()})
    for _ in range(reps):
        s = rng.choice(len(week.p), n, replace=False, shuffle=False)
        tally.found.append(float(week.y[s].sum()))
        for kind, domain in DOMAINS.items():
            code, domains = domain[week.cell[s]], int(domain.max()) + 1
            reviewed = np.bincount(code, minlength=domains).astype(float)
            rate = np.bincount(code, week.y[s], domains) / np.maximum(reviewed, 1)
            low, high = wilson_rate(rate, reviewed)
            tally.add(kind, rate, low, high, reviewed, reviewed >= estimation.ENOUGH)
    return tally.result()


def designed_draws(
    week: Population, n: int, reps: int, kappa: float | None, rng: np.random.Generator
) -> dict[str, Any]:
    """Evenhand's own draws and estimates; with `kappa` None, no case is taken only for its score."""
    design = Design(week.p, n, cell=week.cell)
    phi = 0.0 if kappa is None else design.phi(kappa)
    pi = design.probabilities(phi)
    tally = Tally({kind: week.truth(domain) for kind, domain in DOMAINS.items()})
    for _ in range(reps):
        s = pareto_draw(pi, rng.random(len(pi)))
        y = week.y[s]
        tally.found.append(float(y.sum()))
        cells = domain_totals(week.p, pi, s, y, domain=week.cell, domains=CELLS)
        for kind, domain in DOMAINS.items():
            tally.add_estimates(kind, estimates(cells.grouped(domain, int(domain.max()) + 1)))
    return tally.result() | {"phi": phi, "pi_min": float(pi.min())}
