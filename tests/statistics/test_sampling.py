"""Tests the promises of a draw: budget, range, reproducibility, prefixes."""

import numpy as np
import polars as pl
import pytest
from builders import hashed_uniform
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.commands.demo import held_again
from evenhand.errors import SampleError
from evenhand.statistics.design import Design
from evenhand.statistics.draw import pareto_draw, partial_probabilities

scores = st.lists(st.floats(0, 1), min_size=2, max_size=60).map(np.array)


@settings(max_examples=200, deadline=None)
@given(p=scores, share=st.floats(0, 1), phi=st.sampled_from([0.0, 0.3, 0.7]), cells=st.integers(1, 5))
def test_probabilities_sum_to_the_budget_and_lie_in_range(p, share, phi, cells):
    n = max(1, int(share * len(p)))
    pi = Design(p, n, cell=np.arange(len(p)) % cells).probabilities(phi)
    assert pi.sum() == pytest.approx(n)
    assert (pi > 0).all() and (pi <= 1).all()


@settings(max_examples=50, deadline=None)
@given(p=scores, seed=st.integers(0, 99))
def test_row_order_does_not_change_the_draw(p, seed):
    ids = np.array([f"d{i}" for i in range(len(p))])
    n = max(1, len(p) // 3)

    def drawn(order):
        pi = Design(p[order], n).probabilities(0.0)
        return {ids[order][i] for i in pareto_draw(pi, hashed_uniform(str(seed), list(ids[order])))}

    distinct = np.unique(p).size == p.size
    order = np.random.default_rng(seed).permutation(len(p))
    assert len(drawn(order)) == n
    if distinct:
        assert drawn(np.arange(len(p))) == drawn(order)


def test_the_draw_has_the_exact_size_and_takes_certain_units():
    rng = np.random.default_rng(1)
    p = rng.beta(1, 20, 5_000)
    pi = Design(p, 300).probabilities(0.3)
    chosen = pareto_draw(pi, rng.random(5_000))
    assert len(chosen) == len(set(chosen)) == 300
    assert set(np.flatnonzero(pi >= 1)) <= set(chosen)


def test_units_are_drawn_as_often_as_promised():
    rng = np.random.default_rng(2)
    p = rng.beta(1, 9, 200)
    pi = Design(p, 40).probabilities(0.2)
    hits = np.zeros(200)
    for _ in range(3_000):
        hits[pareto_draw(pi, rng.random(200))] += 1
    error = (hits / 3_000 - pi) / np.sqrt(np.maximum(pi * (1 - pi), 1e-9) / 3_000)
    assert np.abs(error[pi < 1]).mean() < 1.2 and (hits[pi >= 1] == 3_000).all()


def test_certain_cases_are_spread_over_the_queue():
    pi = np.array([1.0] * 10 + [0.5] * 20)
    queue = pareto_draw(pi, np.random.default_rng(3).random(30))
    assert 3 <= sum(i < 10 for i in queue[:10]) <= 7


def test_a_first_part_of_the_queue_has_probabilities_that_sum_to_it():
    p = np.random.default_rng(4).beta(1, 9, 1_000)
    pi = Design(p, 200).probabilities(0.3)
    certain = int((pi >= 1).sum())
    part = partial_probabilities(pi, sampled=50, certain=certain // 2)
    assert part[pi < 1].sum() == pytest.approx(50)
    assert part[pi >= 1] == pytest.approx((certain // 2) / certain)
    whole = partial_probabilities(pi, sampled=200 - certain, certain=certain)
    assert whole == pytest.approx(pi, abs=1e-9)


def test_more_width_allowed_means_more_hunting():
    p = np.random.default_rng(5).beta(0.3, 6, 20_000)
    assert Design(p, 500).phi(1.25) >= Design(p, 500).phi(1.0) >= 0.0
    assert Design(p, 500).phi(1.5) > 0


@pytest.mark.parametrize("n", [0, -1, 11])
def test_a_budget_that_does_not_fit_is_refused(n):
    with pytest.raises(SampleError, match="frame of 10 decisions"):
        Design(np.full(10, 0.1), n).probabilities(0.0)


@pytest.mark.parametrize("p", [np.zeros(10), np.ones(10), np.full(10, 0.3), np.array([0.0, 1.0] * 5)])
@pytest.mark.parametrize("n", [1, 5, 10])
def test_extreme_scores_still_give_a_valid_design(p, n):
    pi = Design(p, n).probabilities(Design(p, n).phi(1.0))
    assert pi.sum() == pytest.approx(n) and (pi > 0).all()
    assert len(pareto_draw(pi, hashed_uniform("s", [str(i) for i in range(10)]))) == n


def test_a_missing_score_is_refused():
    with pytest.raises(SampleError, match="score the decisions again"):
        Design(np.array([0.1, np.nan]), 1).probabilities(0.0)


def test_hashed_numbers_are_uniform_and_the_same_everywhere():
    u = hashed_uniform("7|None|None", [f"d{i}" for i in range(20_000)])
    assert u.min() > 0 and u.max() < 1 and abs(u.mean() - 0.5) < 0.01
    assert hashed_uniform("1", ["x"]) != hashed_uniform("2", ["x"])


def test_the_demo_counts_how_many_draws_of_its_frame_hold_the_planted_rate():
    rng = np.random.default_rng(11)
    p = rng.beta(0.4, 5, 4_000)
    design = Design(p, 150)
    frame = pl.DataFrame(
        {"p_overturn": p, "pi": design.probabilities(design.phi(1.0)), "wrong": rng.random(4_000) < p}
    )
    assert 182 <= held_again(frame, 200, rng) <= 200
