import numpy as np
import polars as pl
import pytest

from models.flagging import FEATURES, Flagger, LabelView


def a_view(n: int, seed: int = 0):
    """Decisions whose label fits the text less and less; half of the moderators are careless."""
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
            "moderator_id": moderators,
        }
    )
    return LabelView(encoder, encoder, encoder, np.zeros(n, np.int64)), decisions, wrong


def fitted(weight=None):
    view, decisions, wrong = a_view(3_000)
    flagger = Flagger()
    flagger.learn_histories(decisions["moderator_id"].to_list(), ["spam/fine"] * 3_000, wrong)
    view, decisions, wrong = a_view(3_000, seed=1)
    features = flagger.features(view, decisions)
    flagger.fit(features, wrong, np.ones(3_000) if weight is None else weight(wrong))
    return flagger


def test_p_overturn_means_what_it_says_on_unseen_decisions():
    flagger = fitted()
    view, decisions, wrong = a_view(20_000, seed=2)
    p = flagger.p_overturn(flagger.features(view, decisions))
    for part in np.array_split(np.argsort(p), 5):
        assert p[part].mean() == pytest.approx(wrong[part].mean(), abs=0.03)


def test_drawn_cases_count_by_their_weight_and_without_it_p_would_be_off():
    """Nine in ten right decisions are left out of the batch; 1 / pi brings them back."""
    flagger = Flagger()
    view, decisions, wrong = a_view(20_000, seed=3)
    flagger.learn_histories(decisions["moderator_id"].to_list(), ["spam/fine"] * 20_000, wrong)
    features = flagger.features(view, decisions)
    pi = np.where(wrong == 1, 0.9, 0.1)
    kept = np.random.default_rng(4).random(20_000) < pi
    flagger.fit(features[kept], wrong[kept], 1 / pi[kept])
    assert flagger.p_overturn(features).mean() == pytest.approx(wrong.mean(), abs=0.01)
    flagger.fit(features[kept], wrong[kept], np.ones(kept.sum()))
    assert flagger.p_overturn(features).mean() > 1.5 * wrong.mean()


def test_a_moderator_without_history_is_neither_raised_nor_lowered():
    flagger = fitted()
    column = FEATURES.index("moderator_history")
    view, decisions, _ = a_view(2)
    known = flagger.features(view, decisions.with_columns(pl.Series("moderator_id", ["m9", "new"])))
    assert known[0, column] > 0 and known[1, column] == 0


def test_reasons_say_only_what_is_true():
    flagger = fitted()
    pair = [np.array([0.9, 0.1]), np.array([0.1, 0.9])]
    view = LabelView(pair, [np.array([0.9, 0.1])] * 2, pair, np.zeros(2, np.int64))
    decisions = pl.DataFrame(
        {"text": ["a", "b"], "area": ["spam"] * 2, "label": ["fine"] * 2, "moderator_id": ["m0", "m9"]}
    )
    features = flagger.features(view, decisions)
    plain, flagged = flagger.reasons(decisions, ["fine", "spam"], np.array([0.9, 0.9]), features)
    assert plain == "nothing stands out"
    assert flagged.startswith("reads like spam (90%), decided fine")
    assert "moderator m9" in flagged
    assert "similar texts are seldom decided fine (10%)" in flagged


def test_a_flagger_comes_back_as_saved(tmp_path):
    flagger = fitted()
    flagger.save(tmp_path)
    again = Flagger.load(tmp_path)
    view, decisions, _ = a_view(50, seed=5)
    features = flagger.features(view, decisions)
    assert np.array_equal(again.features(view, decisions), features)
    assert np.allclose(again.p_overturn(features), flagger.p_overturn(features))
    assert again.moderators == flagger.moderators and again.base_rate == flagger.base_rate


def test_a_moderators_history_can_be_switched_off():
    view, decisions, wrong = a_view(3_000)
    flagger = Flagger(use_history=False)
    flagger.learn_histories(decisions["moderator_id"].to_list(), ["spam/fine"] * 3_000, wrong)
    features = flagger.features(view, decisions)
    flagger.fit(features, wrong, np.ones(3_000))
    assert not features[:, FEATURES.index("moderator_history")].any() and flagger.moderators == {}
    other = decisions.with_columns(pl.Series("moderator_id", decisions["moderator_id"].to_list()[::-1]))
    assert np.array_equal(flagger.p_overturn(flagger.features(view, other)), flagger.p_overturn(features))
    assert not any(
        "moderator" in line
        for line in flagger.reasons(decisions, ["spam"] * 3_000, np.full(3_000, 0.9), features)
    )
