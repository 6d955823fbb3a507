"""Tests the metrics at their limits: a perfect ranker, chance, perfect calibration, no errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.compare.metrics import METRICS, bootstrap, ece, evaluate, lift_at

WRONG = np.array([1.0] * 10 + [0.0] * 190)


def test_a_perfect_ranker_scores_as_high_as_can_be():
    found = evaluate(WRONG, np.where(WRONG == 1, 0.9, 0.1))
    assert found["ap"] == found["auroc"] == 1.0
    assert found["lift_at_5"] == pytest.approx(20) and found["lift_at_1"] == pytest.approx(20)
    assert found["lift_at_10"] == pytest.approx(10)


def test_a_ranker_that_knows_nothing_scores_like_chance():
    found = evaluate(WRONG, np.full(200, 0.05))
    assert found["ap"] == pytest.approx(0.05)
    assert found["auroc"] == pytest.approx(0.5)
    assert found["lift_at_5"] == pytest.approx(1)
    assert found["ece"] < 0.06 and found["brier"] == pytest.approx(0.0475)


def test_a_probability_that_means_what_it_says_has_no_calibration_error():
    p = np.repeat([0.1, 0.5], 500)
    wrong = np.concatenate([np.tile([1] + [0] * 9, 50), np.tile([1, 0], 250)]).astype(float)
    assert ece(wrong, p, bins=2) < 1e-12
    assert ece(wrong, 1 - p, bins=2) > 0.3


def test_no_errors_say_nothing_instead_of_zero():
    found = evaluate(np.zeros(50), np.linspace(0, 1, 50))
    assert found["ap"] is None and found["auroc"] is None and found["lift_at_5"] is None
    assert found["error_rate"] == 0.0


@given(st.integers(0, 10_000))
def test_row_order_changes_no_metric(seed):
    rng = np.random.default_rng(seed)
    p, wrong = rng.random(60).round(1), (rng.random(60) < 0.3).astype(float)
    order = rng.permutation(60)
    for name, metric in METRICS.items():
        assert metric(wrong, p) == pytest.approx(metric(wrong[order], p[order]), nan_ok=True), name


def test_lift_shares_ties():
    assert lift_at(np.array([1.0, 0, 0, 0]), np.ones(4), 0.5) == pytest.approx(1)


def test_intervals_hold_the_value_and_widen_when_rows_hang_together():
    rng = np.random.default_rng(1)
    p = rng.random(400)
    wrong = (rng.random(400) < p * 0.4).astype(float)
    alone = bootstrap(wrong, p, np.arange(400), rng=np.random.default_rng(2))
    tied = bootstrap(wrong, p, np.repeat(np.arange(40), 10), rng=np.random.default_rng(2))
    low, high = alone["auroc"]
    assert low < evaluate(wrong, p)["auroc"] < high
    doubled = bootstrap(
        np.repeat(wrong, 5), np.repeat(p, 5), np.repeat(np.arange(400), 5), rng=np.random.default_rng(2)
    )
    naive = bootstrap(np.repeat(wrong, 5), np.repeat(p, 5), np.arange(2000), rng=np.random.default_rng(2))
    assert doubled["auroc"][1] - doubled["auroc"][0] > 1.5 * (naive["auroc"][1] - naive["auroc"][0])
    assert set(tied) == set(METRICS)
