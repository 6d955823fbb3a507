"""Tests the options of a report: its figures equal those of `evenhand estimate` with the same options.

Every file says which options it has.
"""

import csv
import json
from datetime import date, timedelta

import openpyxl
import polars as pl
import pytest
from pptx import Presentation
from worlds.scored_world import AT, build, draw, rule

from cli.main import main
from evenhand.rates import reviewed_frame as reviewed
from evenhand.rates.question import Question
from evenhand.report.dsa import reviewers_words
from evenhand.report.method import method
from evenhand.report.model import collect
from evenhand.report.narrative import narrative
from evenhand.report.write import WRITERS, writer_for
from evenhand.statistics.repeated_looks import Looks

SKIPPED = 8
OPTIONS = {
    "decisions": ((), "What was estimated: what one SME would overturn"),
    "views": (("--weight", "exposure"), "Share of exposure"),
    "panel": (("--estimand", "panel"), "What was estimated: what a panel would overturn"),
    "daily": (("--daily-looks",), "valid under daily looks"),
    "weekly": (("--weekly-looks", "12"), "valid under weekly looks"),
}
FIGURES = ("rate", "low", "high", "n_reviewed", "errors_found", "population", "status")
KINDS = ("total", "over_enforcement", "under_enforcement", "wrong_policy", "policy_unclear")


@pytest.fixture(scope="module")
def panelled(tmp_path_factory, truth):
    """A world in which SMEs ruled and skipped a few cases: (workspace, store, truth).

    A panel checked the rulings; it finds no violation anywhere.
    """
    world = build(tmp_path_factory.mktemp("panelled") / "w", truth)
    drawn = draw(world, budget=600)
    rule(world, drawn, take=600 - SKIPPED)
    for row in world[1].items(drawn.draw_id).tail(SKIPPED).iter_rows(named=True):
        world[1].skip_item(drawn.draw_id, row["decision_id"], sme_id="s", reason="cannot read", at=AT)
    says = {"source": "panel", "label": "no_violation", "error_class": None, "sme_id": "p"}
    rule(world, drawn, take=400, ruled_at=AT + timedelta(days=1), **says)
    yield world
    world[1].close()


def said(capsys, world, *args):
    """The JSON that a command printed."""
    code = main(["-w", str(world[0].root), *args, "--json"])
    out = capsys.readouterr()
    assert code == 0, out.err
    return json.loads(out.out)


def figures(estimate):
    return [estimate[name] for name in FIGURES]


def close(one, other):
    """Two lists of figures; sums of cells may differ in their last digits."""
    return one == [pytest.approx(x, rel=1e-9, abs=1e-12) if isinstance(x, float) else x for x in other]


def rows_of(file):
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def texts(file):
    """All text that a reader can see in a file."""
    if file.suffix == ".xlsx":
        book = openpyxl.load_workbook(file)
        return " ".join(str(cell) for sheet in book for row in sheet.values for cell in row if cell)
    if file.suffix == ".pptx":
        shapes = [shape for page in Presentation(file).slides for shape in page.shapes]
        return " ".join(shape.text_frame.text for shape in shapes if shape.has_text_frame)
    return file.read_text(encoding="utf-8")


@pytest.mark.parametrize("option", OPTIONS)
def test_every_figure_is_what_estimate_gives_with_the_same_option(panelled, capsys, tmp_path, option):
    args, _ = OPTIONS[option]
    out = tmp_path / "r.csv"
    report = said(capsys, panelled, "report", "--out", str(out), "--trend", "week", *args)
    whole = said(capsys, panelled, "estimate", *args)
    for kind in KINDS:
        assert close(figures(report["overall"][kind]), figures(whole["overall"][kind]))
    assert [report["basis"][n] for n in ("weight", "estimand", "looks", "asked_confidence")] == [
        whole[n] for n in ("weight", "estimand", "looks", "asked_confidence")
    ]
    table = rows_of(out)
    for by, name, key in (
        ("market", "by market", ("market",)),
        ("language", "dsa", ("language",)),
        ("week", "trend", ("step", "policy_version")),
        ("market,area", "by market+area", ("market", "area")),
    ):
        split = said(capsys, panelled, "estimate", "--by", by, *args)["domains"]
        found = {
            tuple(row[column] for column in key): row
            for row in table
            if (row["table"], row["outcome"]) == (name, "total")
            and row["measure"] in ("error rate", "possible rate of error")
            and row["status"] != "modelled"
            and (name != "dsa" or row["language"])
        }
        assert len(found) == len(split) > 1
        for rates in split:
            total = rates["total"]
            row = found[tuple(rates["domain"]["week" if c == "step" else c] for c in key)]
            assert int(row["n_reviewed"]) == total["n_reviewed"]
            assert (row["status"] == "measured") == (total["status"] == "measured")
            if total["status"] == "measured":
                assert close([float(row[n]) for n in FIGURES[:3]], figures(total)[:3])
            assert row["looks"] == whole["looks"]
            assert (row["weight"], row["estimand"]) == (whole["weight"], whole["estimand"])


@pytest.mark.parametrize("option", ["views", "panel", "daily", "weekly"])
def test_each_option_changes_the_headline_as_it_should(panelled, capsys, tmp_path, option):
    out = ("report", "--out", str(tmp_path / "r.csv"))
    plain = said(capsys, panelled, *out)["overall"]["total"]
    other = said(capsys, panelled, *out, *OPTIONS[option][0])["overall"]["total"]
    if option in ("daily", "weekly"):
        assert other["rate"] == pytest.approx(plain["rate"])
        assert other["low"] < plain["low"] and other["high"] > plain["high"]
    else:
        assert other["rate"] != pytest.approx(plain["rate"], rel=1e-3)


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_of_file_says_what_its_rates_are(panelled, tmp_path, kind):
    made = {}
    for option, chosen in {
        "decisions": Question(),
        "all": Question(weight="exposure", estimand="panel", looks=Looks(daily=True)),
        "weekly": Question(looks=Looks(weeks=12)),
    }.items():
        file = tmp_path / f"{option}{kind}"
        writer_for(file)(collect(panelled[0], panelled[1], chosen, made_at=AT), file)
        made[option] = texts(file)
    for name in ("views", "panel", "daily"):
        assert OPTIONS[name][1] in made["all"] and OPTIONS[name][1] not in made["decisions"]
    assert OPTIONS["weekly"][1] in made["weekly"] and "12 weekly looks" in made["weekly"]
    assert OPTIONS["decisions"][1] in made["decisions"] and OPTIONS["decisions"][1] in made["weekly"]
    assert "views of content that a panel of experts would decide otherwise" in made["all"]
    assert "Precision: of views of content that moderators enforced on" in made["all"]
    assert "Precision: of moderators' decisions to enforce" in made["decisions"].replace("&#39;", "'")
    assert "shares of all views" in made["all"] and "shares of all views" not in made["decisions"]
    assert "Slices are found by the share of decisions" in made["all"]


def test_the_charts_and_the_confusions_are_on_the_same_basis(panelled):
    plain = collect(*panelled[:2], made_at=AT)
    views = collect(panelled[0], panelled[1], Question(weight="exposure"), made_at=AT)
    panel = collect(panelled[0], panelled[1], Question(estimand="panel"), made_at=AT)
    wide = collect(panelled[0], panelled[1], Question(looks=Looks(daily=True)), made_at=AT)

    def shares(report):
        return {(pair.area, pair.decided, pair.ruled): pair.share for pair in report.confusions}

    kept = shares(plain)
    assert set(kept) == set(shares(wide)) == set(shares(panel))
    assert all(shares(wide)[key].rate == pytest.approx(share.rate) for key, share in kept.items())
    assert all(shares(wide)[key].high > share.high for key, share in kept.items())
    assert any(shares(views)[key].rate != pytest.approx(share.rate) for key, share in kept.items())
    for (_, _, ruled), share in shares(panel).items():
        assert share.errors_found == 0 or ruled == "no_violation", "the panel found no violation anywhere"
    where = [area.where for area in plain.areas]
    assert where and all([area.where for area in other.areas] == where for other in (views, panel, wide))
    for area, other in zip(plain.areas, wide.areas, strict=True):
        one, same = vars(area.found.rate), vars(other.found.rate)
        assert close(figures(one), figures(same)), "slices keep to one look, and say so"


@pytest.mark.parametrize("args", [("--estimand", "panel"), ("--daily-looks", "--weekly-looks", "4")])
def test_what_cannot_be_answered_is_refused_in_the_words_of_estimate(world, capsys, tmp_path, args):
    rule(world, draw(world, budget=100))
    root, out = ["-w", str(world[0].root)], tmp_path / "r.csv"
    assert main([*root, "estimate", *args]) == 2
    refused = capsys.readouterr().err
    assert main([*root, "report", "--out", str(out), *args]) == 2
    assert capsys.readouterr().err == refused and refused.startswith("evenhand: ")
    assert not out.exists()


def test_views_are_refused_where_no_decision_carries_any(world, capsys, tmp_path, monkeypatch):
    drawn = draw(world, budget=100)
    rule(world, drawn)
    file = world[0].root / drawn.frame_file
    pl.read_parquet(file).with_columns(exposure=pl.lit(None, pl.Float64)).write_parquet(file)
    # as if the frame had been drawn with these views
    monkeypatch.setattr("evenhand.rates.reviewed_frame.frame_hash", lambda _: drawn.frame_hash)
    root = ["-w", str(world[0].root)]
    assert main([*root, "report", "--out", str(tmp_path / "r.csv"), "--weight", "exposure"]) == 2
    assert "no decision carries its views (column exposure)" in capsys.readouterr().err


def test_a_period_before_without_a_panel_is_said_and_not_compared(world):
    cut = date(2026, 2, 16)
    rule(world, draw(world, budget=200, until=cut))
    late = draw(world, budget=200, since=cut, seed=2, at=AT + timedelta(hours=1))
    rule(world, late)
    rule(world, late, source="panel", sme_id="p", ruled_at=AT + timedelta(days=1))
    assert collect(world[0], world[1], Question(since=cut), made_at=AT).comparison.before is not None
    report = collect(world[0], world[1], Question(since=cut, estimand="panel"), made_at=AT)
    assert report.comparison.before is None
    assert any(text.endswith(": no panel has ruled on these draws.") for text in narrative(report))


def test_skipped_cases_are_counted_and_the_headline_is_given_at_both_ends(panelled, tmp_path):
    report = collect(*panelled[:2], made_at=AT)
    ends, total = report.skipped, report.overall.total
    assert ends.cases == SKIPPED
    assert ends.if_none.n_reviewed == ends.if_all.n_reviewed == total.n_reviewed + SKIPPED
    assert ends.if_none.errors_found == total.errors_found
    assert ends.if_all.errors_found == total.errors_found + SKIPPED
    assert ends.if_none.population == ends.if_all.population == total.population
    pi = panelled[1].items(report.draws[0].record.draw_id).filter("skipped")["pi"]
    moved = (1 / pi).sum() / total.population  # what the skipped cases stand for
    assert ends.if_all.rate - ends.if_none.rate == pytest.approx(moved, rel=0.15)
    text = next(text for text in method(report) if "missing at random: taken to be" in text)
    assert text.startswith(f"{SKIPPED} drawn cases of the period were skipped")
    for end in (ends.if_none, ends.if_all):
        assert f"{end.rate:.1%} ({end.low:.1%} to {end.high:.1%}, {end.n_reviewed:,} reviewed)" in text
    file = tmp_path / "r.csv"
    writer_for(file)(report, file)
    rows = [row for row in rows_of(file) if row["table"] == "skipped cases"]
    assert [float(row["rate"]) for row in rows] == [ends.if_none.rate, ends.if_all.rate]


def test_a_ruling_in_place_of_each_skip_gives_the_end_it_was_said_to_give(world):
    drawn = draw(world, budget=300)
    rule(world, drawn, take=280)
    store = world[1]
    for row in store.items(drawn.draw_id).tail(20).iter_rows(named=True):
        store.skip_item(drawn.draw_id, row["decision_id"], sme_id="s", reason="too hard", at=AT)
    skipped = collect(*world[:2], made_at=AT).skipped
    rule(world, drawn, error_class="technical", ruled_at=AT + timedelta(days=1))
    for ruling in (
        store.rulings(draw_id=drawn.draw_id)
        .filter(pl.col("ruled_at") >= AT + timedelta(days=1))
        .head(280)["id"]
    ):
        store.undo_ruling(ruling, by="s")
    whole = collect(*world[:2], made_at=AT)
    assert whole.skipped is None
    total = whole.overall.total
    assert (total.rate, total.low, total.high) == pytest.approx(
        (skipped.if_all.rate, skipped.if_all.low, skipped.if_all.high), rel=1e-9
    )
    assert "No drawn case of the period was skipped." in method(whole)


def test_skips_of_one_draw_of_two_and_outside_the_period_are_told_apart(world):
    cut = date(2026, 2, 16)
    rule(world, draw(world, budget=200, until=cut))
    late = draw(world, budget=200, since=cut, seed=2, at=AT + timedelta(hours=1))
    rule(world, late, take=190)
    for row in world[1].items(late.draw_id).tail(10).iter_rows(named=True):
        world[1].skip_item(late.draw_id, row["decision_id"], sme_id="s", reason="too hard", at=AT)
    whole = collect(*world[:2], made_at=AT)
    assert whole.skipped.cases == 10
    assert whole.skipped.if_none.n_reviewed == whole.overall.total.n_reviewed + 10 == 400
    assert whole.skipped.if_none.rate < whole.skipped.if_all.rate
    assert collect(world[0], world[1], Question(until=cut), made_at=AT).skipped is None


def test_the_accuracy_of_human_reviewers_is_stated_as_far_as_it_is_known(panelled, world):
    rule(world, draw(world, budget=200))
    unknown = reviewers_words(collect(*world[:2], made_at=AT))
    assert "SMEs' accuracy is not known" in unknown
    report = collect(*panelled[:2], made_at=AT)
    total, found = report.overall.total, report.agreement
    assert found.overturns > found.overturns_upheld > 0 and found.confirmations > 0
    text = reviewers_words(report)
    assert f"{1 - total.rate:.1%} ({1 - total.high:.1%} to {1 - total.low:.1%}" in text
    assert f"{found.overturns_upheld} of the {found.overturns} overturns it checked" in text
    assert f"{found.confirmations_upheld} of the {found.confirmations} confirmations it checked" in text
    store, draw_id = panelled[1], report.draws[0].record.draw_id
    rulings = store.rulings(draw_id=draw_id)
    smes, panel = (rulings.filter((pl.col("source") == "panel") == is_panel) for is_panel in (False, True))
    both = smes.join(panel, on="decision_id", suffix="_p").join(
        store.items(draw_id).select("decision_id", decided="label"), on="decision_id"
    )
    over = both.filter(pl.col("label") != pl.col("decided"))
    assert (found.overturns, found.overturns_upheld) == (
        over.height,
        over.filter(pl.col("label") == pl.col("label_p")).height,
    )


def test_each_frame_is_read_once_for_the_period_and_once_for_the_one_before(panelled, monkeypatch):
    read = []
    real = reviewed._read

    def counted(*args):
        read.append(args)
        return real(*args)

    monkeypatch.setattr(reviewed, "_read", counted)
    collect(*panelled[:2], made_at=AT)
    assert len(read) == 1
    collect(
        panelled[0],
        panelled[1],
        Question(since=date(2026, 2, 16), estimand="panel", looks=Looks(daily=True)),
        made_at=AT,
    )
    assert len(read) == 3
