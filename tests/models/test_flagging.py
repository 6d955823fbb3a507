"""Tests the flagger: p_overturn is calibrated, and reasons and support are right."""

import numpy as np
import polars as pl
import pytest
from worlds.scored_world import AT, MODEL, draw, rule

from evenhand.errors import ModelError, UserError
from evenhand.flags import COLUMNS, top_flags
from evenhand.records.ruling import Ruling
from evenhand.records.verdict import VERDICT
from evenhand.workspace.lake import scan_decisions, scan_scores
from models.flagger import FEATURES, PRIOR, Flagger, LabelView


def a_view(n: int, seed: int = 0):
    """Decisions whose labels fit their texts less and less; half of the moderators are careless."""
    rng = np.random.default_rng(seed)
    p = rng.beta(5, 1, n)
    encoder = [np.array([x, 1 - x]) for x in p]
    moderators = [f"m{int(i)}" for i in rng.integers(0, 10, n)]
    careless = np.array([int(m[1:]) >= 5 for m in moderators])
    wrong = (rng.random(n) < np.where(careless, 1 - p, (1 - p) / 4)).astype(float)
    decisions = pl.DataFrame(
        {
            "text": ["x" * int(k) for k in rng.integers(1, 90, n)],
            "area": ["spam"] * n,
            "label": ["fine"] * n,
            "language": ["en"] * n,
            "moderator_id": moderators,
        }
    )
    p = np.clip(p, 1e-3, 1 - 1e-3)
    odds = np.tile(np.log1p(-p) - np.log(p), (4, 1)).T
    return LabelView(encoder, encoder, odds, np.zeros(n, np.int64)), decisions, wrong


def featured(flagger, view, decisions):
    return flagger.features(view, decisions, view.decided == 0)


def lesson(n: int, seed: int = 0, **settings):
    """A flagger with histories from one sample; the features and outcomes of another sample."""
    view, decisions, wrong = a_view(n, seed)
    flagger = Flagger(**settings)
    flagger.learn_histories(decisions, wrong)
    view, decisions, wrong = a_view(n, seed + 1)
    return flagger, featured(flagger, view, decisions), wrong, decisions


def fitted(n: int = 3_000, **settings):
    flagger, features, wrong, _ = lesson(n, **settings)
    flagger.fit(features, wrong, np.ones(n), np.arange(n) % 5)
    return flagger


def test_p_overturn_means_what_it_says_on_unseen_decisions():
    flagger = fitted()
    view, decisions, wrong = a_view(20_000, seed=2)
    p = flagger.p_overturn(featured(flagger, view, decisions))
    for part in np.array_split(np.argsort(p), 5):
        assert p[part].mean() == pytest.approx(wrong[part].mean(), abs=0.03)


def test_drawn_cases_count_by_their_weight_and_without_it_p_would_be_off():
    """The batch leaves out nine in ten right decisions; the weight 1 / pi corrects for that."""
    flagger, features, wrong, _ = lesson(20_000, seed=3)
    pi = np.where(wrong == 1, 0.9, 0.1)
    kept = np.random.default_rng(4).random(20_000) < pi
    fold = np.arange(kept.sum()) % 5
    flagger.fit(features[kept], wrong[kept], 1 / pi[kept], fold)
    assert flagger.p_overturn(features).mean() == pytest.approx(wrong.mean(), abs=0.01)
    flagger.fit(features[kept], wrong[kept], np.ones(kept.sum()), fold)
    assert flagger.p_overturn(features).mean() > 1.5 * wrong.mean()


def test_before_any_ruling_a_flag_rests_on_what_is_decided_on_similar_texts():
    view, decisions, wrong = a_view(2_000)
    flagger = Flagger()
    p = flagger.p_overturn(featured(flagger, view, decisions))
    assert np.mean([p[wrong == 1][i] > p[wrong == 0][j] for i in range(50) for j in range(50)]) > 0.6
    assert max(PRIOR, key=PRIOR.__getitem__).startswith("decisions")
    assert set(flagger.support(["spam"], ["en"])) == {"none"}


def test_few_rulings_move_the_flagger_little_and_many_move_it_far():
    start = Flagger().coef[FEATURES.index("moderator_history")]
    few, many = (fitted(n).coef[FEATURES.index("moderator_history")] for n in (30, 3_000))
    assert abs(few - start) < abs(many - start)


def test_the_fine_tuned_encoder_corrects_only_as_far_as_held_rulings_bear_it_out():
    flagger, features, wrong, _ = lesson(4_000, seed=5)
    n, fold = len(wrong), np.arange(4_000) % 5
    tuned = FEATURES.index("tuned")
    telling = features.copy()
    telling[:, tuned] = np.where(wrong == 1, 2.0, -2.0) + np.random.default_rng(0).normal(0, 2, n)
    telling[: n // 2, tuned] = np.nan  # trained on these
    flagger.fit(telling, wrong, np.ones(n), fold)
    assert flagger.tuned_slope > 0.3
    idle = telling.copy()
    idle[:, tuned] = np.random.default_rng(1).normal(0, 2, n)
    flagger.fit(idle, wrong, np.ones(n), fold)
    assert abs(flagger.tuned_slope) < 0.1
    idle[:, tuned] = np.nan
    flagger.fit(idle, wrong, np.ones(n), fold)
    assert flagger.tuned_slope == 0 and np.isfinite(flagger.p_overturn(idle)).all()


def test_a_moderator_without_history_is_neither_raised_nor_lowered():
    flagger = fitted()
    column = FEATURES.index("moderator_history")
    view, decisions, _ = a_view(2)
    known = featured(flagger, view, decisions.with_columns(pl.Series("moderator_id", ["m9", "new"])))
    assert known[0, column] > 0 and known[1, column] == 0


def test_support_says_how_much_gold_stands_behind_a_flag():
    flagger = Flagger()
    _, decisions, wrong = a_view(300)
    thai = decisions.head(20).with_columns(pl.lit("th").alias("language"))
    flagger.learn_histories(pl.concat([decisions, thai]), np.concatenate([wrong, wrong[:20]]))
    assert flagger.support(["spam"] * 3, ["en", "th", "vi"]) == ["good", "thin", "none"]


def test_reasons_say_only_what_is_true():
    flagger = fitted()
    pair = [np.array([0.9, 0.1]), np.array([0.1, 0.9])]
    odds = np.log([[1 / 9] * 4, [9.0] * 4])
    view = LabelView(pair, [np.array([0.9, 0.1])] * 2, odds, np.zeros(2, np.int64))
    decisions = pl.DataFrame(
        {
            "text": ["a", "b"],
            "area": ["spam"] * 2,
            "label": ["fine"] * 2,
            "language": ["en"] * 2,
            "moderator_id": ["m0", "m9"],
        }
    )
    features = featured(flagger, view, decisions)
    plain, flagged = flagger.reasons(decisions, ["fine", "spam"], np.array([0.9, 0.9]), features)
    assert plain == "nothing stands out"
    assert flagged.startswith("reads like spam (90%), decided fine")
    assert "moderator m9 on fine" in flagged
    assert "similar texts are seldom decided fine (10%)" in flagged


def test_a_close_call_is_a_reason():
    flagger = fitted()
    view, decisions, _ = a_view(1)
    (said,) = flagger.reasons(decisions, ["fine"], np.array([0.6]), featured(flagger, view, decisions))
    assert said.startswith("close call: fine at 60%")


def test_a_label_that_is_overturned_often_is_a_reason():
    rng = np.random.default_rng(0)
    view, decisions, _ = a_view(4_000)
    label = np.where(rng.random(4_000) < 0.5, "fine", "promo")
    wrong = (rng.random(4_000) < np.where(label == "promo", 0.4, 0.02)).astype(float)
    decisions = decisions.with_columns(pl.Series("label", label))
    flagger = Flagger()
    flagger.learn_histories(decisions, wrong)
    clean = label == "fine"
    features = flagger.features(view, decisions, clean)
    flagger.fit(features, wrong, np.ones(4_000), np.arange(4_000) % 5)
    lines = flagger.reasons(decisions, label.tolist(), np.full(4_000, 0.9), features)
    said = np.array(["promo in spam is overturned" in line for line in lines])
    assert said[~clean].all() and not said[clean].any()


def test_a_flagger_comes_back_as_saved(tmp_path):
    flagger = fitted()
    flagger.save(tmp_path)
    again = Flagger.load(tmp_path)
    view, decisions, _ = a_view(50, seed=5)
    features = featured(flagger, view, decisions)
    assert np.array_equal(featured(again, view, decisions), features)
    assert np.allclose(again.p_overturn(features), flagger.p_overturn(features))
    assert again.moderators == flagger.moderators and again.base_rate == flagger.base_rate


def test_a_moderators_history_can_be_switched_off():
    flagger = fitted(use_history=False)
    view, decisions, _ = a_view(3_000, seed=1)
    features = featured(flagger, view, decisions)
    assert not features[:, FEATURES.index("moderator_history")].any() and flagger.moderators == {}
    other = decisions.with_columns(pl.Series("moderator_id", decisions["moderator_id"].to_list()[::-1]))
    assert np.array_equal(flagger.p_overturn(featured(flagger, view, other)), flagger.p_overturn(features))
    assert not any(
        "moderator" in line
        for line in flagger.reasons(decisions, ["spam"] * 3_000, np.full(3_000, 0.9), features)
    )


KEY = ["case_id", "area", "moderator_id"]


def scored(world) -> pl.DataFrame:
    """All scored decisions, with their rank."""
    scores = scan_scores(world[0], MODEL).collect()
    ranked = scores.sort("p_overturn", "decision_id", descending=[True, False])
    return ranked.with_row_index("rank", offset=1)


def test_flags_are_the_open_decisions_by_rank_and_ruled_ones_leave_gaps(world):
    ws, store, _ = world
    everything = scored(world)
    before = top_flags(ws, store, MODEL, top=50)
    assert before.table["rank"].to_list() == list(range(1, 51)) and before.ruled == 0
    rule(world, draw(world, budget=300))
    left = everything.join(store.rulings().select("decision_id"), on="decision_id", how="anti")
    assert left.height == 3_700 and left["rank"][0] > 1
    after = top_flags(ws, store, MODEL, top=50)
    assert after.ruled == 300 and tuple(after.table.columns) == COLUMNS
    assert after.table.select("rank", *KEY).rows() == left.head(50).select("rank", *KEY).rows()
    whole = top_flags(ws, store, MODEL)
    assert whole.table["rank"].to_list() == left["rank"].to_list()
    assert top_flags(ws, store, MODEL, top=5_000).table.equals(whole.table)


def test_ruled_flags_come_with_their_rulings_when_asked_for(world):
    ws, store, known = world
    rule(world, draw(world, budget=300))
    found = top_flags(ws, store, MODEL, top=200, include_ruled=True).table
    assert tuple(found.columns) == (*COLUMNS, *VERDICT)
    assert found["rank"].to_list() == list(range(1, 201))
    ids = scored(world).select("rank", "decision_id").cast({"rank": pl.Int64})
    told = found.join(ids, on="rank").join(known, on="decision_id", validate="1:1")
    ruled = told["decision_id"].is_in(store.rulings()["decision_id"].implode())
    assert (told["verdict"].is_not_null() == ruled).all() and ruled.any() and not ruled.all()
    told = told.filter(ruled)
    assert told["ruled_label"].to_list() == told["true_label"].to_list()
    assert ((told["verdict"] == "overturned") == (told["label"] != told["true_label"])).all()


def test_a_filter_ranks_what_fits_and_counts_the_rulings_on_it(world):
    ws, store, _ = world
    rule(world, draw(world, budget=300))
    markets = scan_decisions(ws).select("decision_id", "market").collect()
    thai = scored(world).drop("rank").join(markets, on="decision_id", how="left", maintain_order="left")
    thai = thai.filter(market="TH").with_row_index("rank", offset=1)
    left = thai.join(store.rulings().select("decision_id"), on="decision_id", how="anti")
    found = top_flags(ws, store, MODEL, where={"market": "TH"})
    assert found.ruled == thai.height - left.height > 0
    assert found.table.select("rank", *KEY).rows() == left.select("rank", *KEY).rows()
    with pytest.raises(UserError, match="cannot filter by 'colour'; use one of market"):
        top_flags(ws, store, MODEL, where={"colour": "red"})
    with pytest.raises(ModelError, match="evenhand-7 has no scores"):
        top_flags(ws, store, "evenhand-7")


def test_when_everything_is_ruled_on_no_flag_is_open(world):
    ws, store, _ = world
    unnamed = scan_scores(ws, MODEL).select("case_id", "area", "policy_version", "label").unique().collect()
    store.add_rulings(
        [Ruling(**row, sme_id="s", ruled_at=AT) for row in unnamed.iter_rows(named=True)], by="test"
    )
    found = top_flags(ws, store, MODEL, top=20)
    assert found.table.is_empty() and tuple(found.table.columns) == COLUMNS and found.ruled == 4_000
