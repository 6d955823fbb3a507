"""Tests the manager's pages with and without data, with Streamlit's own test driver.

Every figure comes from the domain, and no page shows a text.
"""

import re
from datetime import date, timedelta
from html import unescape

import pandas as pd
import polars as pl
import pytest
from streamlit.testing.v1 import AppTest
from worlds import scored_world
from worlds.app_workspace import app_workspace
from worlds.managed_world import managed_world

from app import figures as measured
from app import text
from app.charts import charts
from app.charts.heat_map import heat_map
from app.views import method, plan
from app.views.error_rates import exact, table_rows
from evenhand.batches.plan import make_plan
from evenhand.batches.population import scored_frame
from evenhand.rates.improvement_areas import find_areas
from evenhand.rates.measure import Rates
from evenhand.rates.question import Question
from evenhand.rates.table import EstimateTable, estimate_draws
from evenhand.records.people import User
from evenhand.records.policy import titles
from evenhand.similar.conflicts import publish_conflicts
from evenhand.statistics.change import change
from evenhand.statistics.estimator import Estimate
from evenhand.wording import rates as rate_words
from evenhand.wording.notes import sentence as note_sentence
from evenhand.workspace.lake import scan_decisions

PAGES = ("overview", "error_rates", "improvement", "plan", "method")


@pytest.fixture(scope="module")
def full(tmp_path_factory, truth):
    ws, store = managed_world(tmp_path_factory.mktemp("management") / "w", truth)
    yield ws, store
    store.close()


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    return app_workspace(tmp_path_factory.mktemp("empty"), draws=False)


def _view(name: str) -> None:
    import importlib

    from app import session

    session.sign_in()
    importlib.import_module(f"app.views.{name}").page()


@pytest.fixture
def opened(monkeypatch):
    def run(world, view: str, user: str = "management") -> AppTest:
        monkeypatch.setenv("EVENHAND_WORKSPACE", str(world[0].root))
        monkeypatch.setenv("EVENHAND_USER", user)
        at = AppTest.from_function(_view, args=(view,), default_timeout=60).run()
        return fine(at)

    return run


def fine(at: AppTest) -> AppTest:
    assert not at.exception, at.exception
    return at


def html(at: AppTest) -> str:
    return unescape(" ".join(e.proto.body for e in at.get("html"))).replace("\N{NO-BREAK SPACE}", " ")


def charts_of(at: AppTest) -> list[str]:
    """Each chart with its data, as it is sent to the browser."""
    return [e.proto.SerializeToString().decode("utf-8", "ignore") for e in at.get("vega_lite_chart")]


def everything(at: AppTest) -> str:
    """All that a page sends: words, tables, charts and the names of their data."""
    words = [
        e.value for kind in (at.markdown, at.caption, at.info, at.error, at.title, at.subheader) for e in kind
    ]
    return " ".join([html(at), *words, *(f.value.to_csv() for f in at.dataframe), *charts_of(at)])


def pick(at: AppTest, key: str, value: str) -> AppTest:
    return fine(at.segmented_control(key=key).select(value).run())


def an_estimate(rate=0.1, status="measured", **changes) -> Estimate:
    plain = {
        "rate": rate,
        "low": rate / 2,
        "high": rate * 2,
        "n_reviewed": 40,
        "n_eff": 40.0,
        "errors_found": 4,
        "population": 900,
        "method": "logit-t",
        "status": status,
        "reviews_needed": 0 if status == "measured" else 12,
    }
    return Estimate(**{**plain, **changes})


def some_rates(domain, total, modelled=None) -> Rates:
    kinds = {"over_enforcement", "under_enforcement", "wrong_policy", "policy_unclear"}
    return Rates(domain=domain, total=total, modelled=modelled, **dict.fromkeys(kinds, an_estimate(0.01)))


def a_table(by, *domains) -> EstimateTable:
    return EstimateTable(
        overall=some_rates({}, an_estimate()),
        domains=domains,
        question=Question(by=tuple(by)),
        draws=("d",),
        model_versions=("m",),
        policy_versions=("p",),
        notes=(),
    )


def test_management_starts_on_the_overview_and_every_page_opens_for_those_it_is_for(full, opened):
    from app import access

    assert access.PAGES["management"][0] == "overview"
    for user in ("management", "ml", "admin"):
        assert set(PAGES) <= set(access.PAGES[user])
    for page in PAGES:
        assert opened(full, page, "ml").title


def test_areas_and_labels_go_by_the_policys_titles_on_every_page(full, opened):
    publish_conflicts(full[0])
    said = [everything(opened(full, page)) for page in PAGES]
    at = pick(opened(full, "error_rates"), "split", "area")
    said.append(everything(at))
    areas = [
        "Dangerous acts",
        "Harassment and bullying",
        "Health claims",
        "Privacy",
        "Regulated goods",
        "Spam and scams",
    ]
    assert at.dataframe[0].value["Area"].tolist() == ["All", *areas]
    assert list(at.selectbox(key="where_area").options) == areas
    assert "Encouraging a dangerous act" in at.selectbox(key="where_label").options
    at = fine(at.selectbox(key="split2").select("label").run())
    assert "Encouraging a dangerous act" in at.dataframe[0].value["Label"].tolist()
    said.append(everything(at))
    at = fine(at.selectbox(key="where_area").select("harassment").run())
    assert text.as_typed("Area: Harassment and bullying") in at.caption[0].value
    said.append(everything(pick(opened(full, "error_rates"), "view", "Market × area")))
    at = fine(opened(full, "plan").selectbox(key="plan_by").select("area").run())
    assert set(at.dataframe[0].value["Area"]) == set(areas)
    said.append(everything(at))
    rows = opened(full, "conflicts", "ml").dataframe[0].value
    assert "Harassment and bullying" in set(rows["Area"]) and "Misleading health claim" in set(
        rows["Most decided"]
    )
    said.append(rows.to_csv())
    shown = " ".join(said).replace("\\", "")
    for machine in (
        "Pile on",
        "pile_on",
        "pile on",
        "Encouragement",
        "Exposure",
        "Area: Harassment ",
        "Area: Spam ",
    ):
        assert machine not in re.sub("Area: (Harassment and bullying|Spam and scams)", "", shown), machine


def test_a_name_that_no_policy_knows_is_spoken_and_a_label_goes_by_its_area():
    found = {("hate", ""): "Hate speech", ("hate", "violation"): "Hateful", ("spam", "violation"): "Spam"}
    assert (
        rate_words.place_name({"area": "hate", "label": "violation"}, found)
        == "Area: Hate speech · Label: Hateful"
    )
    assert rate_words.place_name({"label": "violation", "area": "spam"}, found) == "Label: Spam · Area: Spam"
    assert rate_words.domain_names({"area": "old_area", "label": "violation"}, found) == {
        "area": "Old area",
        "label": "Violation",
    }
    table = a_table(
        ("area",), some_rates({"area": "zeta"}, an_estimate()), some_rates({"area": "hate"}, an_estimate())
    )
    shown = {("zeta", ""): "Abuse", **found}
    assert table_rows(table, shown)["Area"].tolist() == ["All", "Abuse", "Hate speech"], "by what is read"
    crossed = a_table(
        ("market", "area"),
        some_rates({"market": "A", "area": "zeta"}, an_estimate()),
        some_rates({"market": "A", "area": "hate"}, an_estimate()),
    )
    said = heat_map(crossed, "total", row="market", column="area", title="All errors", titles=shown)
    assert said.index(">Abuse<") < said.index(">Hate speech<")


def test_no_case_text_and_no_moderator_reaches_a_manager(full, opened):
    seen = [everything(opened(full, page)) for page in PAGES]
    for view in ("Market × area", "Change"):
        seen.append(everything(pick(opened(full, "error_rates"), "view", view)))
    said = " ".join(seen)
    rows = scan_decisions(full[0]).select("text", "moderator_id").collect()
    assert "Decisions an expert would overturn" in said
    assert not [text for text in rows["text"].unique() if len(text) > 12 and text in said]
    assert not [name for name in rows["moderator_id"].unique() if name in said]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("overview", "evenhand draw --budget"),
        ("error_rates", "evenhand draw --budget"),
        ("improvement", "evenhand draw --budget"),
        ("plan", "evenhand score"),
        ("method", "evenhand draw --budget"),
    ],
)
def test_an_empty_workspace_says_what_to_do(empty, opened, page, words):
    at = opened(empty, page)
    assert [info.value for info in at.info] and words in at.info[0].value
    assert not at.dataframe and not charts_of(at)


def test_before_the_first_ruling_the_batch_is_shown_and_no_rate(tmp_path, truth, opened):
    world = scored_world.build(tmp_path / "w", truth)
    world[1].add_user(User(user_id="management", role="management"))
    scored_world.draw(world, budget=50)
    at = opened(world, "overview")
    assert "no ruling on a drawn case yet" in at.info[
        0
    ].value and "0 ruled · 0 skipped · 50 open of 50" in html(at)
    assert "%" not in html(at)
    assert text.as_typed("Batch of 1 Apr 2026, 00:00 · 50 cases · not in the rates") in [
        e.label for e in opened(world, "method").expander
    ]


def test_the_overview_gives_each_rate_with_interval_and_reviews_and_nets_nothing(full, opened):
    overall = estimate_draws(*full).overall
    said = html(opened(full, "overview"))
    for name, title in rate_words.OUTCOMES.items():
        estimate = getattr(overall, name)
        assert f"{estimate.low:.1%} to {estimate.high:.1%} · {estimate.n_reviewed:,} reviewed" in said
        assert f'eh-number">{estimate.rate:.1%}<' in said
        assert name == "total" or title in said


def test_the_overview_says_what_needs_attention(full, opened):
    ws, store = full
    said = html(opened(full, "overview"))
    (taken,) = store.improvements()
    free = [a for a in find_areas(ws, store)[0] if dict(a.where) != dict(taken.where)]
    assert said.count("Stands out") == 5 and len(free) > 5
    assert f"{len(free) - 4} more stand out" in said
    assert rate_words.place_name(free[3].where, titles(store.policies())) in said
    assert rate_words.short_evidence(free[3].elsewhere) in said
    assert f"about {free[0].excess:,.0f} errors too many" in said
    assert "Overdue since 1 May 2026" in said and "Lina: a briefing" in said
    cells = estimate_draws(ws, store, Question(by=("market", "area"))).domains
    unknown = [cell.total for cell in cells if cell.total.status == "unknown"]
    assert unknown and f"{len(unknown)} of {len(cells)} cells of market and area" in said
    assert f"About {sum(e.reviews_needed for e in unknown):,} more reviews" in said


def test_the_progress_of_an_open_batch_stands_there_by_market(full, opened):
    store = full[1]
    late = store.draws()[-1]
    said = html(opened(full, "overview"))
    for market in (None, *store.items(late.draw_id)["market"].unique()):
        found = store.progress(late.draw_id, markets=None if market is None else (market,))
        assert f"{found.ruled} ruled · {found.skipped} skipped · {found.open} open of {found.total}" in said
    assert store.progress(late.draw_id).skipped == 4


def test_a_new_ruling_changes_the_overview_at_once(tmp_path, truth, opened):
    world = scored_world.build(tmp_path / "w", truth)
    world[1].add_user(User(user_id="management", role="management"))
    drawn = scored_world.draw(world, budget=300)
    scored_world.rule(world, drawn, take=150)
    assert "150 reviewed" in html(opened(world, "overview"))
    scored_world.rule(world, drawn, take=160)
    assert "160 reviewed" in html(opened(world, "overview"))


def test_the_trend_marks_the_new_policy_and_has_a_row_a_week_and_version(full, opened):
    ws, store = full
    (spec,) = charts_of(opened(full, "overview"))
    assert "policy short-video/2026-02" in spec
    table = estimate_draws(ws, store, Question(by=("week", "policy_version")))
    in_force = {policy.version: policy.effective_from for policy in store.policies()}
    rows = charts.trend_rows(table, "total", in_force, "week")
    assert len(rows) == len(table.domains) and rows["start"].is_monotonic_increasing
    assert rows.groupby("run")["version"].nunique().max() == 1


def test_a_week_with_a_change_of_policy_is_cut_and_no_band_spans_a_gap():
    week = "2026-02-23"
    table = a_table(
        ("week", "policy_version"),
        some_rates({"week": week, "policy_version": "new"}, an_estimate(0.2)),
        some_rates({"week": week, "policy_version": "old"}, an_estimate(0.1)),
        some_rates({"week": "2026-02-16", "policy_version": "old"}, an_estimate(0.1)),
        some_rates({"week": "2026-03-02", "policy_version": "new"}, an_estimate(0.3, "unknown")),
        some_rates({"week": "2026-03-09", "policy_version": "new"}, an_estimate(0.2)),
    )
    rows = charts.trend_rows(table, "total", {"old": date(2025, 1, 1), "new": date(2026, 2, 25)}, "week")
    assert [f"{start:%m-%d}" for start in rows["start"]] == ["02-16", "02-23", "02-25", "03-02", "03-09"]
    assert rows["version"].tolist() == ["old", "old", "new", "new", "new"]
    runs = rows["run"].tolist()
    assert runs[0] == runs[1] and len(set(runs[1:])) == 4, (
        "a change of policy and a gap each begin a new band"
    )
    assert pd.isna(rows["rate"][3]) and rows["says"][3] == "not known yet"


def test_every_pivot_and_outcome_gives_the_domains_figures(full, opened):
    at = opened(full, "error_rates")
    for split in ("queue", "policy_version", "week"):
        at = pick(at, "split", split)
        table = estimate_draws(full[0], full[1], Question(by=(split,)))
        assert len(at.dataframe[0].value) == len(table.domains) + 1
        known = [r.total.rate for r in table.domains if r.total.status == "measured"]
        shown = at.dataframe[0].value["Error rate"].dropna().tolist()
        assert shown[1:] == pytest.approx([100 * rate for rate in known]), "in the order of the names"
    for outcome in ("over_enforcement", "policy_unclear"):
        at = pick(at, "outcome", outcome)
        assert charts_of(at)
    at = pick(at, "split", "queue")
    at = fine(at.selectbox(key="split2").select("language").run())
    assert (
        len(at.dataframe[0].value)
        == len(estimate_draws(full[0], full[1], Question(by=("queue", "language"))).domains) + 1
    )
    assert "by language and queue" in html(at), "the longer one downwards"
    assert (
        not at.dataframe[0].value["Error rate"].isna().all()
        and "" not in at.dataframe[0].value["Status"].tolist()
    )


def test_the_map_tells_measured_modelled_and_not_known_yet_apart_in_words(full, opened):
    cells = estimate_draws(full[0], full[1], Question(by=("market", "area"))).domains
    at = pick(opened(full, "error_rates"), "view", "Market × area")
    said = html(at)
    modelled = [cell for cell in cells if cell.modelled]
    assert modelled and len(modelled) < len(cells)
    assert said.count('<td class="eh-measured"') == len(cells) - len(modelled)
    assert said.count('<td class="eh-modelled"') == len(modelled)
    one = modelled[0]
    assert (
        f"≈ {one.modelled.rate:.1%}</b><span>modelled {one.modelled.low:.1%} to {one.modelled.high:.1%}"
        in said
    )
    assert f"n {one.total.n_reviewed}, needs {one.total.reviews_needed} more" in said
    at = pick(at, "outcome", "over_enforcement")
    thin = [cell for cell in cells if cell.over_enforcement.status == "unknown"]
    assert thin and html(at).count('<td class="eh-unknown"><b>?</b>') == len(thin)


def test_a_modelled_cell_has_no_shade_and_ranks_nowhere():
    modelled = an_estimate(0.9, "modelled", method="hierarchical", n_eff=None)
    table = a_table(
        ("market", "area"),
        some_rates({"market": "B", "area": "x"}, an_estimate(0.2, "unknown"), modelled),
        some_rates({"market": "A", "area": "x"}, an_estimate(0.1)),
        some_rates({"market": "C", "area": "y"}, an_estimate(0.3)),
    )
    said = heat_map(table, "total", row="market", column="area", title="All errors", titles={})
    assert [said.index(f">{name}</th>") for name in "ABC"] == sorted(
        said.index(f">{name}</th>") for name in "ABC"
    )
    cell = said[said.index('<td class="eh-modelled"') :].split("</td>")[0]
    assert "style" not in cell and "≈ 90.0%" in cell
    assert said.count('<td class="eh-none"') == 3
    assert charts.domain_rows(table, "total", {})["domain"].tolist() == ["C · Y", "A · X", "B · X"]


def test_names_from_the_data_are_shown_as_they_are():
    wild = '<img src=x onerror="alert(1)">'
    table = a_table(("market", "area"), some_rates({"market": wild, "area": "=1+1"}, an_estimate()))
    said = heat_map(table, "total", row="market", column="area", title="All errors", titles={})
    assert "<img" not in said and "&lt;img" in said
    assert exact(table)["area"].tolist()[-1] == "'=1+1"
    assert text.as_typed("![a](b)") == r"\!\[a\](b)"


def test_an_action_with_markdown_in_it_loads_nothing(full, opened):
    said = " ".join(e.value for e in opened(full, "improvement").markdown)
    assert r"\!\[a picture\]" in said and "![" not in said.replace(r"\!\[", "")


def test_period_and_filters_narrow_every_figure(full, opened):
    at = fine(opened(full, "error_rates").selectbox(key="where_market").select("TH").run())
    at = fine(at.date_input(key="to").set_value(date(2026, 3, 1)).run())
    table = estimate_draws(
        full[0], full[1], Question(by=("market",), filters={"market": "TH"}, until=date(2026, 3, 2))
    )
    assert rate_words.evidence(table.overall.total) in html(at)
    assert "5 Jan 2026 to 1 Mar 2026 · Market: TH" in at.caption[0].value.replace("\\", "")
    assert at.dataframe[0].value["Market"].tolist() == ["All", "TH"]


def test_a_rate_of_views_weighs_by_exposure(full, opened):
    at = pick(opened(full, "error_rates"), "weight", "exposure")
    total = estimate_draws(full[0], full[1], Question(weight="exposure")).overall.total
    assert "Views of content decided wrongly" in html(at) and rate_words.evidence(total) in html(at)
    assert "share of views" in at.caption[0].value


def test_what_cannot_be_told_is_said_and_the_choice_stays(full, opened):
    at = pick(opened(full, "error_rates"), "estimand", "panel")
    assert "No panel has ruled" in at.info[0].value and not at.dataframe
    assert at.segmented_control(key="estimand").value == "panel"
    assert pick(at, "estimand", "sme").dataframe


def test_a_change_says_real_or_noise_with_its_interval(full, opened):
    at = pick(opened(full, "error_rates"), "view", "Change")
    old, new = (f"short-video/2026-0{i}" for i in (1, 2))
    sides = [
        estimate_draws(full[0], full[1], Question(filters={"policy_version": v})).overall for v in (old, new)
    ]
    rows = at.dataframe[0].value
    for i, name in enumerate(rate_words.OUTCOMES):
        found = change(getattr(sides[0], name), getattr(sides[1], name))
        assert rows["Change (95% interval)"][i] == rate_words.changed(found)
        assert found.verdict.split()[0] in rows["Verdict"][i]
        assert f"{getattr(sides[0], name).n_reviewed} reviewed" in rows[old][i]
    at = fine(at.selectbox(key="change_from").select(new).run())
    assert "two different policy versions" in at.info[0].value
    at = pick(at, "change_way", "Before and after a day")
    at = fine(at.date_input(key="change_day").set_value(date(2026, 2, 16)).run())
    assert list(at.dataframe[0].value.columns[3:]) == ["Before 16 Feb 2026", "16 Feb 2026 and after"]


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (an_estimate(0.02), an_estimate(0.3), "rose: +28.0 points"),
        (an_estimate(0.3), an_estimate(0.02), "fell: −28.0 points"),
        (an_estimate(0.1), an_estimate(0.11), "No change can be told from noise"),
        (an_estimate(0.02, "unknown"), an_estimate(0.3), "Not known yet"),
    ],
)
def test_a_change_in_words(a, b, words):
    from app.changes import said, verdict

    found = change(a, b)
    assert words in said(found)
    assert (
        verdict(found)[0] in {"rose": "▲", "fell": "▼", "No": "≈", "Not": "?"}[words.split()[0].rstrip(":")]
    )


def test_the_method_says_how_each_batch_was_drawn(full, opened):
    ws, store = full
    at = opened(full, "method")
    said = " ".join(e.value for e in at.markdown)
    rows = at.dataframe[0].value
    for draw in store.draws():
        done = store.progress(draw.draw_id)
        sure = store.items(draw.draw_id)["take_all"].sum()
        for words in (
            f"{draw.frame_size:,} decisions",
            f"seed {draw.seed}",
            f"{draw.budget:,} cases",
            draw.frame_hash,
            f"{draw.pi_min:.2%} (1 in {1 / draw.pi_min:,.0f})",
            f"{draw.w_max:.1f} times",
            f"{sure:,} were drawn for certain",
            f"{done.ruled:,} ruled, {done.skipped:,} skipped, {done.open:,} open",
        ):
            assert words in said, words
        assert rows[draw.draw_id]["Model version"] == draw.model_version
        assert rows[draw.draw_id]["Policy versions"] == ", ".join(draw.policy_versions)
    table = estimate_draws(ws, store)
    assert all(text.bullets([note_sentence(note)]) in said for note in table.notes)
    assert rate_words.evidence(table.overall.total) in said


def test_the_method_says_what_skipped_cases_count_as(full, opened):
    ws, store = full
    drawn = sum(draw.budget for draw in store.draws())
    said = " ".join(e.value for e in opened(full, "method").markdown)
    assert (
        f"4 cases were skipped, {4 / drawn:.1%} of the {drawn:,} drawn among the decisions from 5 Jan 2026 to 29 Mar 2026"
        in said
    )
    assert "count as missing at random" in said
    early = [batch for batch in method_batches(full, opened) if not batch.whole.skipped]
    days = measured.Choices(values={}, first=date(2026, 1, 5), last=date(2026, 3, 22))
    assert (
        "None of the 900 cases drawn among the decisions from 5 Jan 2026 to 22 Mar 2026 was skipped"
        in method.skipped(early, days)
    )


def method_batches(world, opened) -> list[measured.Batch]:
    opened(world, "method")  # sets the workspace
    return measured.batches(measured.stamp())


def test_notes_name_batches_by_their_day_and_nothing_in_them_is_markdown(full, opened):
    for page in ("overview", "error_rates", "improvement"):
        said = everything(opened(full, page))
        assert "draw-2026" not in said and "policy_version" not in said
        assert page == "improvement" or "Batch of 2 Apr 2026, 00\\:00\\: 4 cases were skipped" in said
    assert (
        text.bullets(["Too few rulings yet in ![x](y).", "B."])
        == "- Too few rulings yet in \\!\\[x\\](y).\n- B."
    )


@pytest.mark.parametrize("address", ["https://example.org/x", "www.example.org", "someone@example.org"])
def test_an_address_in_the_data_is_cut_where_it_would_become_a_link(address):
    shown = text.as_typed(f"see {address}")
    assert shown.replace("\\", "").replace("\N{WORD JOINER}", "") == f"see {address}"
    assert re.search("(//|www|@)\N{WORD JOINER}", shown)


def test_an_area_and_its_labels_make_no_map_of_empty_cells(full, opened):
    at = pick(opened(full, "error_rates"), "split", "label")
    at = fine(at.selectbox(key="split2").select("market").run())
    assert "eh-heat" in html(at)
    at = fine(at.selectbox(key="split2").select("area").run())
    assert "eh-heat" not in html(at) and len(charts_of(at)) == 1


def test_a_long_trend_has_as_many_small_figures_as_fit(monkeypatch):
    # the browser gives the theme, and there is no browser
    monkeypatch.setattr(charts, "quiet", lambda: "#566070")
    weeks = [date(2025, 1, 6) + timedelta(weeks=i) for i in range(60)]
    table = a_table(
        ("week", "policy_version"),
        *(some_rates({"week": f"{week}", "policy_version": "p"}, an_estimate()) for week in weeks),
    )
    spec = charts.trend(
        charts.trend_rows(table, "total", {}, "week"), {}, title="All errors", height=300
    ).to_dict()
    figures = [layer for layer in spec["layer"] if layer["encoding"].get("text", {}).get("field") == "n"]
    assert [len(spec["datasets"][layer["data"]["name"]]) for layer in figures] == [20]


def test_the_plan_is_the_domains_and_follows_its_controls(full, opened):
    ws, store = full
    frame, _ = scored_frame(ws, store, scored_world.MODEL)
    settings = ws.config.draw

    def planned(budget: int, kappa: float, by: str = "market", target: float = 0.01):
        return make_plan(
            frame,
            budget,
            kappa=kappa,
            floor=settings.floor,
            cell_floor=settings.cell_floor,
            cells=settings.cells,
            by=by,
            minutes_per_case=ws.config.review.minutes_per_case,
            target=target,
        )

    at = opened(full, "plan")
    first = planned(300, 1.0)
    assert f"about {first.chosen.errors:,.0f}" in html(at) and f"{first.hours:,.1f} hours" in html(at)
    assert rate_words.sentence(first.advice) in " ".join(e.value for e in at.markdown)
    assert f"{first.unknown_cells:.0%}" in html(at)
    at = fine(at.number_input(key="plan_budget").set_value(600).run())
    at = fine(at.select_slider(key="plan_kappa").set_value(1.25).run())
    at = fine(at.selectbox(key="plan_by").select("area").run())
    assert "No draw short of all" in " ".join(e.value for e in at.markdown)
    at = fine(at.number_input(key="plan_target").set_value(9.0).run())
    second = planned(600, 1.25, "area", 0.09)
    assert f"about {second.chosen.errors:,.0f}" in html(at) and second.chosen.errors > first.chosen.errors
    rows = at.dataframe[0].value
    assert rows["Reviews"].tolist() == [f"{row.reviews:,.0f}" for row in second.domains]
    costs = " ".join(e.value for e in at.markdown)
    least = min(second.domains, key=lambda row: row.reviews_for_target)
    assert f"{least.reviews_for_target:,} reviews" in costs
    assert at.code[0].value == "evenhand draw --budget 600 --kappa 1.25 --model 1", "none is live"
    at = fine(at.date_input(key="plan_since").set_value(date(2026, 3, 2)).run())
    at = fine(at.date_input(key="plan_to").set_value(date(2026, 3, 15)).run())
    assert at.code[0].value.endswith("--since 2026-03-02 --until 2026-03-16 --model 1")
    assert plan.command(second, "evenhand-1", None, None, live="evenhand-1").endswith("--kappa 1.25")


def test_the_plan_says_when_the_model_will_not_help(tmp_path, truth, opened):
    ws, store, _ = scored_world.build(tmp_path / "w", truth)
    store.add_user(User(user_id="management", role="management"))
    for file in ws.scores_dir.rglob("*.parquet"):
        pl.read_parquet(file).with_columns(p_overturn=pl.lit(0.1)).write_parquet(file)
    said = " ".join(e.value for e in opened((ws, store), "plan").markdown)
    assert text.as_typed("All scores are equal: the model tells nothing apart") in said


def test_the_plan_says_what_has_no_score_and_cannot_be_drawn(tmp_path, truth, opened):
    ws, store, _ = scored_world.build(tmp_path / "w", truth)
    store.add_user(User(user_id="management", role="management"))
    assert not opened((ws, store), "plan").warning
    last = sorted(ws.scores_dir.rglob("*.parquet"))[-1]
    missing = pl.scan_parquet(last).select(pl.len()).collect().item()
    last.unlink()
    (warned,) = opened((ws, store), "plan").warning
    assert warned.value.startswith(f"{missing:,} more decisions have no score by evenhand")
