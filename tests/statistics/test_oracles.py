"""Tests sampling and estimation with properties that always hold, and against other libraries."""

import numpy as np
import polars as pl
import pytest
from builders import hashed_uniform
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from evenhand.batches.id_numbers import id_numbers
from evenhand.batches.population import codes
from evenhand.errors import EstimateError, SampleError
from evenhand.rates.cells import cut_frames
from evenhand.rates.table import estimate_draws
from evenhand.statistics.design import Design, capped
from evenhand.statistics.draw import pareto_draw, partial_probabilities
from evenhand.statistics.estimator import calibrated, domain_totals, estimates, frame_totals, sample_totals
from evenhand.statistics.intervals import logit_t, wilson, wilson_rate

SUMS = (
    "population",
    "size",
    "model",
    "residual",
    "v",
    "v2",
    "anticipated",
    "reviewed",
    "found",
    "shown_right",
)
seeds = st.integers(0, 10_000)
chances = st.floats(0, 1)
scores = st.lists(chances, min_size=2, max_size=80).map(np.array)


def a_frame(seed: int, n: int = 400, domains: int = 4):
    """Scores (some of them 0, 1 or equal), errors and domains of `n` decisions."""
    rng = np.random.default_rng(seed)
    p = np.where(rng.random(n) < 0.1, rng.choice([0.0, 0.05, 1.0], n), rng.beta(0.5, 8, n))
    return p, (rng.random(n) < p).astype(float), rng.integers(0, domains, n), rng


# ---- the draw


@settings(max_examples=200, deadline=None)
@given(p=scores, share=chances, phi=st.floats(0, 0.7), floor=st.floats(0.05, 1), cells=st.integers(1, 9))
def test_probabilities_are_a_budget_whatever_the_scores_cells_and_shares(p, share, phi, floor, cells):
    n = max(1, round(share * len(p)))
    design = Design(p, n, floor=floor, cell=np.arange(len(p)) % cells)
    for pi in (design.probabilities(phi), design.probabilities(design.phi(1.25))):
        assert pi.sum() == pytest.approx(n, rel=1e-9)
        assert (pi > 0).all() and (pi <= 1).all()
        assert len(set(pareto_draw(pi, hashed_uniform("s", [str(i) for i in range(len(p))])))) == n


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=50).map(np.array), chances)
def test_capped_probabilities_solve_their_equation(size, share):
    n = max(1.0, share * len(size))
    pi = capped(size, n)
    assert pi.sum() == pytest.approx(n) and (pi <= 1).all()
    free = pi < 1 - 1e-12
    if free.any():
        ratio = pi[free] / size[free]
        assert ratio == pytest.approx(ratio[0])
        assert (size[~free] * ratio[0] >= 1 - 1e-9).all()


@settings(max_examples=100, deadline=None)
@given(seeds, chances)
def test_equal_scores_are_taken_by_id_and_not_by_place(seed, share):
    """With many ties, the same decisions must be certain when the frame is read in another order."""
    rng = np.random.default_rng(seed)
    p, ids = rng.choice([0.02, 0.1, 0.4], 60), np.array([f"{i:016x}" for i in rng.integers(0, 2**62, 60)])
    order, n = rng.permutation(60), max(1, round(share * 60))

    def drawn(places):
        design = Design(p[places], n, tie=id_numbers(list(ids[places])))
        pi = design.probabilities(0.5)
        return {ids[places][i] for i in pareto_draw(pi, hashed_uniform("7", list(ids[places])))}

    assert drawn(np.arange(60)) == drawn(order)


def test_weights_reproduce_the_population_totals_on_average():
    """Sums of 1 / pi, x / pi and p / pi over many draws average to the frame's N, sum of x and sum of p."""
    p, _, cell, rng = a_frame(3, 600)
    x = rng.lognormal(0, 1, 600)
    pi = Design(p, 90, cell=cell).probabilities(0.3)
    draws = [pareto_draw(pi, rng.random(600)) for _ in range(4_000)]
    for values in (np.ones(600), x, p, (cell == 2).astype(float)):
        sums = np.array([(values[s] / pi[s]).sum() for s in draws])
        off = sums.mean() - values.sum()
        assert abs(off) < 4 * sums.std() / len(draws) ** 0.5 + 0.004 * values.sum()


def test_hashed_numbers_of_ids_are_fixed_for_good():
    """If these numbers changed, every draw that is repeated from its seed would change."""
    found = hashed_uniform("1|None|None", ["0123456789abcdef", "c1", "ffffffffffffffff"])
    assert found == pytest.approx([0.5254888480622062, 0.28598266223965313, 0.553460497290893], abs=1e-15)


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_hashed_numbers_of_neighbours_are_unlike(seed):
    u = hashed_uniform(str(seed), [f"{i:016x}" for i in range(2_000)])
    v = hashed_uniform(str(seed + 1), [f"{i:016x}" for i in range(2_000)])
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 0.12 and abs(np.corrcoef(u, v)[0, 1]) < 0.12
    assert np.histogram(u, 10, (0, 1))[0].min() > 130


@settings(max_examples=100, deadline=None)
@given(p=scores, share=chances, part=chances)
def test_probabilities_of_a_part_sum_to_the_part(p, share, part):
    pi = Design(p, max(1, round(share * len(p)))).probabilities(0.3)
    certain, sampled = int((pi >= 1).sum()), round(float(pi[pi < 1].sum()))
    m, c = round(part * sampled), round(part * certain)
    fresh = partial_probabilities(pi, sampled=m, certain=c)
    assert fresh[pi < 1].sum() == pytest.approx(m, abs=1e-6) and fresh[pi >= 1].sum() == pytest.approx(c)


# ---- the estimate


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_estimates_do_not_change_with_the_order_of_rows(seed):
    p, y, cell, rng = a_frame(seed)
    pi = Design(p, 80, cell=cell).probabilities(0.2)
    s = pareto_draw(pi, rng.random(len(p)))
    order = rng.permutation(len(p))
    back, within = np.argsort(order), rng.permutation(len(s))
    whole = estimates(domain_totals(p, pi, s, y[s], domain=cell, domains=4))
    moved = estimates(
        domain_totals(p[order], pi[order], back[s][within], y[s][within], domain=cell[order], domains=4)
    )
    for one, other in zip(whole, moved, strict=True):
        assert (one.rate, one.low, one.high) == pytest.approx((other.rate, other.low, other.high), abs=1e-7)
        assert one.n_reviewed == other.n_reviewed and one.method == other.method


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(2, 5))
def test_estimates_do_not_change_with_the_partition_of_the_frame(seed, parts):
    """The sums over the parts of a frame give the same estimate as the whole frame."""
    p, y, cell, rng = a_frame(seed)
    pi = Design(p, 80).probabilities(0.2)
    s = pareto_draw(pi, rng.random(len(p)))
    fit = calibrated(p[s], pi[s], y[s], None)
    whole = frame_totals(p, pi, fit, domain=cell, domains=4)
    piece = rng.integers(0, parts, len(p))
    finer = frame_totals(p, pi, fit, domain=cell * parts + piece, domains=4 * parts)
    again = finer.grouped(np.repeat(np.arange(4), parts), 4)
    for name in SUMS:
        assert getattr(again, name) == pytest.approx(getattr(whole, name), rel=1e-9, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_the_union_of_strata_is_the_pooled_estimate(seed):
    p, y, cell, rng = a_frame(seed)
    pi = Design(p, 80, cell=cell).probabilities(0.2)
    s = pareto_draw(pi, rng.random(len(p)))
    parts = domain_totals(p, pi, s, y[s], domain=cell, domains=4)
    pooled, direct = (
        estimates(parts.grouped(np.zeros(4, int), 1))[0],
        estimates(domain_totals(p, pi, s, y[s]))[0],
    )
    assert (pooled.rate, pooled.low, pooled.high) == pytest.approx(
        (direct.rate, direct.low, direct.high), abs=1e-9
    )
    raw = (parts.model + parts.residual) / parts.population
    weighed = (raw * parts.population).sum() / parts.population.sum()
    assert direct.errors_found / 400 <= direct.rate
    assert direct.rate == pytest.approx(np.clip(weighed, direct.errors_found / 400, 1), abs=1e-9)


def test_an_estimate_is_unbiased_in_every_cell_of_a_world_the_model_does_not_know():
    rng = np.random.default_rng(8)
    cell, p = rng.integers(0, 4, 2_000), rng.beta(1, 12, 2_000)
    y = (rng.random(2_000) < np.array([0.01, 0.05, 0.1, 0.3])[cell]).astype(float)
    pi = Design(p, 200, cell=cell).probabilities(0.25)
    rates = []
    for _ in range(1_500):
        s = pareto_draw(pi, rng.random(2_000))
        t = domain_totals(p, pi, s, y[s], domain=cell, domains=4)
        rates.append((t.model + t.residual) / t.population)
    truth = np.bincount(cell, y) / np.bincount(cell)
    error = np.std(rates, axis=0) / len(rates) ** 0.5
    assert (np.abs(np.mean(rates, axis=0) - truth) < 4 * error + 0.002).all()


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_cells_of_a_cut_add_up_to_any_coarser_split(seed):
    rng = np.random.default_rng(seed)
    names = ["market", "area", "queue"]
    frame = a_table(rng, 300)
    cut = cut_frames([frame], ["market"], also=["area", "queue"])
    for by in ([], ["market"], ["queue", "area"], names):
        found, group = cut.domains(by)
        count = np.bincount(group[cut.code[0]], minlength=found.height + 1)
        direct = frame.filter("inside").group_by(by).len() if by else None
        assert count.sum() == 300 and count[-1] == (~frame["inside"].to_numpy()).sum()
        if direct is not None:
            both = found.with_columns(n=count[:-1]).join(direct, on=by, nulls_equal=True, validate="1:1")
            assert both.height == found.height == direct.height and (both["n"] == both["len"]).all()


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_codes_tell_apart_exactly_what_differs(seed):
    frame = a_table(np.random.default_rng(seed), 120)
    code = codes(frame, ["market", "area", "queue"])
    assert set(code) == set(range(code.max() + 1))
    rows = frame.select("market", "area", "queue").rows()
    assert len(set(zip(rows, code, strict=True))) == len(set(rows)) == code.max() + 1


def a_table(rng, n):
    return pl.DataFrame(
        {
            "market": rng.choice(["ID", "TH", "US"], n),
            "area": rng.choice(["spam", "privacy"], n),
            "queue": pl.Series(rng.choice(["live", "video", ""], n)).replace("", None),
            "inside": rng.random(n) < 0.8,
        }
    )


# ---- other libraries


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 3_000), share=chances, confidence=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_wilson_is_that_of_scipy_and_statsmodels(n, share, confidence):
    wrong = int(share * n)
    low, high = wilson(wrong, n, confidence=confidence)
    scipy = binomtest(wrong, n).proportion_ci(confidence, method="wilson")
    assert (low, high) == pytest.approx((scipy.low, scipy.high), abs=1e-9)
    ours = proportion_confint(wrong, n, alpha=1 - confidence, method="wilson")
    assert (low, high) == pytest.approx(ours, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(30, 300))
def test_at_equal_probabilities_the_interval_of_the_plain_mean_is_wilsons(seed, n):
    """Without a model (one score for all) and with equal probabilities, the variance is binomial.

    It has the correction for a finite frame.
    """
    rng = np.random.default_rng(seed)
    y = (rng.random(1_000) < 0.2).astype(float)
    s, p, pi = rng.choice(1_000, n, replace=False), np.full(1_000, 0.2), np.full(1_000, n / 1_000)
    share = y[s].mean()
    fit = (float(np.log(share / (1 - share)) - np.log(0.25)), 1.0)
    totals = domain_totals(p, pi, s, y[s], calibration=fit)
    assert (totals.model[0] + totals.residual[0]) / 1_000 == pytest.approx(share, abs=1e-9)
    variance = (1 - n / 1_000) * y[s].var(ddof=1) / n
    assert totals.v[0] / 1_000**2 == pytest.approx(variance, rel=1e-9)
    e = estimates(totals)[0]
    if e.method == "wilson n_eff":
        assert e.n_eff is not None
        assert (e.low, e.high) == pytest.approx([float(v) for v in wilson_rate(share, e.n_eff)], abs=1e-9)
    else:
        df = min(2 * totals.v[0] ** 2 / totals.v2[0], 2 * e.errors_found)
        assert (e.low, e.high) == pytest.approx([float(v) for v in logit_t(share, variance, df)], abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_at_equal_probabilities_the_rate_and_error_are_those_of_ppi(seed):
    """ppi-python estimates the same mean at lambda = 1. It is no dependency, because it needs numba."""
    ppi_py = pytest.importorskip("ppi_py")
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 9, 20_000)
    y = (rng.random(20_000) < p).astype(float)
    s = rng.choice(20_000, 400, replace=False)
    rest = np.setdiff1d(np.arange(20_000), s)
    totals = domain_totals(p, np.full(20_000, 400 / 20_000), s, y[s], calibration=(0.0, 1.0))
    ours = (totals.model[0] + totals.residual[0]) / 20_000
    theirs = ppi_py.ppi_mean_pointestimate(y[s], p[s], p, lam=1.0)
    assert ours == pytest.approx(float(theirs[0]), abs=1e-9)
    low, high = ppi_py.ppi_mean_ci(y[s], p[s], p[rest], alpha=0.05, lam=1.0)
    half = 1.959964 * (totals.v[0] / (1 - 400 / 20_000)) ** 0.5 / 20_000
    assert half == pytest.approx(float(high[0] - low[0]) / 2, rel=0.02)


# ---- edges


@pytest.mark.parametrize("n", [0, -3, 41])
def test_a_budget_outside_the_frame_is_refused_by_number(n):
    with pytest.raises(SampleError, match=f"draw of {n} from a frame of 40 decisions"):
        Design(np.full(40, 0.1), n)


@pytest.mark.parametrize(
    "p", [np.full(40, 0.05), np.zeros(40), np.ones(40), np.r_[np.zeros(39), 1.0], np.linspace(0, 1, 40)]
)
@pytest.mark.parametrize("n", [1, 2, 39, 40])
def test_every_budget_and_extreme_scores_end_in_an_interval_that_makes_sense(p, n):
    cell = np.r_[0, np.ones(39, int)]  # the first cell is one decision
    design = Design(p, n, cell=cell)
    pi = design.probabilities(design.phi(1.0))
    s = pareto_draw(pi, hashed_uniform("edge", [f"d{i}" for i in range(40)]))
    for y in (np.zeros(n), np.ones(n), np.arange(n) % 2):
        totals = domain_totals(p, pi, s, y.astype(float), domain=cell, domains=2)
        assert np.isfinite(totals.model).all() and np.isfinite(totals.residual).all()
        for e in (*estimates(totals), estimates(totals.grouped(np.zeros(2, int), 1))[0]):
            assert 0 <= e.low <= e.rate <= e.high <= 1
            assert e.n_reviewed > 0 or (e.low, e.high, e.status) == (0.0, 1.0, "unknown")
    if n == 40:
        assert estimates(totals.grouped(np.zeros(2, int), 1))[0].method == "census"


def test_no_rulings_at_all_is_not_known_and_not_an_error():
    p, none = np.full(50, 0.1), np.array([], int)
    pi = Design(p, 5).probabilities(0.0)
    found = estimates(domain_totals(p, pi, none, np.array([])))[0]
    assert found.status == "unknown" and found.reviews_needed == 30 and (found.low, found.high) == (0.0, 1.0)
    nothing = sample_totals(p[none], pi[none], np.array([]), (0.0, 1.0), domain=none, domains=2)
    assert nothing.reviewed.tolist() == [0, 0]


def test_a_workspace_without_rulings_says_what_to_do(world):
    with pytest.raises(EstimateError, match="evenhand draw"):
        estimate_draws(*world[:2])
