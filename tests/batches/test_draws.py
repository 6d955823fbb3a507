"""Tests draws and error rates on a workspace with made-up scores and known truth."""

import sqlite3
from datetime import date, timedelta

import polars as pl
import pytest
from worlds import scored_world
from worlds.scored_world import AT, draw, rule, said, true_rate

from evenhand.batches.population import scored_frame, unscored
from evenhand.errors import EstimateError, SampleError
from evenhand.flags import top_flags
from evenhand.rates.question import Question
from evenhand.rates.table import estimate_draws
from evenhand.records.people import User
from evenhand.report.model import collect
from evenhand.workspace.lake import decision_files, score_file


def test_a_draw_keeps_its_frame_and_every_probability(world):
    ws, store, _ = world
    drawn = draw(world)
    frame = pl.read_parquet(ws.root / drawn.frame_file)
    items = store.items(drawn.draw_id)
    assert frame.height == drawn.frame_size == 4_000
    assert frame["pi"].sum() == pytest.approx(200) and frame["pi"].is_between(0, 1, closed="right").all()
    assert items.height == 200 and items["decision_id"].n_unique() == 200
    joined = items.join(frame, on="decision_id", suffix="_frame", validate="1:1")
    assert joined["pi"].to_list() == joined["pi_frame"].to_list()


def test_no_two_draws_share_their_random_numbers_whatever_their_seed(world):
    _, store, _ = world
    ids = [
        set(store.items(draw(world, seed=seed, at=AT + timedelta(hours=i)).draw_id)["decision_id"])
        for i, seed in enumerate((1, 1, 2))
    ]
    sure = 60  # a good part is drawn for certain each time
    assert len(ids[0] & ids[1]) < sure + 40 and ids[0] != ids[1] != ids[2]


def test_what_an_earlier_draw_left_is_drawn_as_often_as_its_probabilities_promise(world):
    ws, store, _ = world
    first = draw(world, budget=200, filters={"market": "TH"})
    rule(world, first)
    second = draw(world, budget=1_500, at=AT + timedelta(days=7))
    frame = pl.read_parquet(ws.root / second.frame_file)
    left = frame.filter(pl.col("market") == "TH")
    promised = left["pi"].sum()
    drawn = store.items(second.draw_id).filter(pl.col("market") == "TH").height
    spread = (left["pi"] * (1 - left["pi"])).sum() ** 0.5
    assert left.height > 200 and promised > 30
    assert abs(drawn - promised) < 4 * spread


def test_the_same_call_at_the_same_moment_gives_the_same_items_and_is_stored_once(world, truth, tmp_path):
    _, store, _ = world
    first = draw(world)
    twin = scored_world.build(tmp_path / "twin", truth)
    again = draw(twin)
    assert store.items(first.draw_id)["decision_id"].equals(twin[1].items(again.draw_id)["decision_id"])
    twin[1].close()
    before = (world[0].root / first.frame_file).read_bytes()
    with pytest.raises(SampleError, match="is there already"):
        draw(world)
    assert (world[0].root / first.frame_file).read_bytes() == before


def unscore(ws, days=7):
    """Remove the scores of the last days, as after an interrupted scoring run.

    Returns how many decisions have no score.
    """
    files = decision_files(ws)[-days:]
    for file in files:
        score_file(ws, scored_world.MODEL, file).unlink()
    return sum(pl.scan_parquet(file).select(pl.len()).collect().item() for file in files)


def test_decisions_without_a_score_are_counted_beside_every_figure(world):
    ws, store, _ = world
    missing = unscore(ws)
    drawn = draw(world)
    assert drawn.unscored == missing and drawn.frame_size == 4_000 - missing
    rule(world, drawn)
    table = estimate_draws(ws, store)
    assert table.outside is not None
    assert (table.outside.decisions, table.outside.outside) == (4_000, missing)
    assert sum(table.outside.unscored.values()) == missing
    words = f"{missing:,} of 4,000 decisions of this period and filter are outside these rates"
    assert any(words in note for note in said(table))
    report = collect(ws, store, made_at=AT)
    assert any(words in note for note in said(report))
    assert sum(top_flags(ws, store, scored_world.MODEL).unscored.values()) == missing
    _, left_out = scored_frame(ws, store, scored_world.MODEL)
    assert left_out == (200, missing)


def test_a_version_that_the_model_does_not_cover_is_named(world):
    ws, store, _ = world
    for file in decision_files(ws):
        scores = score_file(ws, scored_world.MODEL, file)
        rows = pl.read_parquet(scores)
        rows.filter(pl.col("policy_version") != "short-video/2026-02").write_parquet(scores)
    new = pl.scan_parquet(decision_files(ws)).filter(pl.col("policy_version") == "short-video/2026-02")
    missing = new.select(pl.len()).collect().item()
    rule(world, draw(world))
    note = " ".join(said(estimate_draws(ws, store)))
    assert f"{missing:,} have no score by evenhand-1 ({missing:,} under short-video/2026-02)" in note
    assert unscored(ws, scored_world.MODEL, filters={"market": "XX"}) == {}


def test_the_interval_holds_the_true_rate_and_classes_stand_apart(world):
    drawn = draw(world, budget=600)
    rule(world, drawn)
    table = estimate_draws(world[0], world[1], Question(by=("area",)))
    total = table.overall.total
    assert total.low <= true_rate(world, drawn) <= total.high
    assert total.n_reviewed == 600 and total.population == 4_000
    parts = table.overall.over_enforcement, table.overall.under_enforcement, table.overall.wrong_policy
    assert sum(part.errors_found for part in parts) == total.errors_found > 0
    assert all(part.rate <= total.high for part in parts)
    assert sum(domain.total.population for domain in table.domains) == 4_000


def test_a_prefix_of_the_queue_is_valid_and_says_so(world):
    drawn = draw(world, budget=600)
    rule(world, drawn, take=300)
    table = estimate_draws(*world[:2])
    assert table.overall.total.low <= true_rate(world, drawn) <= table.overall.total.high
    assert any("300 of 600 cases are not ruled yet" in note for note in said(table))


def test_skipped_cases_are_counted_as_missing(world):
    ws, store, _ = world
    drawn = draw(world, budget=100)
    first = store.take_item(drawn.draw_id, User(user_id="s", role="sme"), at=AT).item
    store.skip_item(drawn.draw_id, first.decision_id, sme_id="s", reason="video gone", at=AT)
    rule(world, drawn)
    ruling = store.rulings(draw_id=drawn.draw_id).filter(pl.col("decision_id") == first.decision_id)["id"][0]
    store.undo_ruling(ruling, by="s")
    notes = " ".join(said(estimate_draws(ws, store)))
    assert "1 case was skipped (video gone 1); missing at random" in notes


def test_unclear_policy_is_nobodys_error(world):
    drawn = draw(world, budget=100)
    rule(world, drawn, error_class="policy_unclear")
    overall = estimate_draws(*world[:2]).overall
    assert overall.total.errors_found == 0 and overall.policy_unclear.errors_found == 100


def test_no_draw_and_no_ruling_are_told_apart(world):
    with pytest.raises(EstimateError, match="no draw yet"):
        estimate_draws(*world[:2])
    draw(world)
    with pytest.raises(EstimateError, match="no ruling on a drawn case yet"):
        estimate_draws(*world[:2])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"budget": 4_001}, "from a frame of 4,000"),
        ({"budget": 0}, "at least 1"),
        ({"since": date(2026, 3, 2), "until": date(2026, 3, 2)}, "holds no day"),
        ({"model": "evenhand-9"}, "no decision scored by evenhand-9"),
        ({"filters": {"colour": "red"}}, "cannot filter by 'colour'"),
        ({"filters": {"market": "XX"}}, "no decision scored"),
    ],
)
def test_a_draw_that_cannot_be_is_refused_and_leaves_nothing(world, options, words):
    ws, store, _ = world
    with pytest.raises(SampleError, match=words):
        draw(world, **options)
    assert not store.draws() and not list(ws.draws_dir.glob("*.parquet"))


def test_ruled_decisions_leave_the_next_frame(world):
    first = draw(world, budget=150)
    rule(world, first)
    second = draw(world, budget=50, at=AT + timedelta(days=1))
    assert second.excluded_ruled == 150 and second.frame_size == 3_850


def test_draws_of_two_periods_are_pooled_and_overlapping_ones_are_not(world):
    ws, store, _ = world
    early = draw(world, until=date(2026, 2, 23))
    late = draw(world, since=date(2026, 2, 23), at=AT + timedelta(hours=1))
    rule(world, early)
    rule(world, late)
    pooled = estimate_draws(ws, store, Question(by=("policy_version",)))
    assert set(pooled.draws) == {early.draw_id, late.draw_id}
    assert pooled.overall.total.population == 4_000 and len(pooled.domains) == 2
    over = draw(world, at=AT + timedelta(hours=2))
    rule(world, over)
    with pytest.raises(EstimateError, match="overlap"):
        estimate_draws(
            ws,
            store,
            Question(
                draws=(
                    early.draw_id,
                    over.draw_id,
                )
            ),
        )
    assert any("left out" in note for note in said(estimate_draws(ws, store)))


def test_a_domain_column_nobody_knows_is_refused(world):
    with pytest.raises(EstimateError, match="cannot split by 'colour'"):
        estimate_draws(world[0], world[1], Question(by=("colour",)))


def test_a_lost_frame_is_named(world):
    ws, store, _ = world
    drawn = draw(world, budget=50)
    rule(world, drawn)
    (ws.root / drawn.frame_file).unlink()
    with pytest.raises(EstimateError, match="restore it from a backup"):
        estimate_draws(ws, store)


def test_a_frame_that_was_changed_after_the_draw_is_refused(world):
    ws, store, _ = world
    drawn = draw(world, budget=50)
    rule(world, drawn)
    file = ws.root / drawn.frame_file
    pl.read_parquet(file).with_columns(pi=pl.col("pi") * 0.9).write_parquet(file)
    with pytest.raises(EstimateError, match="not the frame that was drawn"):
        estimate_draws(ws, store)


def test_a_draw_says_frame_design_model_and_policy(world):
    drawn = draw(world, since=date(2026, 2, 23), filters={"area": "harassment"})
    assert world[1].draw(drawn.draw_id) == drawn
    assert drawn.design == "take-all and defensive square root, Pareto"
    assert drawn.model_version == "evenhand-1" and set(drawn.policy_versions) <= {
        policy.version for policy in world[1].policies()
    }
    frame = pl.read_parquet(world[0].root / drawn.frame_file)
    assert drawn.frame_size == frame.height and set(frame["area"]) == {"harassment"}


def test_a_second_draw_of_0_1_with_the_same_numbers_is_called_biased(world):
    """Such a draw cannot be mended: its probabilities were false when they were stored."""
    ws, store, _ = world
    early = draw(world, budget=60, until=date(2026, 2, 23))
    late = draw(world, budget=60, until=date(2026, 2, 23), at=AT + timedelta(days=7))
    rule(world, late)
    assert not any("random numbers" in note for note in said(estimate_draws(ws, store)))
    with sqlite3.connect(ws.root / "store.db") as raw:  # as 0.1 left them
        names = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for name in names:
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("UPDATE draws SET record = json_remove(record, '$.number')")
    (note,) = [note for note in said(estimate_draws(ws, store)) if "random numbers" in note]
    assert f"random numbers of draw {early.draw_id}" in note and "biased; draw again" in note
