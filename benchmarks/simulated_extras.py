"""Simulates what the plain simulation leaves out.

That is modelled cells, SMEs who err, half-done batches, clustered errors and daily looks.

Each extra draws with kappa = 1 and reports how often its interval covers, and how wide it is relative to its
reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.special import expit, logit
from simulated_draws import random_draws
from simulated_week import CELLS, DOMAINS, Floats, Ints, Population

from evenhand.statistics.design import Design
from evenhand.statistics.draw import pareto_draw, partial_probabilities
from evenhand.statistics.estimator import Estimate, Totals, domain_totals, estimates
from evenhand.statistics.intervals import wilson_rate
from evenhand.statistics.repeated_looks import daily_confidence
from evenhand.statistics.second_phase import panel_chance, second_phase
from evenhand.statistics.small_area import in_bins, modelled_rates

DAYS = 84  # twelve weeks of daily looks
SENSITIVITY, SPECIFICITY = 0.90, 0.98  # of the erring SME
MODERATORS, SPREAD = 300, 1.0  # how many, and the standard deviation of their log-odds of error
VIRAL = 0.01  # share of the decisions that are about one item, which everybody got wrong
Result = dict[str, float]


def _result(found: list[Estimate], truth: float, **more: float) -> Result:
    """Coverage and half-width of estimates of one truth."""
    return {
        "coverage": float(np.mean([e.low <= truth <= e.high for e in found])),
        "half_width": float(np.mean([(e.high - e.low) / 2 for e in found])),
        **more,
    }


def _drawn(week: Population, n: int) -> Floats:
    design = Design(week.p, n, cell=week.cell)
    return design.probabilities(design.phi(1.0))


def modelled_cells(week: Population, n: int, reps: int, rng: np.random.Generator) -> Result:
    """Every cell's rate from the hierarchical model.

    Reference: Wilson's interval of the same cells in random samples.
    """
    pi, truth = _drawn(week, n), week.truth(DOMAINS["cell"])
    cells = in_bins(week.p, week.cell, market=DOMAINS["market"], area=DOMAINS["policy"])
    covered, widths, usual = [], [], []
    for _ in range(reps):
        s = pareto_draw(pi, rng.random(len(pi)))
        _, low, high = modelled_rates(cells, week.p[s], week.cell[s], week.y[s])
        covered.append((low <= truth) & (truth <= high))
        widths.append((high - low).mean() / 2)
        r = rng.choice(len(pi), n, replace=False, shuffle=False)
        reviewed = np.bincount(week.cell[r], minlength=CELLS)
        low, high = wilson_rate(
            np.bincount(week.cell[r], week.y[r], CELLS) / np.maximum(reviewed, 1), reviewed
        )
        usual.append((high - low).mean() / 2)
    by_cell = np.mean(covered, axis=0)
    return {
        "coverage": float(by_cell.mean()),
        "half_width": float(np.mean(widths)),
        "reference": float(np.mean(usual)),
        "coverage_below_1_percent": float(by_cell[truth < 0.01].mean())
        if (truth < 0.01).any()
        else float("nan"),
        "coverage_of_worst_cell": float(by_cell.min()),
    }


def erring_smes(week: Population, n: int, reps: int, rng: np.random.Generator) -> Result:
    """SMEs miss errors and see errors where there are none; a panel checks a part.

    Reference: random samples, ruled by SMEs that never err.
    """
    pi, truth = _drawn(week, n), float(week.y.mean())
    corrected, plain, asked_in_all = [], [], 0
    for _ in range(reps):
        s = pareto_draw(pi, rng.random(len(pi)))
        y, p = week.y[s], week.p[s]
        said = np.where(y > 0, rng.random(n) < SENSITIVITY, rng.random(n) > SPECIFICITY)
        chance = panel_chance(p, pi[s])
        asked = said | (rng.random(n) < chance)
        phase = second_phase(said, chance, asked, asked, y)
        corrected.append(estimates(domain_totals(week.p, pi, s, said.astype(float), second=phase))[0])
        plain.append(estimates(domain_totals(week.p, pi, s, said.astype(float)))[0])
        asked_in_all += int(asked.sum())
    usual = random_draws(week, n, reps, rng)["overall"]["half_width"]
    return _result(
        corrected,
        truth,
        reference=usual,
        coverage_uncorrected=_result(plain, truth)["coverage"],
        panel_per_100=100 * asked_in_all / (n * reps),
    )


def half_done(week: Population, n: int, reps: int, rng: np.random.Generator) -> Result:
    """The first half of the queue is ruled on. Reference: random samples of that half's size."""
    pi, truth, half = _drawn(week, n), float(week.y.mean()), n // 2
    found, fresh = [], {}
    for _ in range(reps):
        s = pareto_draw(pi, rng.random(len(pi)))[:half]
        certain = int((pi[s] >= 1).sum())
        if certain not in fresh:
            fresh[certain] = partial_probabilities(pi, sampled=half - certain, certain=certain)
        found.append(estimates(domain_totals(week.p, fresh[certain], s, week.y[s]))[0])
    return _result(found, truth, reference=random_draws(week, half, reps, rng)["overall"]["half_width"])


def clustered_errors(week: Population, n: int, reps: int, rng: np.random.Generator) -> Result:
    """Some moderators err more often, and one viral item was always decided wrongly.

    Reference: random samples of the same week.
    """
    moderator = rng.integers(0, MODERATORS, len(week.p))
    q = expit(logit(np.clip(week.q, 1e-6, 1 - 1e-6)) + SPREAD * rng.normal(size=MODERATORS)[moderator])
    viral = rng.random(len(week.p)) < VIRAL
    item = np.where(viral, 0, np.arange(1, len(week.p) + 1))
    y = np.where(viral, 1.0, rng.random(len(q)) < q)
    week = replace(week, p=np.where(viral, week.p.mean(), week.p), q=np.where(viral, 1.0, q), y=y)
    pi, truth = _drawn(week, n), float(y.mean())
    found, plain = [], []
    for _ in range(reps):
        s = pareto_draw(pi, rng.random(len(pi)))
        found.append(estimates(domain_totals(week.p, pi, s, y[s], clusters=(moderator[s], item[s])))[0])
        plain.append(estimates(domain_totals(week.p, pi, s, y[s]))[0])
    usual = random_draws(week, n, reps, rng)["overall"]["half_width"]
    alone = _result(plain, truth)
    return _result(
        found,
        truth,
        reference=usual,
        coverage_unclustered=alone["coverage"],
        width_ratio_unclustered=alone["half_width"] / usual,
    )


def daily_looks(week: Population, n: int, reps: int, rng: np.random.Generator) -> Result:
    """A batch of n / 7 every day for twelve weeks, with a look every day.

    Reference: our one-look interval on the last day.
    """
    days = [part for part in np.array_split(rng.permutation(len(week.p)), DAYS)]
    truth = np.cumsum([week.y[day].sum() for day in days]) / np.cumsum([len(day) for day in days])
    levels = [daily_confidence(day) for day in range(1, DAYS + 1)]
    chances = [_drawn(replace(week, p=week.p[day], cell=_dense(week.cell[day])), n // 7) for day in days]
    held: list[bool] = []
    naive: list[bool] = []
    widths: list[float] = []
    usual: list[float] = []
    for _ in range(reps):
        totals: Totals | None = None
        daily: list[bool] = []
        once: list[bool] = []
        for day, pi, level, true in zip(days, chances, levels, truth, strict=True):
            s = pareto_draw(pi, rng.random(len(pi)))
            today = domain_totals(week.p[day], pi, s, week.y[day][s])
            totals = today if totals is None else totals + today
            for confidence, holds in (level, daily), (0.95, once):
                e = estimates(totals, confidence=confidence)[0]
                holds.append(e.low <= true <= e.high)
                (widths if holds is daily else usual).append((e.high - e.low) / 2)
        held.append(all(daily))
        naive.append(all(once))
    return {
        "coverage": float(np.mean(held)),
        "coverage_naive": float(np.mean(naive)),
        "half_width": float(np.mean(widths[DAYS - 1 :: DAYS])),
        "reference": float(np.mean(usual[DAYS - 1 :: DAYS])),
    }


def _dense(code: Ints) -> Ints:
    return np.unique(code, return_inverse=True)[1].astype(np.int64)


#: Name -> what to run, and what its width is relative to.
EXTRAS: dict[str, tuple[Callable[[Population, int, int, np.random.Generator], Result], str]] = {
    "modelled cells": (modelled_cells, "Wilson, the same cells in random samples"),
    "erring SMEs": (erring_smes, "random samples with SMEs that never err"),
    "half-done batch": (half_done, "random samples of half the size"),
    "clustered errors": (clustered_errors, "random samples of the same week"),
    "daily looks": (daily_looks, "one look on the last day"),
}
