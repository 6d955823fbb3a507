"""Tests the estimator: it is right on average, its interval covers, and it refuses what it cannot know."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from statsmodels.stats.proportion import proportion_confint

from evenhand.errors import EstimateError
from evenhand.statistics.design import Design
from evenhand.statistics.draw import pareto_draw
from evenhand.statistics.estimator import Estimate, domain_totals, estimates, recalibrate
from evenhand.statistics.intervals import mover, wilson


@given(n=st.integers(1, 500), share=st.floats(0, 1))
def test_wilson_equals_statsmodels(n, share):
    wrong = int(share * n)
    assert wilson(wrong, n) == pytest.approx(proportion_confint(wrong, n, method="wilson"), abs=1e-12)


def test_wilson_without_reviews_is_refused():
    with pytest.raises(EstimateError, match="review at least one case"):
        wilson(0, 0)


def a_population(rng, n=8_000, skill=1.5):
    """Scores and errors: `skill` is the spread of the log-odds."""
    q = expit(logit(0.05) + skill * rng.normal(size=n) - skill**2 / 4)
    return q, (rng.random(n) < q).astype(float)


def test_constant_probability_gives_the_plain_difference_estimator():
    rng = np.random.default_rng(1)
    p, y = a_population(rng)
    sample = rng.choice(len(p), 400, replace=False)
    totals = domain_totals(p, np.full(len(p), 400 / len(p)), sample, y[sample], calibration=(0.0, 1.0))
    plain = p.mean() + (y[sample] - p[sample]).mean()
    assert (totals.model[0] + totals.residual[0]) / len(p) == pytest.approx(plain, abs=1e-12)


def test_a_census_is_exact():
    rng = np.random.default_rng(2)
    p, y = a_population(rng, 300)
    found = estimates(domain_totals(p, np.ones(300), np.arange(300), y))[0]
    assert found.rate == found.low == found.high == y.mean() and found.method == "census"


def test_the_estimate_is_unbiased_even_when_the_score_is_worthless():
    rng = np.random.default_rng(3)
    _, y = a_population(rng)
    p = rng.random(len(y))
    pi = Design(p, 400).probabilities(0.3)
    rates = []
    for _ in range(800):
        s = pareto_draw(pi, rng.random(len(p)))
        t = domain_totals(p, pi, s, y[s])
        rates.append((t.model[0] + t.residual[0]) / len(p))
    assert abs(np.mean(rates) - y.mean()) < 3.5 * np.std(rates) / np.sqrt(len(rates)) + 5e-4


def test_union_of_domains_equals_the_whole_and_row_order_is_nothing():
    rng = np.random.default_rng(4)
    p, y = a_population(rng)
    pi = Design(p, 300).probabilities(0.0)
    s = pareto_draw(pi, rng.random(len(p)))
    code = rng.integers(0, 5, len(p))
    whole = domain_totals(p, pi, s, y[s])
    parts = domain_totals(p, pi, s, y[s], domain=code, domains=5)
    for name in ("population", "model", "residual", "v", "found", "anticipated"):
        assert getattr(parts, name).sum() == pytest.approx(getattr(whole, name)[0])
    order = rng.permutation(len(p))
    back = np.argsort(order)
    moved = domain_totals(p[order], pi[order], back[s], y[s])
    assert estimates(moved)[0].rate == pytest.approx(estimates(whole)[0].rate)


def test_pooling_disjoint_frames_is_an_addition():
    rng = np.random.default_rng(5)
    results = []
    for _ in range(2):
        p, y = a_population(rng, 3_000)
        pi = Design(p, 200).probabilities(0.0)
        s = pareto_draw(pi, rng.random(len(p)))
        results.append((domain_totals(p, pi, s, y[s]), len(p)))
    pooled = estimates(results[0][0] + results[1][0])[0]
    each = [estimates(t)[0].rate for t, _ in results]
    assert pooled.rate == pytest.approx(np.mean(each)) and pooled.n_reviewed == 400


@pytest.mark.parametrize("pi", [0.0, np.nan, 1.5])
def test_a_top_list_without_probabilities_is_refused(pi):
    p = np.linspace(0, 1, 50)
    inclusion = np.full(50, 0.2)
    inclusion[3] = pi
    with pytest.raises(EstimateError, match="only a draw made by"):
        domain_totals(p, inclusion, np.array([1, 2]), np.zeros(2))


def test_thin_evidence_is_called_unknown():
    p = np.full(1_000, 0.05)
    pi = np.full(1_000, 0.01)
    found = estimates(domain_totals(p, pi, np.arange(10), np.zeros(10)))[0]
    assert found.status == "unknown" and found.reviews_needed >= 15
    assert "not known yet" in str(found)
    nothing = estimates(domain_totals(p, pi, np.array([], int), np.array([])))[0]
    assert (nothing.n_reviewed, nothing.low, nothing.high, nothing.method) == (0, 0.0, 1.0, "none")


def test_a_sure_model_does_not_replace_rulings():
    """All likely errors are reviewed and the model is sure of the rest: ten rulings look like many."""
    p = np.r_[np.full(10, 0.9), np.full(290, 0.0005), np.full(20_000, 0.01)]
    pi = np.r_[np.ones(10), np.full(20_290, 0.025)]
    cell = np.r_[np.zeros(300, int), np.ones(20_000, int)]
    s = np.r_[np.arange(10), np.arange(300, 700)]
    y = np.r_[np.ones(9), 0.0, np.arange(400) % 50 == 0].astype(float)
    few, many = estimates(domain_totals(p, pi, s, y, domain=cell, domains=2))
    assert few.n_reviewed == 10 and few.n_eff >= 30
    assert few.status == "unknown" and few.reviews_needed == 5
    assert many.status == "measured"


def test_an_impossible_class_gets_no_model_mass():
    rng = np.random.default_rng(6)
    p, y = a_population(rng, 2_000)
    possible = rng.random(2_000) < 0.3
    totals = domain_totals(p, np.ones(2_000), np.arange(2_000), y * possible, possible=possible)
    assert totals.model[0] + totals.residual[0] == pytest.approx((y * possible).sum())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-8, 8), st.booleans(), st.floats(0.1, 50)), min_size=1, max_size=40))
def test_recalibration_always_ends_in_finite_numbers(rows):
    x, y, w = (np.array(c, float) for c in zip(*rows, strict=True))
    assert np.isfinite(recalibrate(x, y, w)).all()


def test_an_estimate_speaks():
    e = Estimate(
        rate=0.082,
        low=0.06,
        high=0.11,
        n_reviewed=300,
        n_eff=400.0,
        errors_found=90,
        population=9,
        method="logit-t",
        status="measured",
    )
    assert str(e) == "8.2% (6.0% to 11.0%, 300 reviewed)"


def test_change_between_two_periods():
    change, low, high = mover((0.05, 0.03, 0.08), (0.09, 0.06, 0.13))
    assert (
        change == pytest.approx(0.04)
        and low < change < high
        and low == pytest.approx(0.04 - np.hypot(0.03, 0.03))
    )


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["calibrated", "overconfident", "blind"])
def test_the_interval_covers_as_often_as_promised(scenario):
    rng = np.random.default_rng(8)
    covered, width, plain = [], [], []
    for _ in range(6):
        q, _ = a_population(rng, 20_000, skill=1.8)
        p = {
            "calibrated": q,
            "overconfident": expit(logit(q.mean()) + 1.8 * (logit(q) - logit(q.mean()))),
            "blind": q,
        }[scenario]
        truth = np.where(q < np.median(q), q + 0.04, q) if scenario == "blind" else q
        y = (rng.random(len(q)) < truth).astype(float)
        pi = Design(p, 500).probabilities(Design(p, 500).phi(1.0))
        for _ in range(100):
            s = pareto_draw(pi, rng.random(len(p)))
            e = estimates(domain_totals(p, pi, s, y[s]))[0]
            covered.append(e.low <= y.mean() <= e.high)
            width.append(e.high - e.low)
            low, high = wilson(int(y[rng.choice(len(y), 500, replace=False)].sum()), 500)
            plain.append(high - low)
    assert np.mean(covered) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / len(covered))
    assert np.mean(width) < 1.08 * np.mean(plain)


def test_a_domain_holds_at_least_the_errors_found_and_not_more_than_was_left_open():
    """A model that expects few errors in a domain must not push its rate below what was found there."""
    rng = np.random.default_rng(3)
    p = np.concatenate([np.full(400, 0.9), np.full(400, 0.01)])
    domain = np.repeat([0, 1], 400)
    pi = np.full(800, 0.2)
    sample = rng.choice(800, 160, replace=False)
    y = np.zeros(160)
    y[domain[sample] == 1] = rng.random((domain[sample] == 1).sum()) < 0.5
    seen = estimates(domain_totals(p, pi, sample, y, domain=domain, domains=2))
    for estimate in seen:
        right = estimate.n_reviewed - estimate.errors_found
        assert estimate.low >= estimate.errors_found / estimate.population
        assert estimate.rate >= estimate.errors_found / estimate.population
        assert estimate.high <= 1 - right / estimate.population
