"""Tests that a change is called real only if the interval of the difference excludes zero.

By chance that happens as seldom as promised.
"""

import numpy as np
import pytest

from evenhand.statistics.change import change
from evenhand.statistics.estimator import Estimate, domain_totals, estimates


def an_estimate(**changes):
    fields = {
        "rate": 0.05,
        "low": 0.03,
        "high": 0.08,
        "n_reviewed": 300,
        "n_eff": 300.0,
        "errors_found": 15,
        "population": 9_000,
        "method": "logit-t",
        "status": "measured",
    }
    return Estimate(**{**fields, **changes})


def after(reviews, wrong, population=100_000):
    """The estimate of a plain random sample."""
    p = np.full(population, wrong / reviews)
    y = (np.arange(reviews) < wrong).astype(float)
    totals = domain_totals(p, np.full(population, reviews / population), np.arange(reviews), y)
    return estimates(totals)[0]


def test_a_clear_change_is_real_in_both_directions():
    low, high = after(800, 20), after(800, 90)
    up, down = change(low, high), change(high, low)
    assert up.real and up.verdict == "real" and up.low > 0
    assert down.difference == -up.difference and (down.low, down.high) == (-up.high, -up.low) and down.real


def test_a_small_change_is_within_noise():
    found = change(after(400, 20), after(400, 24))
    assert found.low < 0 < found.high and not found.real and found.verdict == "within noise"
    assert str(found).startswith("within noise: +1.0 points (")


def test_what_is_not_known_yet_never_changed_for_real():
    thin = an_estimate(rate=0.6, low=0.4, high=0.8, n_reviewed=6, n_eff=6.0, status="unknown")
    found = change(an_estimate(), thin)
    assert found.low > 0 and not found.real and found.verdict == "not known yet"
    empty = an_estimate(low=0.0, high=1.0, n_reviewed=0, n_eff=0.0, status="unknown")
    assert (change(an_estimate(), empty).low, change(an_estimate(), empty).high) == (-1.0, 1.0)


def test_two_censuses_differ_exactly():
    a = an_estimate(rate=0.05, low=0.05, high=0.05, n_eff=None, method="census")
    b = an_estimate(rate=0.06, low=0.06, high=0.06, n_eff=None, method="census")
    assert change(a, b).real and change(a, b).low == pytest.approx(0.01)
    assert not change(a, a).real


def test_the_interval_of_a_change_covers_as_often_as_promised():
    rng = np.random.default_rng(11)
    covered, alarms = [], []
    for _ in range(400):
        first, second, third = (after(500, max(int(rng.binomial(500, r)), 1)) for r in (0.04, 0.04, 0.07))
        covered.append(change(first, third).low <= 0.03 <= change(first, third).high)
        alarms.append(change(first, second).real)
    assert np.mean(covered) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 400)
    assert np.mean(alarms) < 0.05 + 4 * np.sqrt(0.95 * 0.05 / 400)
