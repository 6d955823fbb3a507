"""Tests which slices stand out: planted ones do, others do not, and little evidence gives no result."""

import json

import numpy as np
import polars as pl
import pytest
from scipy import stats
from worlds.scored_world import draw, rule

from cli.main import main
from evenhand.errors import EstimateError, UserError
from evenhand.rates.improvement_areas import FALSE_SHARE, elsewhere, find_areas, p_higher
from evenhand.rates.question import Question
from evenhand.rates.table import estimate_draws
from evenhand.statistics.estimator import Estimate


def estimate(errors: float, reviewed: int, population: int = 10_000) -> Estimate:
    return Estimate(
        rate=errors / reviewed,
        low=0.0,
        high=1.0,
        n_reviewed=reviewed,
        n_eff=reviewed,
        errors_found=int(errors),
        population=population,
        method="logit-t",
        status="measured",
    )


def test_the_p_value_errs_on_the_side_of_silence_and_is_fishers_for_whole_counts():
    rng = np.random.default_rng(4)
    found = np.array(
        [
            p_higher(estimate(a, 60), (b / 400, 400.0))
            for a, b in zip(rng.binomial(60, 0.1, 800), rng.binomial(400, 0.1, 800), strict=True)
        ]
    )
    for level in (0.2, 0.1, 0.05):
        assert (found <= level).mean() <= level + 2 * np.sqrt(level * (1 - level) / 800)
    ours = p_higher(estimate(14, 60), (40 / 400, 400.0))
    theirs = stats.fisher_exact(np.array([[14, 40], [46, 360]]), alternative="greater").pvalue
    assert ours == pytest.approx(theirs, rel=0.01)
    assert p_higher(estimate(0, 60), (0.1, 400.0)) == 1.0


def test_the_rate_elsewhere_is_what_is_left_of_the_whole():
    whole, part = estimate(100, 1_000, 10_000), estimate(30, 100, 1_000)
    mean, reviews = elsewhere(whole, part)
    assert mean == pytest.approx((1_000 - 300) / 9_000)
    assert 0 < reviews < 2_000


def test_a_planted_cluster_is_found_with_its_confusion_and_its_examples(world):
    ws, store, known = world
    drawn = draw(world, budget=1_200)
    rule(world, drawn)
    areas, _ = find_areas(ws, store)
    assert areas
    frame = pl.read_parquet(ws.root / drawn.frame_file).join(known, on="decision_id")
    wrong = frame["label"] != frame["true_label"]
    for area in areas:
        inside = frame.select(pl.all_horizontal(pl.col(n) == v for n, v in area.where.items())).to_series()
        assert "moderator_id" not in area.where
        assert area.q_value <= FALSE_SHARE and area.rate.status == "measured"
        assert wrong.filter(inside).mean() > wrong.filter(~inside).mean(), area.where
        rest = area.elsewhere
        assert rest.low <= wrong.filter(~inside).mean() <= rest.high
        assert rest.n_reviewed + area.rate.n_reviewed == 1_200
        assert rest.population == frame.height - area.rate.population
        examples = frame.filter(pl.col("decision_id").is_in(area.examples))
        assert examples.height == len(area.examples) > 0
        assert (examples["label"] != examples["true_label"]).all()
        assert area.confusions[0].found >= 1 and area.confusions[0].decided in area.sentence()
    assert [area.excess for area in areas] == sorted((a.excess for a in areas), reverse=True)
    slice_rate = estimate_draws(ws, store, Question(filters=areas[0].where)).overall.total
    assert areas[0].rate.rate == pytest.approx(slice_rate.rate)


def test_errors_strewn_at_random_are_no_area(world):
    """The same world with new true labels, so that every decision has the same chance to be wrong."""
    ws, store, known = world
    drawn = draw(world, budget=600)
    rng = np.random.default_rng(11)
    frame = pl.read_parquet(ws.root / drawn.frame_file).select(
        "decision_id", "label", "area", "policy_version"
    )
    other = {
        (version, area.name): [label.name for label in area.labels]
        for version in frame["policy_version"].unique()
        for area in store.policy(version).areas
    }
    flat = [
        next(name for name in other[row["policy_version"], row["area"]] if name != row["label"])
        if rng.random() < 0.1
        else row["label"]
        for row in frame.iter_rows(named=True)
    ]
    rule((ws, store, frame.select("decision_id").with_columns(true_label=pl.Series(flat))), drawn)
    assert len(find_areas(ws, store)[0]) <= 1


def test_a_handful_of_rulings_names_nothing_and_none_at_all_is_refused(world):
    ws, store, _ = world
    with pytest.raises(EstimateError, match="no draw yet"):
        find_areas(ws, store)
    rule(world, draw(world, budget=12))
    assert find_areas(ws, store)[0] == []


def run(world, *args: str) -> int:
    return main(["--workspace", str(world[0].root), "improve", *args])


def test_an_area_goes_from_found_to_closed_and_every_step_stays_on_record(world, capsys):
    _, store, _ = world
    rule(world, draw(world, budget=900))
    assert run(world, "find", "--json") == 0
    areas = json.loads(capsys.readouterr().out)["areas"]
    place = [part for name, value in areas[0]["where"].items() for part in ("--where", f"{name}={value}")]
    assert run(world, "open", *place, "--owner", "Lina", "--due", "2026-05-01", "--json") == 0
    opened = json.loads(capsys.readouterr().out)
    name = opened["improvement_id"]
    assert opened["found"]["rate"] == pytest.approx(areas[0]["rate"]["rate"])
    assert run(world, "open", *place) == 2
    assert "is open for the same slice" in capsys.readouterr().err
    assert run(world, "measure", name) == 2
    assert "no action is noted" in capsys.readouterr().err
    assert run(world, "set", name, "--cause", "policy_misread", "--action", "briefing with examples") == 0
    capsys.readouterr()
    assert run(world, "measure", name, "--at", "2026-02-16", "--json") == 0
    measured = json.loads(capsys.readouterr().out)
    whole = measured["before"]["n_reviewed"] + measured["after"]["n_reviewed"]
    assert whole == areas[0]["rate"]["n_reviewed"]
    assert measured["verdict"] in ("real", "within noise", "not known yet")
    assert run(world, "close", name, "--reason", "guideline rewritten") == 0
    assert run(world, "set", name, "--owner", "Ben") == 2
    assert run(world, "close", name, "--reason", "again") == 2
    assert capsys.readouterr().err.count("is closed") == 2
    assert run(world, "list") == 0
    assert "briefing with examples" in capsys.readouterr().out
    (kept,) = store.improvements()
    assert (kept.owner, kept.cause, kept.closed) == ("Lina", "policy_misread", "guideline rewritten")
    assert [dict(m) for m in kept.measured] == [measured] and not kept.open
    log = store.audit_log()
    steps = log.filter(pl.col("subject") == name)["action"].to_list()
    assert steps == [f"improvement_{k}" for k in ("opened", "changed", "changed", "measured", "closed")]


@pytest.mark.parametrize(
    ("given", "what"),
    [({"due": "soon"}, "no day"), ({"cause": "laziness"}, "laziness"), ({"colour": "red"}, "colour")],
)
def test_an_improvement_with_a_wrong_field_is_refused_and_not_half_opened(world, given, what):
    from worlds.scored_world import AT

    store = world[1]
    with pytest.raises(UserError, match=what):
        store.open_improvement({"market": "TH"}, {"rate": 0.2}, by="test", at=AT, **given)
    assert store.improvements() == []
    with pytest.raises(UserError, match="evenhand improve list"):
        store.improvement("nothing")
