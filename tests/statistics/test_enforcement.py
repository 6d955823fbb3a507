"""Tests precision and recall of enforcement.

They match values computed by hand, are exact for a census, and are missing where there is no evidence. Their
intervals cover the truth.
"""

from collections import defaultdict

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from worlds.scored_world import AT, draw, rule

from evenhand.rates.measure import Measure
from evenhand.rates.question import Question
from evenhand.rates.table import measure_draws
from evenhand.report.dsa import scopes
from evenhand.report.model import collect
from evenhand.statistics.design import Design
from evenhand.statistics.draw import pareto_draw
from evenhand.statistics.enforcement import precision, ratio_interval, recall
from evenhand.statistics.estimator import Estimate, domain_totals, estimates
from evenhand.workspace.lake import decision_files


def an_estimate(rate, low, high, **changes):
    plain = {
        "n_reviewed": 300,
        "n_eff": 300.0,
        "errors_found": 20,
        "population": 9_000,
        "method": "logit-t",
        "status": "measured",
    }
    return Estimate(rate=rate, low=low, high=high, **{**plain, **changes})


OVER, UNDER = an_estimate(0.06, 0.04, 0.10), an_estimate(0.08, 0.05, 0.12)
NEVER = an_estimate(0.0, 0.0, 0.0)
UNSEEN = an_estimate(0.02, 0.0, 1.0, n_reviewed=0, n_eff=0.0, method="none", status="unknown")


def ends(found):
    return found.rate, found.low, found.high


def test_precision_is_what_over_enforcement_leaves_of_what_was_enforced():
    found = precision(0.4, OVER)
    assert found.status == "measured"
    assert ends(found) == pytest.approx((0.85, 0.75, 0.90))


def test_recall_is_the_share_of_what_should_have_been_enforced():
    found = recall(0.4, OVER, UNDER)
    assert found.status == "measured"
    assert ends(found) == pytest.approx((0.34 / 0.42, 0.735107, 0.872115), abs=1e-6)  # computed by hand


def test_an_interval_beyond_all_that_was_enforced_ends_at_zero():
    assert ends(precision(0.05, OVER)) == pytest.approx((0.0, 0.0, 0.2))
    found = recall(0.08, OVER, UNDER)
    assert found.low == 0.0 and found.rate == pytest.approx(0.02 / 0.10) and found.high < 1


@pytest.mark.parametrize(
    ("over", "under", "of_precision", "of_recall"),
    [
        (OVER, UNDER, "measured", "measured"),
        (UNSEEN, UNDER, "unknown", "unknown"),
        (OVER, UNSEEN, "measured", "unknown"),
    ],
)
def test_an_indicator_is_known_where_what_it_rests_on_is(over, under, of_precision, of_recall):
    assert precision(0.4, over).status == of_precision
    assert recall(0.4, over, under).status == of_recall
    if over is UNSEEN:
        assert ends(precision(0.4, over))[1:] == (0.0, 1.0)


def test_where_nothing_was_enforced_there_is_no_precision_and_recall_is_zero_if_anything_was_missed():
    none = precision(0.0, UNSEEN)
    assert (ends(none), none.status) == ((None, None, None), "no enforcement")
    missed = recall(0.0, UNSEEN, UNDER)
    assert (ends(missed), missed.status) == ((0.0, 0.0, 0.0), "measured")
    unseen = recall(0.0, UNSEEN, UNSEEN)
    assert (ends(unseen), unseen.status) == ((0.0, 0.0, 1.0), "unknown")
    clean = recall(0.0, UNSEEN, NEVER)
    assert (ends(clean), clean.status) == ((None, None, None), "no violation found")


def test_where_all_was_enforced_nothing_can_have_been_missed():
    found = recall(1.0, OVER, UNSEEN)  # an error class that cannot occur has no estimate
    assert (ends(found), found.status) == ((1.0, 1.0, 1.0), "measured")
    unseen = recall(1.0, UNSEEN, UNSEEN)
    assert unseen.status == "unknown" and unseen.low == 0.0
    assert recall(1.0, an_estimate(1.0, 1.0, 1.0), UNSEEN).status == "no violation found"


SHARE = st.floats(0.0, 1.0).map(lambda share: round(share, 10))  # one of ten billion decisions, or none


@st.composite
def spans(draw):
    low, value, high = sorted(draw(SHARE) for _ in range(3))
    return value, low, high


@given(
    a=st.floats(0.01, 0.9), b=st.floats(0.1, 0.9), half_a=st.floats(0.0, 0.99), half_b=st.floats(0.01, 0.99)
)
def test_of_symmetric_intervals_the_ratio_is_fiellers(a, b, half_a, half_b):
    va, vb = (half_a * a) ** 2, (half_b * b) ** 2
    root = np.sqrt(b * b * va + a * a * vb - va * vb)
    fieller = [(a * b - root) / (b * b - vb), (a * b + root) / (b * b - vb)]
    found = ratio_interval((a, a * (1 - half_a), a * (1 + half_a)), (b, b * (1 - half_b), b * (1 + half_b)))
    assert found == pytest.approx(fieller, rel=1e-5, abs=1e-7)


@given(enforced=SHARE, over=spans(), under=spans())
def test_an_indicator_lies_in_its_interval_and_both_in_zero_to_one(enforced, over, under):
    over, under = an_estimate(*over), an_estimate(*under)
    for found in (precision(enforced, over), recall(enforced, over, under)):
        if found.rate is not None:
            assert -1e-12 <= found.low <= found.rate + 1e-9 <= found.high + 2e-9 <= 1 + 1e-8


@given(under=spans(), more=st.floats(0.01, 0.2))
def test_more_missed_is_less_recall(under, more):
    over, (rate, low, high) = OVER, under
    worse = an_estimate(rate + more, low + more, high + more)
    before, after = recall(0.4, over, an_estimate(rate, low, high)), recall(0.4, over, worse)
    assert after.rate < before.rate and after.low <= before.low and after.high <= before.high + 1e-12


SHARES = (0.3, 0.1, 0.05)  # share of a domain's decisions that enforce


def a_population(rng, n):
    """Biased scores, domains, which decisions enforce, and which are wrong; each of shape (n,)."""
    domain = rng.choice(len(SHARES), n, p=(0.5, 0.3, 0.2))
    acts = rng.random(n) < np.array(SHARES)[domain]
    chance = expit(logit(np.where(acts, 0.15, 0.04)) + rng.normal(size=n) - 0.3)
    p = expit(logit(chance) + 0.5 * rng.normal(size=n) + 0.4)
    return p, domain, acts, rng.random(n) < chance


def indicators(p, pi, sample, domain, acts, wrong):
    """Precision and recall of all decisions and of each domain."""
    found = []
    for code, domains in ((np.zeros(len(p), np.int64), 1), (domain, len(SHARES))):
        share = np.bincount(code, acts) / np.bincount(code)
        over, under = (
            estimates(
                domain_totals(
                    p,
                    pi,
                    sample,
                    (wrong & can)[sample].astype(float),
                    domain=code,
                    domains=domains,
                    possible=can,
                )
            )
            for can in (acts, ~acts)
        )
        found += [
            (precision(a, o), recall(a, o, u)) for a, o, u in zip(share.tolist(), over, under, strict=True)
        ]
    return found


def true_values(domain, acts, wrong):
    places = [np.ones(len(domain), bool), *(domain == code for code in range(len(SHARES)))]
    right = [(here & acts & ~wrong).sum() for here in places]
    return [
        (r / (here & acts).sum(), r / (r + (here & ~acts & wrong).sum()))
        for r, here in zip(right, places, strict=True)
    ]


def test_a_census_is_exact():
    p, domain, acts, wrong = a_population(np.random.default_rng(1), 3_000)
    found = indicators(p, np.ones(3_000), np.arange(3_000), domain, acts, wrong)
    for both, truth in zip(found, true_values(domain, acts, wrong), strict=True):
        for one, value in zip(both, truth, strict=True):
            assert one.status == "measured"
            assert ends(one) == pytest.approx((value, value, value))


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(2)
    p, domain, acts, wrong = a_population(rng, 6_000)
    pi = Design(p, 500).probabilities(0.3)
    sample = pareto_draw(pi, rng.random(6_000))
    order = rng.permutation(6_000)
    place = np.argsort(order)[sample]
    there = indicators(p[order], pi[order], rng.permutation(place), domain[order], acts[order], wrong[order])
    for one, other in zip(indicators(p, pi, sample, domain, acts, wrong), there, strict=True):
        assert [ends(x) for x in one] == [pytest.approx(ends(x), rel=1e-7) for x in other]


def test_the_intervals_cover_the_truth_as_often_as_promised():
    rng = np.random.default_rng(7)
    p, domain, acts, wrong = a_population(rng, 12_000)
    truth = np.array(true_values(domain, acts, wrong))
    design = Design(p, 600, cell=domain)
    pi = design.probabilities(design.phi(1.0))
    known, covered = np.zeros(truth.shape), np.zeros(truth.shape)
    for _ in range(300):
        sample = pareto_draw(pi, rng.random(len(p)))
        found = indicators(p, pi, sample, domain, acts, wrong)
        known += [[one.status == "measured" for one in both] for both in found]
        covered += [
            [
                one.status == "measured" and one.low <= value <= one.high
                for one, value in zip(both, values, strict=True)
            ]
            for both, values in zip(found, truth, strict=True)
        ]
    assert known.min() > 280
    assert (covered / known).min() >= 0.92, covered / known


@pytest.fixture
def ruled(world):
    rule(world, draw(world, budget=400))
    return world


def share_enforced(frame, store, by, weight):
    """The right value of `Measure.enforced`, computed from labels and policies only."""
    acted: dict[tuple[str, ...], float] = defaultdict(float)
    size: dict[tuple[str, ...], float] = defaultdict(float)
    for row in frame.filter("inside").iter_rows(named=True):
        x = (row["exposure"] or 0.0) if weight == "exposure" else 1.0
        key = tuple(row[name] for name in by)
        size[key] += x
        first = store.policy(row["policy_version"]).area(row["area"]).labels[0].name
        acted[key] += x * (row["label"] != first)
    return {key: acted[key] / size[key] for key in size}


@pytest.mark.parametrize("weight", ["decisions", "exposure"])
def test_what_was_enforced_is_counted_in_the_window_by_any_split(ruled, weight):
    ws, store, _ = ruled
    until = AT.date().replace(month=3, day=1)
    measure = measure_draws(ws, store, Question(until=until, weight=weight))
    (part,) = measure.parts
    assert 0 < part.frame["inside"].sum() < part.frame.height
    for by in ((), ("language",), ("market", "area")):
        expected = share_enforced(part.frame, store, by, weight)
        found = {tuple(domain[name] for name in by): share for domain, share in measure.enforced(by)}
        assert found == {key: pytest.approx(share) for key, share in expected.items()}
        assert [domain for domain, _ in measure.enforced(by)] == [rates.domain for rates in measure.rates(by)]


def test_the_order_of_the_frame_does_not_matter_to_what_was_enforced(ruled):
    ws, store, _ = ruled
    measure = measure_draws(ws, store)
    (part,) = measure.parts
    order = np.random.default_rng(3).permutation(part.frame.height)
    place = np.argsort(order)[part.done["place"].to_numpy()]
    turned = type(part)(
        draw=part.draw, frame=part.frame[order], done=part.done.with_columns(place=pl.Series(place))
    )
    other = Measure(store, [turned], Question())
    assert other.enforced(("language",)) == measure.enforced(("language",))


def test_when_every_decision_was_ruled_on_the_report_gives_the_true_precision_and_recall(world):
    ws, store, known = world
    here = pl.scan_parquet(decision_files(ws)).filter(pl.col("queue") == "live").collect()
    drawn = draw(world, budget=here.height, filters={"queue": "live"})
    rule(world, drawn)
    rows = here.join(known, on="decision_id", validate="1:1")
    report = collect(ws, store, made_at=AT)
    assert len(report.languages.rows) > 1
    for scope in scopes(report):
        part = rows.filter(language=scope.rates.domain["language"]) if scope.rates.domain else rows
        pairs = part.select("policy_version", "area", "label", "true_label").iter_rows()
        clean = [
            (label == first, true == first)
            for version, area, label, true in pairs
            for first in [store.policy(version).area(area).labels[0].name]
        ]
        acted = sum(not label for label, _ in clean)
        due = sum(not true for _, true in clean)
        both = sum(not label and not true for label, true in clean)
        assert acted and due
        assert ends(scope.precision) == pytest.approx((both / acted,) * 3)
        assert ends(scope.recall) == pytest.approx((both / due,) * 3)
