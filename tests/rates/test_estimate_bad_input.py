"""Tests draws and error rates on extreme input: a right answer, or an error that says what to do."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from worlds.scored_world import AT, MODEL, draw, rule, said, true_rate

from evenhand.errors import EstimateError, SampleError
from evenhand.ingest import ingest_decisions, ingest_rulings
from evenhand.rates.question import Question
from evenhand.rates.table import estimate_draws
from evenhand.records.columns import SCORES
from evenhand.records.ruling import Ruling
from evenhand.statistics.estimator import Estimate
from evenhand.store import Store
from evenhand.synthetic.sample_policies import sample_policies
from evenhand.workspace.lake import decision_files, score_file
from evenhand.workspace.workspace import create_workspace

POLICY = "short-video/2026-02"
COLUMNS = "case_id,text,language,market,queue,area,policy_version,label,moderator_id,decided_at"


def with_scores(world, score, model: str = MODEL) -> None:
    """Give every decision the score `score(rows)`, as another run of `evenhand score` would."""
    ws = world[0]
    for file in decision_files(ws):
        rows = pl.read_parquet(file)
        target = score_file(ws, model, file)
        target.parent.mkdir(parents=True, exist_ok=True)
        made_up: dict[str, Any] = {
            "predicted_label": pl.col("label"),
            "p_predicted": 0.5,
            "p_decided": 0.5,
            "reasons": pl.lit(""),
            "support": pl.lit("good"),
            "model_version": pl.lit(model),
        }
        scored = rows.with_columns(pl.Series("p_overturn", score(rows), pl.Float64), **made_up)
        scored.select([pl.col(name).cast(kind) for name, kind in SCORES.items()]).write_parquet(target)


def total(world, **options) -> Estimate:
    return estimate_draws(world[0], world[1], Question(**options)).overall.total


def notes(world, **options) -> str:
    return " | ".join(said(estimate_draws(world[0], world[1], Question(**options))))


def write(folder, rows, name="decisions.csv", columns=COLUMNS):
    file = folder / name
    file.write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8")
    return file


def a_row(
    case: str, decided_at: str, market: str = "TH", moderator: str = "m1", label: str = "no_violation"
) -> str:
    return f"{case},a mild text {case},en,{market},live,harassment,{POLICY},{label},{moderator},{decided_at}"


@pytest.fixture
def small(tmp_path):
    """A function that builds a scored world from decision rows."""
    stores = []

    def build(rows, score=lambda rows: np.full(rows.height, 0.2)):
        ws = create_workspace(tmp_path / "small")
        store = Store.open(ws.store_url)
        stores.append(store)
        for policy, text in sample_policies():
            store.add_policy(policy, text, by="test")
        report = ingest_decisions(ws, store.policies(), write(tmp_path, rows))
        assert report.added == len(rows), report.reasons
        known = pl.concat(pl.read_parquet(file) for file in decision_files(ws))
        found = ws, store, known.select("decision_id", pl.col("label").alias("true_label"))
        with_scores(found, score)
        return found

    yield build
    for store in stores:
        store.close()


@pytest.mark.parametrize(
    ("budget", "words"),
    [(0, "ask for at least 1 case"), (-3, "a draw of -3"), (4_001, "ask for fewer, or widen")],
)
def test_a_budget_that_cannot_be_is_refused(world, budget, words):
    with pytest.raises(SampleError, match=words):
        draw(world, budget=budget)


def test_a_budget_of_one_is_drawn_and_tells_nothing_yet(world):
    drawn = draw(world, budget=1)
    assert world[1].items(drawn.draw_id).height == 1 and drawn.pi_min > 0
    rule(world, drawn)
    one = total(world)
    assert (one.n_reviewed, one.status) == (1, "unknown")
    assert 0 <= one.low <= one.rate <= one.high <= 1 and one.high > 0.5
    assert one.reviews_needed > 0


def test_a_census_is_exact(small):
    world = small([a_row(f"c{n}", "2026-03-02T10:00:00Z") for n in range(40)])
    drawn = draw(world, budget=40)
    assert world[1].items(drawn.draw_id)["pi"].to_list() == [1.0] * 40
    rule(world, drawn)
    rate = total(world)
    assert rate.rate == rate.low == rate.high == 0 and rate.n_reviewed == 40


def test_a_cell_of_one_decision_can_be_drawn_and_has_an_honest_rate(small):
    rows = [a_row(f"c{n}", "2026-03-02T10:00:00Z") for n in range(60)] + [
        a_row("lone", "2026-03-02T10:00:00Z", market="MO")
    ]
    world = small(rows)
    drawn = draw(world, budget=20)
    frame = pl.read_parquet(world[0].root / drawn.frame_file)
    lone = frame.filter(pl.col("market") == "MO")["pi"].item()
    assert lone == 1.0 > frame.filter(pl.col("market") == "TH")["pi"].median(), "the floor lifts small cells"
    rule(world, drawn)
    domains = {
        d.domain["market"]: d.total
        for d in estimate_draws(world[0], world[1], Question(by=("market", "area"))).domains
    }
    alone = domains["MO"]
    assert (alone.population, alone.n_reviewed, alone.rate, alone.low, alone.high) == (1, 1, 0, 0, 0)
    assert domains["TH"].population == 60 and domains["TH"].high > 0


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_equal_scores_give_a_plain_sample_and_its_plain_rate(world, p):
    with_scores(world, lambda rows: np.full(rows.height, p))
    drawn = draw(world, budget=400)
    frame = pl.read_parquet(world[0].root / drawn.frame_file)
    assert frame["pi"].sum() == pytest.approx(400) and drawn.pi_min > 0
    assert drawn.phi < 0.15, "no score stands out, so hardly any is taken for certain"
    rule(world, drawn)
    rate = total(world)
    assert rate.low <= true_rate(world, drawn) <= rate.high and np.isfinite([rate.low, rate.high]).all()


def test_scores_of_exactly_0_and_1_leave_room_for_doubt(world):
    rng = np.random.default_rng(3)
    with_scores(world, lambda rows: rng.integers(0, 2, rows.height).astype(float))
    drawn = draw(world, budget=400)
    frame = pl.read_parquet(world[0].root / drawn.frame_file)
    assert set(frame["p_overturn"]) == {0.0, 1.0}
    assert frame.filter(pl.col("p_overturn") == 0)["pi"].min() > 0
    rule(world, drawn)
    rate = total(world)
    assert rate.low <= true_rate(world, drawn) <= rate.high


@pytest.mark.parametrize("bad", [float("nan"), 1.2, -0.1])
def test_a_score_that_is_none_is_refused(world, bad):
    with_scores(world, lambda rows: np.r_[np.full(rows.height - 1, 0.2), bad])
    with pytest.raises(SampleError, match="score the decisions again"):
        draw(world)


def test_rulings_outside_the_draw_alone_give_no_rate_and_are_counted(world):
    drawn = draw(world, budget=50)
    ids = world[1].items(drawn.draw_id)["decision_id"]
    other = pl.concat(pl.read_parquet(f) for f in decision_files(world[0])).filter(
        ~pl.col("decision_id").is_in(ids.implode())
    )
    gold = [
        Ruling(
            case_id=row["case_id"],
            area=row["area"],
            policy_version=row["policy_version"],
            label=row["label"],
            sme_id="s",
            ruled_at=AT,
            decision_moderator_id=row["moderator_id"],
        )
        for row in other.head(7).iter_rows(named=True)
    ]
    world[1].add_rulings(gold, by="test")
    with pytest.raises(EstimateError, match=r"7 rulings on cases that were not drawn cannot tell one"):
        total(world)
    rule(world, drawn)
    assert total(world).n_reviewed == 50
    assert "7 rulings on cases never drawn are kept as gold for training" in notes(world)


def test_an_sme_who_ruled_twice_counts_once_with_the_last_word(world):
    drawn = draw(world, budget=100)
    rule(world, drawn, error_class="technical")
    first = total(world)
    assert first.errors_found == 100
    rule(world, drawn, take=40, ruled_at=AT + timedelta(days=1), error_class=None, sme_id="s")
    assert total(world).n_reviewed == 100 and total(world).errors_found < 100
    assert "40 cases were ruled more than once, the newest ruling counts" in notes(world)


def test_a_new_model_in_mid_draw_changes_nothing_of_the_open_batch(world):
    drawn = draw(world, budget=300)
    rule(world, drawn, take=150)
    before = total(world)
    with_scores(world, lambda rows: np.full(rows.height, 0.9), model="evenhand-2")
    # and the scores of the old model are made again
    with_scores(world, lambda rows: np.full(rows.height, 0.01))
    after = total(world)
    for name in ("rate", "low", "high"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), rel=1e-12)
    rule(world, drawn)
    table = estimate_draws(*world[:2])
    assert table.model_versions == (MODEL,) and table.overall.total.n_reviewed == 300
    assert table.overall.total.low <= true_rate(world, drawn) <= table.overall.total.high


def test_two_draws_by_two_models_over_one_period_are_never_counted_twice(world):
    first = draw(world, budget=100)
    rule(world, first)
    with_scores(world, lambda rows: np.full(rows.height, 0.1), model="evenhand-2")
    second = draw(world, budget=100, model="evenhand-2", at=AT + timedelta(hours=3))
    rule(world, second)
    table = estimate_draws(*world[:2])
    assert table.draws == (second.draw_id,) and table.model_versions == ("evenhand-2",)
    assert f"draw {first.draw_id} is left out" in " ".join(said(table))
    with pytest.raises(EstimateError, match="overlap"):
        total(world, draws=(first.draw_id, second.draw_id))


def test_a_policy_change_in_mid_window_is_said_and_periods_are_cut_there(world):
    drawn = draw(world, budget=800)
    rule(world, drawn)
    frame = pl.read_parquet(world[0].root / drawn.frame_file)
    first_new = frame.filter(pl.col("policy_version") == POLICY)["decided_at"].min().date()
    since, until = first_new - timedelta(days=7), first_new + timedelta(days=7)
    table = estimate_draws(world[0], world[1], Question(since=since, until=until, by=("month",)))
    assert "the frame spans policy versions" in notes(world, since=since, until=until)
    assert table.question.by == ("month", "policy_version")
    assert len(table.versions) == 2
    assert sum(v.total.population for v in table.versions) == table.overall.total.population
    for row in table.domains:
        inside = frame.filter(
            pl.col("decided_at").dt.date().is_between(since, until, closed="left")
            & (pl.col("policy_version") == row.domain["policy_version"])
            & (pl.col("decided_at").dt.strftime("%Y-%m-01") == row.domain["month"])
        )
        assert row.total.population == inside.height > 0


def test_clock_skew_is_said_and_each_ruling_still_counts_once(world):
    drawn = draw(world, budget=60)
    rule(world, drawn)
    assert "a clock was wrong" not in notes(world)
    exact = total(world)
    store = world[1]
    for id_ in store.rulings()["id"].to_list():
        store.undo_ruling(id_, by="s")
    rule(world, drawn, ruled_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert total(world) == exact
    assert "60 rulings are dated before their draw and 60 before the decision they are on" in notes(world)


def test_decisions_dated_in_the_future_are_counted_in_record_and_notes(small):
    rows = [a_row(f"c{n}", "2026-03-02T10:00:00Z") for n in range(30)]
    world = small([*rows, *(a_row(f"late{n}", "2031-03-02T10:00:00Z") for n in range(3))])
    drawn = draw(world, budget=20)
    assert drawn.dated_later == 3 and world[1].draw(drawn.draw_id).dated_later == 3
    rule(world, drawn)
    assert "3 decisions are dated later than the draw itself" in notes(world)
    assert total(world).population == 33
    assert total(world, until=date(2026, 4, 1)).population == 30


def test_a_day_is_a_utc_day_from_the_file_to_the_window(small):
    world = small(
        [
            a_row("evening", "2026-03-02T23:59:00+07:00"),  # 16:59 UTC on the 2nd
            a_row("night", "2026-03-03T00:30:00+07:00"),  # 17:30 UTC on the 2nd
            a_row("west", "2026-03-02T20:30:00-05:00"),  # 01:30 UTC on the 3rd
            a_row("last", "2026-03-02T23:59:59Z"),
            a_row("first", "2026-03-03T00:00:00Z"),
        ]
    )
    ws = world[0]
    days = {file.parent.name: pl.read_parquet(file)["case_id"].to_list() for file in decision_files(ws)}
    assert set(days["day=2026-03-02"]) == {"evening", "night", "last"}
    assert set(days["day=2026-03-03"]) == {"west", "first"}
    second = draw(world, budget=3, until=date(2026, 3, 3))
    assert set(world[1].items(second.draw_id)["case_id"]) == {"evening", "night", "last"}
    third = draw(world, budget=2, since=date(2026, 3, 3), at=AT + timedelta(hours=1))
    rule(world, second)
    rule(world, third)
    assert total(world).population == 5
    assert total(world, since=date(2026, 3, 2), until=date(2026, 3, 3)).population == 3
    populations = {
        row.domain["day"]: row.total.population
        for row in estimate_draws(world[0], world[1], Question(by=("day",))).domains
    }
    assert populations == {"2026-03-02": 3, "2026-03-03": 2}


def test_a_ruling_in_a_later_time_zone_is_the_later_word(small, tmp_path):
    """10:00 in Bangkok is earlier than 09:00 in London: the moments are compared, not the text."""
    world = small([a_row(f"c{n}", "2026-03-02T10:00:00Z") for n in range(5)])
    drawn = draw(world, budget=5)
    columns = "case_id,area,policy_version,label,sme_id,ruled_at"
    early = [f"c{n},harassment,{POLICY},insult,s,2026-04-02T10:00:00+07:00" for n in range(5)]
    late = [f"c{n},harassment,{POLICY},no_violation,s,2026-04-02T09:00:00+00:00" for n in range(5)]
    for name, rows in (("late.csv", late), ("early.csv", early)):
        report = ingest_rulings(
            world[0], world[1], write(tmp_path, rows, name, columns), by="t", draw_id=drawn.draw_id
        )
        assert report.added == 5, report.reasons
    assert total(world).errors_found == 0
    assert "5 with another label" in notes(world)
