"""Tests the paired differences of two rankings on made-up decisions."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from models.compare.metrics import lift_at
from models.compare.paired_slices import HIGHER_IS_BETTER, MARGIN, compare_rows, effective, metrics


def some_rows(rng, n=400, *, rate=0.15, champion=1.5, challenger=1.5, language="en", start=0) -> pl.DataFrame:
    """Decisions with a share `rate` of overturns, and two versions that separate them.

    The number of a version says how strongly it separates them.
    """
    wrong = (rng.random(n) < rate).astype(float)
    shared = 0.8 * rng.normal(size=n)
    p = [expit(-2 + shared + power * wrong + 0.6 * rng.normal(size=n)) for power in (champion, challenger)]
    return pl.DataFrame(
        {
            "decision_id": [f"d{start + i:06d}" for i in range(n)],
            "group": np.arange(start, start + n),
            "language": language,
            "area": "spam",
            "policy_version": "p/1",
            "wrong": wrong,
            "weight": 1.0,
            "p_champion": p[0],
            "p_challenger": p[1],
        }
    )


def slices(rows, seed=0, **options):
    return compare_rows(rows, rng=np.random.default_rng(seed), **options)


def test_a_version_beside_itself_is_level_everywhere():
    rows = some_rows(np.random.default_rng(1)).with_columns(pl.col("p_champion").alias("p_challenger"))
    found = slices(rows)
    assert [(s.by, s.name) for s in found] == [
        ("overall", "all"),
        ("language", "en"),
        ("area", "spam"),
        ("policy_version", "p/1"),
    ]
    for part in found:
        assert part.verdict == part.probabilities == "level" and set(part.metrics) == set(HIGHER_IS_BETTER)
        assert all(d.difference == d.low == d.high == 0 for d in part.metrics.values())


def test_a_planted_better_version_is_better_and_the_other_way_round_worse():
    rows = some_rows(np.random.default_rng(2), 1_000, champion=0.5, challenger=2.5)
    ahead = slices(rows)[0]
    assert ahead.verdict == "better" and ahead.metrics["auroc"].low > 0 and ahead.metrics["lift_at_5"].low > 0
    turned = rows.rename({"p_champion": "p_challenger", "p_challenger": "p_champion"})
    behind = slices(turned)[0]
    assert behind.verdict == "worse"
    for name, d in ahead.metrics.items():
        assert behind.metrics[name].difference == pytest.approx(-d.difference)
        assert behind.metrics[name].low == pytest.approx(-d.high)


def test_bad_probabilities_of_a_good_ranking_are_seen():
    rows = some_rows(np.random.default_rng(3)).with_columns(
        (pl.col("p_champion") ** 0.25).alias("p_challenger")
    )
    part = slices(rows)[0]
    assert part.verdict == "level" and part.metrics["ap"].difference == 0
    assert part.probabilities == "worse" and part.metrics["brier"].low > 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_row_order_does_not_matter(seed):
    rows = some_rows(np.random.default_rng(4), 120).with_columns(
        pl.col("p_champion").round(1), (pl.col("group") // 2).alias("group")
    )
    assert slices(rows.sample(fraction=1.0, shuffle=True, seed=seed), repeats=20) == slices(rows, repeats=20)


def test_a_language_says_the_same_whatever_order_its_groups_are_named_in():
    rows = some_rows(np.random.default_rng(5), 120)
    named = rows.with_columns(pl.col("group") + 7_000_000)
    assert slices(rows, repeats=20) == slices(named, repeats=20)


def test_slices_are_of_their_own_rows_only():
    rng = np.random.default_rng(6)
    english = some_rows(rng, 600, champion=0.5, challenger=2.5)
    thai = some_rows(rng, 600, champion=2.5, challenger=0.5, language="th", start=600)
    found = {s.name: s for s in slices(pl.concat([english, thai])) if s.by == "language"}
    assert (found["en"].verdict, found["th"].verdict) == ("better", "worse")
    assert found["th"].n == 600 and found["th"].overturned == int(thai["wrong"].sum())


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.head(29),
        lambda rows: pl.concat([rows.filter(wrong=1).head(9), rows.filter(wrong=0)]),
        lambda rows: pl.concat([rows.filter(wrong=1), rows.filter(wrong=0).head(9)]),
        lambda rows: rows.with_columns(pl.lit(1).alias("group")),
        # forty are overturned, but one of them has nearly all the weight
        lambda rows: rows.with_columns(
            pl.when(pl.int_range(pl.len()).over("wrong") == 0).then(1_000.0).otherwise(1.0).alias("weight")
        ),
    ],
    ids=["rows", "overturned", "upheld", "one group", "one heavy ruling"],
)
def test_little_evidence_is_never_better(change):
    rows = some_rows(np.random.default_rng(7), 300, rate=0.5, champion=0.0, challenger=5.0)
    assert slices(rows)[0].verdict == "better"
    for part in slices(change(rows)):
        assert part.verdict == part.probabilities == "too few" and not part.metrics


def test_an_interval_that_could_hide_a_loss_is_not_level():
    rng = np.random.default_rng(8)
    part = slices(some_rows(rng, 90, rate=0.17))[0]
    assert part.metrics["ap"].low < -MARGIN < 0 < part.metrics["ap"].high
    assert part.verdict == "too few"


def test_no_rows_give_no_slices():
    assert slices(some_rows(np.random.default_rng(9)).head(0)) == ()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(20, 80), st.booleans())
def test_weighted_metrics_are_those_of_scikit_learn_and_of_repeated_rows(seed, n, ties):
    rng = np.random.default_rng(seed)
    wrong = np.append((rng.random(n) < 0.3).astype(float), [0.0, 1.0])
    p = rng.random(n + 2).round(1 if ties else 9)
    weight = rng.integers(1, 4, n + 2).astype(float)
    found = {name: float(value[0]) for name, value in metrics(wrong, p, weight[None]).items()}
    assert found["ap"] == pytest.approx(average_precision_score(wrong, p, sample_weight=weight))
    assert found["auroc"] == pytest.approx(roc_auc_score(wrong, p, sample_weight=weight))
    assert found["brier"] == pytest.approx(brier_score_loss(wrong, p, sample_weight=weight))
    many = weight.astype(int)
    repeated = metrics(np.repeat(wrong, many), np.repeat(p, many), np.ones((1, many.sum())))
    assert found == {name: pytest.approx(float(value[0])) for name, value in repeated.items()}


def test_lift_is_that_of_the_ranking_and_a_perfect_one_finds_only_errors():
    rng = np.random.default_rng(10)
    wrong, p = (rng.random(400) < 0.2).astype(float), rng.random(400).round(2)
    ours = metrics(wrong, p, np.ones((1, 400)))
    assert ours["lift_at_5"][0] == pytest.approx(lift_at(wrong, p, 0.05))
    perfect = metrics(wrong, wrong, np.ones((1, 400)))
    assert perfect["ap"][0] == perfect["auroc"][0] == 1 and perfect["brier"][0] == 0
    assert perfect["lift_at_5"][0] == pytest.approx(1 / wrong.mean())


def test_the_verdict_speaks_for_all_decisions_and_not_for_the_ones_that_were_drawn():
    rng = np.random.default_rng(11)
    likely = some_rows(rng, 900, champion=0.5, challenger=2.5)  # these are drawn for certain
    rare = some_rows(rng, 300, champion=3.0, challenger=0.0, start=900).with_columns(
        pl.lit(30.0).alias("weight")
    )
    rows = pl.concat([likely, rare])
    assert slices(rows)[0].verdict == "worse"
    assert slices(rows.with_columns(pl.lit(1.0).alias("weight")))[0].verdict == "better"


def test_effective_counts():
    assert effective(np.ones(8), np.arange(8)) == 8
    assert effective(np.ones(8), np.zeros(8, int)) == 1
    assert effective(np.array([9.0, 1.0]), np.arange(2)) == pytest.approx(100 / 82)
    assert effective(np.empty(0), np.empty(0, int)) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("powers", "weighted"), [((1.5, 1.5), False), ((1.0, 2.0), True)])
def test_intervals_cover_the_truth_about_as_often_as_promised(powers, weighted):
    rng, repeats = np.random.default_rng(12), 300
    whole = some_rows(np.random.default_rng(13), 200_000, champion=powers[0], challenger=powers[1])
    one = np.ones((1, whole.height))
    champion, challenger = (
        metrics(whole["wrong"].to_numpy(), whole[name].to_numpy(), one)
        for name in ("p_champion", "p_challenger")
    )
    hit = dict.fromkeys(HIGHER_IS_BETTER, 0)
    for _ in range(repeats):
        rows = some_rows(rng, 300, champion=powers[0], challenger=powers[1])
        if weighted:
            pi = np.clip(1.25 * np.sqrt(rows["p_champion"].to_numpy()), 0.1, 1)
            rows = rows.with_columns(pl.Series("weight", 1 / pi)).filter(pl.Series(rng.random(300) < pi))
        part = compare_rows(rows, by=(), rng=rng, repeats=200)[0]
        for name, d in part.metrics.items():
            hit[name] += d.low <= float(challenger[name][0] - champion[name][0]) <= d.high
    assert all(count / repeats >= 0.91 for count in hit.values()), {k: v / repeats for k, v in hit.items()}


@pytest.mark.slow
def test_the_gate_refuses_few_equals_and_most_that_lost_a_language():
    rng, worlds = np.random.default_rng(14), 40
    names = ("ar", "en", "es", "id", "ms", "th", "tl", "vi")
    refused = caught = 0
    for _ in range(worlds):
        parts = [some_rows(rng, 100, language=name, start=1_000 * i) for i, name in enumerate(names)]
        found = compare_rows(pl.concat(parts), by=("language",), rng=rng, repeats=200)
        refused += any(s.verdict == "worse" for s in found) or found[0].probabilities == "worse"
        parts[5] = some_rows(rng, 100, rate=0.25, champion=3.0, challenger=1.0, language="th", start=5_000)
        found = compare_rows(pl.concat(parts), by=("language",), rng=rng, repeats=200)
        caught += next(s.verdict == "worse" for s in found if s.name == "th")
    assert refused / worlds < 0.4 and caught / worlds > 0.9, (refused, caught)
