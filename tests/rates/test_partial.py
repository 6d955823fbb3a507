"""Tests an unfinished batch: which part of the queue counts, and with which probability."""

import numpy as np
import polars as pl
import pytest
from builders import a_draw
from worlds.scored_world import draw, rule, said, true_rate

from evenhand.rates.table import estimate_draws
from evenhand.rates.unfinished_batches import partly_reviewed
from evenhand.statistics.design import Design
from evenhand.statistics.draw import pareto_draw
from evenhand.wording.notes import said_note

N = 2_000  # decisions: half in Thai with few errors, half in English with many


def population():
    """A market with two languages: the frame with `pi`, and which decisions are wrong."""
    rng = np.random.default_rng(5)
    thai = np.arange(N) % 2 == 0
    wrong = rng.random(N) < np.where(thai, 0.02, 0.30)
    p = np.clip(rng.beta(1, 9, N), 0.01, 0.9)
    pi = Design(p, 400).probabilities(0.2)
    frame = pl.DataFrame({"market": "TH", "language": np.where(thai, "th", "en"), "pi": pi, "inside": True})
    return frame, wrong


def drawn(frame, rng):
    """The drawn items in queue order, without rulings."""
    pi = frame["pi"].to_numpy()
    place = pareto_draw(pi, rng.random(N))
    rows = frame[place].select("market", "language")
    return rows.with_columns(
        place=pl.Series(place),
        position=pl.Series(np.arange(len(place))),
        take_all=pl.Series(pi[place] >= 1),
        skipped=False,
        ruled_label=pl.lit(None, pl.String),
    )


def ruled(items, done):
    """The items with a ruling where `done` is true."""
    return items.with_columns(ruled_label=pl.when(done).then(pl.lit("x")))


def rate(frame, items, wrong, notes=None):
    """The Horvitz-Thompson share of errors from the ruled `items`."""
    told = partly_reviewed(frame, items, {"TH": 1}, a_draw())
    assert not told.untold
    fresh = told.frame
    if notes is not None:
        notes += words(told)
    place = items.filter(pl.col("ruled_label").is_not_null())["place"].to_numpy()
    return float((wrong[place] / fresh["pi"].to_numpy()[place]).sum() / N)


def words(told):
    return [said_note(note) for note in told.notes]


def first(items, language, share):
    """Whether a case is in the first `share` of its language's queue."""
    own = items.filter(pl.col("language") == language)
    last = own["position"][int(share * own.height) - 1]
    return (pl.col("language") == language) & (pl.col("position") <= last)


def test_languages_that_went_to_different_people_are_weighed_up_apart():
    frame, wrong = population()
    rng = np.random.default_rng(11)
    apart, together = [], []
    for _ in range(400):
        items = drawn(frame, rng)
        items = ruled(items, first(items, "th", 1.0) | first(items, "en", 0.3))
        apart.append(rate(frame, items, wrong))
        one_queue = items.with_columns(language=pl.lit("th"))
        together.append(rate(frame.with_columns(language=pl.lit("th")), one_queue, wrong))
    error = np.std(apart) / np.sqrt(len(apart))
    assert abs(np.mean(apart) - wrong.mean()) < 4 * error
    assert np.mean(together) < wrong.mean() - 0.03, "one queue would hide that English lags behind"


def test_a_market_worked_as_one_queue_is_one_lane_whoever_is_in_flight():
    frame, wrong = population()
    items = drawn(frame, np.random.default_rng(1))
    whole = ruled(items, pl.col("position") < 120)
    told = partly_reviewed(frame, whole, {"TH": 2}, a_draw())
    assert told.frame["pi"].sum() == pytest.approx(120) and not told.notes
    in_flight = ruled(items, (pl.col("position") < 120) & ~pl.col("position").is_in([117, 118]))
    told = partly_reviewed(frame, in_flight, {"TH": 2}, a_draw())
    assert told.frame["pi"].sum() == pytest.approx(118)
    assert words(told) == ["draw d1: 2 cases are in flight or passed over in the queue; missing at random"]


def test_skipped_cases_do_not_split_a_market():
    frame, wrong = population()
    items = drawn(frame, np.random.default_rng(2))
    gone = pl.col("position").is_in(list(range(0, 60, 3)))
    items = ruled(items, (pl.col("position") < 120) & ~gone).with_columns(skipped=gone)
    told = partly_reviewed(frame, items, {"TH": 1}, a_draw())
    assert told.frame["pi"].sum() == pytest.approx(100) and not told.notes


def test_a_language_without_a_ruling_leaves_the_population_and_is_named():
    frame, wrong = population()
    items = drawn(frame, np.random.default_rng(3))
    items = ruled(items, first(items, "th", 0.5))
    told = partly_reviewed(frame, items, {"TH": 1}, a_draw())
    fresh, notes = told.frame, words(told)
    assert told.untold == ({"market": "TH", "language": "en"},)
    assert not fresh.filter(pl.col("language") == "en")["inside"].any()
    assert fresh.filter(pl.col("language") == "th")["inside"].all()
    assert "too few rulings yet in TH en" in " ".join(notes)
    assert "languages of TH stand at different places" in " ".join(notes)


def test_a_batch_with_people_for_each_language_gives_an_interval_that_holds_the_truth(world):
    """With store and lake: half of the SMEs have finished their languages, the others a third of theirs."""
    drawn = draw(world, budget=900)
    items = world[1].items(drawn.draw_id)
    rule(world, drawn)
    quick = sorted(items["language"].unique())[::2]
    place = pl.col("position").rank().over("language") / pl.len().over("language")
    late = items.with_columns(place=place).filter(~pl.col("language").is_in(quick) & (pl.col("place") > 0.34))
    rulings = world[1].rulings(draw_id=drawn.draw_id)
    for ruling in rulings.filter(pl.col("decision_id").is_in(late["decision_id"].implode()))["id"]:
        world[1].undo_ruling(ruling, by="s")
    table = estimate_draws(*world[:2])
    total = table.overall.total
    assert total.n_reviewed == 900 - late.height and total.population == 4_000
    assert total.low <= true_rate(world, drawn) <= total.high
    assert f"{late.height} of 900 cases are not ruled yet" in " ".join(said(table))


def test_what_is_in_flight_is_handed_out_and_counted_missing(world):
    drawn = draw(world, budget=100)
    rule(world, drawn, take=50)
    first = world[1].rulings(draw_id=drawn.draw_id)["id"][0]
    world[1].undo_ruling(first, by="s")
    notes = " ".join(said(estimate_draws(*world[:2])))
    assert "1 case is in flight or passed over in the queue; missing at random" in notes
