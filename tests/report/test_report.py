"""Tests the model of the report, its sentences and its tables.

Figures equal the estimates, unknown figures are named, and no text and no person is in it.
"""

from datetime import date, timedelta

import polars as pl
import pytest
from worlds.scored_world import AT, draw, rule

from cli.main import main
from evenhand.errors import EstimateError, UserError
from evenhand.rates.improvement_areas import find_areas, remeasure
from evenhand.rates.question import Question
from evenhand.rates.table import estimate_draws
from evenhand.records.policy import parse_policy
from evenhand.records.ruling import Ruling
from evenhand.report.charts import kinds_chart, scale, split_chart, trend_chart
from evenhand.report.dsa import dsa_table, dsa_words
from evenhand.report.method import draw_words
from evenhand.report.model import DEFAULT_BY, collect
from evenhand.report.narrative import narrative
from evenhand.report.tables import tables
from evenhand.report.write import writer_for
from evenhand.synthetic.sample_policies import sample_policies
from evenhand.wording.words import Names, points, shown, within

CUT = date(2026, 2, 16)
OUTCOMES = ("total", "over_enforcement", "under_enforcement", "wrong_policy", "policy_unclear")


def made(world, *, by=DEFAULT_BY, compare=None, unit=None, **asked):
    return collect(world[0], world[1], Question(**asked), by=by, made_at=AT, compare=compare, unit=unit)


def same_figures(one, other):
    """Whether a report shows the same for two estimates; sums of cells may differ in their last digits."""
    counts = ("n_reviewed", "errors_found", "population", "reviews_needed", "status", "method")
    numbers = ("rate", "low", "high", "n_eff")
    return all(getattr(one, name) == getattr(other, name) for name in counts) and all(
        getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9, abs=1e-12) for name in numbers
    )


def same(rates, others):
    return dict(rates.domain) == dict(others.domain) and all(
        same_figures(getattr(rates, name), getattr(others, name)) for name in OUTCOMES
    )


@pytest.fixture
def ruled(world):
    rule(world, draw(world, budget=600))
    return world


def test_every_rate_is_the_estimate_of_its_split(ruled):
    report = made(ruled)
    for by in ("market", "area", "language", "queue"):
        expected = {
            tuple(r.domain.values()): r
            for r in estimate_draws(ruled[0], ruled[1], Question(by=(by,))).domains
        }
        rows = report.split(by).rows
        assert len(rows) == len(expected)
        assert all(same(r, expected[tuple(r.domain.values())]) for r in rows)
    assert same(report.overall, estimate_draws(*ruled[:2]).overall)


def test_measured_rates_are_ranked_and_the_others_are_not(ruled):
    rows = made(ruled).split("market", "area").rows
    known = [r.total.status == "measured" for r in rows]
    assert any(known) and not all(known)
    assert known == sorted(known, reverse=True)
    rates = [r.total.rate for r in rows if r.total.status == "measured"]
    assert rates == sorted(rates, reverse=True)
    names = [tuple(r.domain.values()) for r in rows if r.total.status != "measured"]
    assert names == sorted(names)
    assert all(r.modelled for r in rows if r.total.status != "measured")


def test_the_trend_is_cut_where_a_policy_version_begins(ruled):
    report = made(ruled)
    assert report.unit == "week"
    begins = [step for step in report.trend if step.new_policy]
    assert [step.policy_version for step in begins] == ["short-video/2026-02"]
    weeks = {
        (r.domain["week"], r.domain["policy_version"]): r.total
        for r in estimate_draws(ruled[0], ruled[1], Question(by=("week",))).domains
    }
    assert len(report.trend) == len(weeks)
    for step in report.trend:
        assert same_figures(step.rates.total, weeks[step.start.isoformat(), step.policy_version])
    assert len(trend_chart(report).series) == 2
    assert made(ruled, unit="month").trend[0].start.day == 1
    change = report.version_changes[0]
    assert change.effective_from == ruled[1].policy("short-video/2026-02").effective_from


def test_the_period_before_is_compared_with_by_default(ruled):
    report = made(ruled, since=CUT, until=CUT + timedelta(days=14))
    before = estimate_draws(ruled[0], ruled[1], Question(since=CUT - timedelta(days=14), until=CUT))
    assert same(report.comparison.before, before.overall)
    assert (report.comparison.period.first, report.comparison.period.last) == (
        CUT - timedelta(days=14),
        CUT - timedelta(days=1),
    )
    found = report.comparison.changes["total"]
    assert found.difference == pytest.approx(report.overall.total.rate - before.overall.total.rate)
    assert made(ruled).comparison is None


def test_nothing_before_is_said_and_a_period_asked_for_by_name_is_an_error(world):
    rule(world, draw(world, budget=300, since=CUT))
    report = made(world, since=CUT)
    assert report.comparison.before is None
    assert any("Nothing to compare with" in sentence for sentence in narrative(report))
    with pytest.raises(EstimateError, match="no ruling on a drawn case of this period"):
        made(world, since=CUT, compare=(None, CUT))
    with pytest.raises(EstimateError, match="overlaps the report's own"):
        made(world, since=CUT, compare=(CUT, CUT + timedelta(days=3)))


def test_without_a_draw_or_a_ruling_there_is_no_report(world, capsys, tmp_path):
    with pytest.raises(EstimateError, match="no draw yet"):
        made(world)
    draw(world)
    out = tmp_path / "r.csv"
    assert main(["-w", str(world[0].root), "report", "--out", str(out)]) == 2
    assert "no ruling on a drawn case yet" in capsys.readouterr().err
    assert not out.exists()


def test_moderators_and_unknown_columns_are_refused(ruled):
    with pytest.raises(EstimateError, match="no ranking of people"):
        made(ruled, by=("moderator_id",))
    with pytest.raises(EstimateError, match="no ranking of people"):
        made(ruled, filters={"moderator_id": "m1"})
    with pytest.raises(EstimateError, match="no column 'shoe_size'"):
        made(ruled, by=("market+shoe_size",))


def test_sentences_carry_interval_and_reviews_and_say_what_is_not_known(ruled):
    report = made(ruled, since=CUT)
    total = report.overall.total
    text = narrative(report)
    assert f"{total.rate:.1%} of {total.population:,} decisions" in text[0]
    assert f"{total.low:.1%} to {total.high:.1%}, {total.n_reviewed:,} reviewed" in text[0]
    assert all(
        name in text[1] for name in ("Over-enforcement", "Under-enforcement", "Wrong label", "not netted")
    )
    unknown = [r for r in report.split("market", "area").rows if r.total.status != "measured"]
    said = next(sentence for sentence in text if sentence.startswith("Not known yet by market and area"))
    assert f"{len(unknown) - 5:,} more" in said and "more review" in said


def test_a_handful_of_rulings_gives_no_rate_but_the_reviews_it_would_take(world):
    rule(world, draw(world, budget=300), take=12)
    report = made(world)
    assert report.overall.total.status == "unknown"
    assert "is not known yet" in narrative(report)[0]
    headline = tables(report)[0]
    assert headline.rows[0][1] == "not known yet"
    assert trend_chart(report).empty and split_chart(report, report.splits[0], report.splits[0].rows).empty


def test_confusions_are_shares_of_all_decisions_and_add_up_to_the_errors(ruled):
    report = made(ruled)
    assert report.confusions
    seen = (
        ruled[1].rulings().join(ruled[1].items(report.draws[0].record.draw_id), on="decision_id", suffix="_d")
    )
    for pair in report.confusions:
        known = seen.filter(
            (pl.col("area") == pair.area)
            & (pl.col("label_d") == pair.decided)
            & (pl.col("label") == pair.ruled)
        )
        assert pair.share.errors_found == known.height > 0
        assert pair.share.population == report.overall.total.population
        assert pair.share.low <= pair.share.rate <= pair.share.high
    assert sum(pair.share.rate for pair in report.confusions) < 1.2 * report.overall.total.rate
    rates = [pair.share.rate for pair in report.confusions]
    assert rates == sorted(rates, reverse=True) and report.confusions_seen >= len(rates)


def test_improvement_areas_carry_owner_action_and_verdict(world):
    rule(world, draw(world, budget=1_200))
    ws, store, _ = world
    areas, _ = find_areas(ws, store)
    assert areas
    note = {"owner": "Lead", "cause": "slip", "action": "calibrate", "due": "2026-05-01"}
    found = {"rate": 0.2, "low": 0.1, "high": 0.3, "n_reviewed": 40, "status": "measured"}
    taken = store.open_improvement(areas[0].where, found, by="m", at=AT, **note)
    record = remeasure(ws, store, taken, CUT, by="m", at=AT)
    gone = store.open_improvement({"market": "MX", "queue": "uploads"}, found, by="m", at=AT)
    store.close_improvement(gone, "merged", by="m", at=AT)
    report = made(world)
    assert len(report.areas) == len(areas) + 1
    table = next(table for table in tables(report) if table.key == "areas")
    first = dict(zip([c.name for c in table.columns], table.rows[0], strict=True))
    assert (first["Owner"], first["Cause"], first["Action"], first["Due"]) == (
        "Lead",
        "Slip",
        "calibrate",
        date(2026, 5, 1),
    )
    assert (
        record["verdict"] in first["Verdict"] and f"{points(record['difference'])} points" in first["Verdict"]
    )
    assert table.rows[-1][1] == "closed: merged" and 0.2 in table.rows[-1]
    assert any("taken up: 2, 1 of them open, 1 measured again" in sentence for sentence in narrative(report))


def test_the_method_says_what_was_drawn_and_how(ruled):
    report = made(ruled)
    record = report.draws[0].record
    words = draw_words(report.draws[0], report.names)
    for figure in (
        record.draw_id,
        f"{record.budget:,} of {record.frame_size:,}",
        f"seed {record.seed}",
        f"{record.phi:.1%}",
        f"{record.kappa:g} (kappa)",
        f"{record.pi_min:.2g} (pi_min)",
        f"{record.w_max:.2g} times",
        record.model_version,
        *record.policy_versions,
        "600 of 600",
    ):
        assert figure in words


def test_dsa_indicators_are_those_of_the_estimates_and_say_what_they_are_not(ruled):
    report = made(ruled)
    split = {
        r.domain["language"]: r
        for r in estimate_draws(ruled[0], ruled[1], Question(by=("language",))).domains
    }
    rates = {language: r.total for language, r in split.items()}
    table = dsa_table(report)
    names = [column.name for column in table.columns]
    assert len(table.rows) == len(rates) + 1
    for row in table.rows[1:]:
        scope = str(row[0])  # the code of a language
        total = rates[scope]
        assert total.status == "measured"
        assert row[4:7] == pytest.approx((1 - total.rate, 1 - total.high, 1 - total.low))
        at = names.index("Precision")
        over, under, enforced = (
            split[scope].over_enforcement,
            split[scope].under_enforcement,
            report.enforced[scope],
        )
        assert row[at : at + 3] == pytest.approx(
            tuple(max(1 - wrong / enforced, 0) for wrong in (over.rate, over.high, over.low))
        )
        at = names.index("Recall")
        right = enforced - over.rate
        assert row[at] == pytest.approx(right / (right + under.rate)) and row[at + 1] < row[at] < row[at + 2]
        at = names.index("Rate")
        assert row[at : at + 3] == pytest.approx((total.rate, total.low, total.high))
        assert row[names.index("Reviewed")] == total.n_reviewed
    assert {row[0]: row[2] for row in table.rows}["en"] == "yes"
    assert {row[0]: row[2] for row in table.rows}["th"] == "no"
    said = " ".join(dsa_words(report))
    assert "Annex I, Part II, 1.6" in said and "under a wrong label counts as rightly enforced" in said
    groups = {column.group for column in table.columns}
    assert {
        "For “Accuracy of the automated means - Accuracy”",
        "For “Accuracy of the automated means - Precision”",
        "For “Accuracy of the automated means - Recall”",
        "For “possible rate of error of automated means”",
    } <= groups
    assert (
        "For “Accuracy" in table.columns[names.index("Accuracy")].group and table.rows[0][0] == "Total number"
    )
    assert "no indicator of automated means alone" in said and "Bulgarian" in said and "English" not in said
    assert "queue live only" in " ".join(dsa_words(made(ruled, filters={"queue": "live"})))


def test_bars_hold_only_what_is_known_and_the_axis_holds_every_interval(ruled):
    report = made(ruled)
    split = report.split("market", "area")
    chart = split_chart(report, split, split.rows)
    assert len(chart.categories) == len(split.rows)
    for rates, rate, name in zip(split.rows, chart.series[0].rate, chart.categories, strict=True):
        known = rates.total.status == "measured"
        assert rate == (rates.total.rate if known else None)
        assert ("not known yet" in name) is not known
        assert f"n {rates.total.n_reviewed}" in name
    for one in (chart, kinds_chart(report, split, split.rows)):
        highest = max(high for series in one.series for high in series.high if high is not None)
        assert highest <= scale(one)[0]


def test_names_from_data_keep_to_one_line_and_their_own_direction():
    assert shown("a\x00b\n\u202ec") == "a b c"
    assert within("ضوابط") == "\u2068ضوابط\u2069" and within("ไทย") == "ไทย"
    names = Names([])
    assert names.value("language", "pt-BR") == "Portuguese (pt-BR)"
    assert names.value("language", "xx") == "xx"
    assert names.value("area", "regulated_goods") == "Regulated goods"
    assert (
        names.label("regulated_goods", "no_violation")
        == names.value("label", "no_violation")
        == "No violation"
    )


def test_areas_and_labels_have_the_titles_of_the_newest_policy_of_the_period(world):
    ws, store, _ = world
    text = next(text for policy, text in sample_policies() if policy.version == "short-video/2026-02")
    later = text.replace("2026-02", "2026-09").replace("name: scam", "name: advance_fee")
    later = later.replace("title: Scam\n", "title: Fee before a prize\n")
    store.add_policy(*titled(later, "Junk of next autumn", "Trading follows"), by="test")
    rule(world, draw(world, budget=600))
    report = made(world)
    assert set(report.policy_versions) == {"short-video/2026-01", "short-video/2026-02"}
    assert report.names.value("area", "spam") == "Spam and scams"
    assert report.names.label("spam", "spam") == "Spam"
    assert report.names.place({"area": "spam", "label": "pile_on"}) == "area Spam and scams, label Pile-on"
    said = " ".join(narrative(report)) + " ".join(
        str(cell) for t in tables(report) for r in t.rows for cell in r
    )
    assert "Spam and scams" in said and "Junk of next autumn" not in said
    for machine in ("regulated_goods", "no_violation", "pile_on"):
        assert machine not in said
    assert report.names.label("spam", "advance_fee") == "Fee before a prize", "only the later version has it"
    assert report.names.label("spam", "no_such_label") == "No such label"


def titled(text, area, label):
    """A policy in which the area spam and its label have other titles."""
    changed = text.replace("title: Spam and scams", f"title: {area}").replace(
        "title: Spam\n", f"title: {label}\n"
    )
    assert changed != text
    return parse_policy(changed), changed


def test_the_filters_of_a_draw_are_named_as_people_name_them(world):
    rule(world, draw(world, budget=200, filters={"area": "regulated_goods"}))
    report = made(world)
    words = draw_words(report.draws[0], report.names)
    assert "only area Regulated goods" in words and "regulated_goods" not in words


def test_a_file_of_another_kind_is_refused_before_anything_is_computed(tmp_path, capsys):
    with pytest.raises(UserError, match=r"\.xlsx, \.pptx, \.html, \.csv"):
        writer_for(tmp_path / "report.pdf")
    with pytest.raises(UserError, match="is a folder"):
        (tmp_path / "r.csv").mkdir()
        writer_for(tmp_path / "r.csv")
    assert main(["report", "--out", str(tmp_path / "r.docx")]) == 2
    assert "named" not in capsys.readouterr().out


def test_a_policy_called_unclear_is_a_finding_about_its_clause(world):
    ws, store, _ = world
    drawn = draw(world, budget=60)
    rule(world, drawn)
    assert not made(world).unclear
    item = store.items(drawn.draw_id).row(0, named=True)
    old = store.rulings(draw_id=drawn.draw_id).filter(pl.col("decision_id") == item["decision_id"])["id"][0]
    correction = Ruling(
        case_id=item["case_id"],
        area=item["area"],
        policy_version=item["policy_version"],
        label=item["label"],
        sme_id="s",
        ruled_at=AT + timedelta(days=1),
        decision_moderator_id=item["moderator_id"],
        draw_id=drawn.draw_id,
        error_class="policy_unclear",
        replaces=int(old),
    )
    store.add_rulings([correction], by="s")
    report = made(world)
    (found,) = report.unclear
    assert found.domain == {"area": item["area"], "label": item["label"]}
    assert found.policy_unclear.errors_found == 1
    assert "Experts said so of 1 case" in " ".join(narrative(report))
    (table,) = [table for table in tables(report) if table.key == "unclear"]
    assert len(table.rows) == 1
