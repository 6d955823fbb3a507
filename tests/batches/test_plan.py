"""Tests the plan of a draw: what it says is what the draw finds."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from evenhand.batches.plan import make_plan
from evenhand.errors import SampleError
from evenhand.statistics.design import Design
from evenhand.statistics.draw import pareto_draw
from evenhand.statistics.estimator import domain_totals, estimates

OPTIONS: dict[str, Any] = {
    "kappa": 1.0,
    "floor": 0.35,
    "cell_floor": 0.5,
    "cells": ("market", "area"),
    "by": "market",
    "minutes_per_case": 1.5,
}


def a_frame(n: int = 6_000, spread: float = 1.6, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-(-3.4 + spread * rng.normal(0, 1, n))))
    return pl.DataFrame(
        {
            "p_overturn": p,
            "market": rng.choice(["ID", "TH", "US"], n, p=[0.6, 0.3, 0.1]),
            "area": rng.choice(["spam", "privacy"], n),
        }
    )


def test_the_plan_keeps_its_word():
    """Over many draws, the batch finds what the plan said, with an interval about as wide."""
    frame = a_frame()
    plan = make_plan(frame, 300, **OPTIONS)
    p, rng = frame["p_overturn"].to_numpy(), np.random.default_rng(1)
    cell = frame.select(pl.struct("market", "area").rank("dense")).to_series().to_numpy().astype(np.int64)
    phi = Design(p, 300, cell=cell).phi(1.0)
    pi = Design(p, 300, cell=cell).probabilities(phi)
    found, widths = [], []
    for _ in range(150):
        y = (rng.random(len(p)) < p).astype(float)
        drawn = pareto_draw(pi, rng.random(len(p)))
        estimate = estimates(domain_totals(p, pi, drawn, y[drawn]))[0]
        found.append(y[drawn].sum())
        widths.append((estimate.high - estimate.low) / 2)
    assert plan.chosen.phi == phi
    assert np.mean(found) == pytest.approx(plan.chosen.errors, rel=0.05)
    assert np.mean(widths) == pytest.approx(plan.chosen.half_width, rel=0.2)


def test_the_frontier_trades_width_for_errors():
    frontier = make_plan(a_frame(), 300, **OPTIONS).frontier
    assert [option.kappa for option in frontier] == sorted(option.kappa for option in frontier)
    errors = [option.errors for option in frontier]
    assert errors == sorted(errors) and frontier[-1].half_width > frontier[0].half_width
    assert frontier[0].phi == 0 and all(option.yield_ratio >= 1 for option in frontier)


def test_a_useless_model_is_called_so():
    flat = a_frame().with_columns(p_overturn=pl.lit(0.05))
    assert "as good as a random one" in make_plan(flat, 300, **OPTIONS).advice
    assert "hardly help" in make_plan(a_frame(spread=0.05), 300, **OPTIONS).advice


def test_small_markets_cost_more_and_cells_without_enough_stay_unknown():
    plan = make_plan(a_frame(), 200, **OPTIONS)
    needed = {row.name: row.reviews_for_target for row in plan.domains}
    assert needed["US"] > needed["ID"] > 200
    assert sum(row.reviews for row in plan.domains) == pytest.approx(200)
    few = make_plan(a_frame(), 20, **OPTIONS)
    assert few.unknown_cells > plan.unknown_cells
    assert plan.hours == pytest.approx(5.0)


@pytest.mark.parametrize("budget", [0, 6_001])
def test_a_budget_outside_the_frame_is_refused(budget):
    with pytest.raises(SampleError, match="give 1 to 6,000"):
        make_plan(a_frame(), budget, **OPTIONS)


def test_everything_reviewed_leaves_nothing_to_chance():
    plan = make_plan(a_frame(300), 300, **OPTIONS)
    assert plan.chosen.half_width == 0 and all(row.measured for row in plan.domains)
