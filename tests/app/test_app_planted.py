"""Tests in real Chromium that pictures, links and tags in the data never work on a page.

They are planted in every field that reaches a page. Nothing is loaded, and nothing is linked.
"""

import re
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
import yaml
from playwright.sync_api import Page, expect
from worlds.app_workspace import AT, app_workspace, taken, wait
from worlds.browser import IN_A_BROWSER, Server, read, settled

from evenhand.rates.question import Question
from evenhand.rates.table import estimate_draws
from evenhand.records.people import User
from evenhand.records.policy import parse_policy
from evenhand.records.ruling import Ruling
from evenhand.similar.conflicts import publish_conflicts
from evenhand.synthetic.sample_policies import sample_policies

pytestmark = IN_A_BROWSER
SITE = "evil.example"
PLANTED = f' ![x](http://{SITE}/p.png) <img src="http://{SITE}/i.png"> [a](http://{SITE}/a) http://{SITE}/b `![y](http://{SITE}/y.png)'
FOUND = f'img[src*="{SITE}"], a[href*="{SITE}"]'


def planted_policies():
    for _, text in sample_policies():
        raw = yaml.safe_load(text)
        raw["version"] += PLANTED
        for area in raw["areas"]:
            area["title"] += PLANTED
            for label in area["labels"]:
                for name in ("title", "clause_id", "clause"):
                    label[name] += PLANTED
        raw["effective_from"] = str(raw["effective_from"])
        text = yaml.safe_dump(raw, allow_unicode=True)
        yield parse_policy(text), text


def plant(decisions: pl.DataFrame) -> pl.DataFrame:
    fields = ("case_id", "moderator_id", "market", "queue", "team", "text", "policy_version", "content_type")
    return decisions.with_columns(pl.col(name) + PLANTED for name in fields)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    ws, store = app_workspace(
        tmp_path_factory.mktemp("planted"), policies=list(planted_policies()), change=plant
    )
    publish_conflicts(ws)
    late = next(draw.draw_id for draw in store.draws() if draw.budget == 40)
    person = User(user_id="eve" + PLANTED, role="admin")
    store.add_user(person)
    item = store.take_item(late, person, at=datetime.now(UTC)).item
    area = store.policy(item.policy_version).area(item.area)
    other = next(name for name in area.label_names if name != item.label)
    ruling = Ruling(
        case_id=item.case_id,
        area=item.area,
        policy_version=item.policy_version,
        label=other,
        sme_id=person.user_id,
        ruled_at=AT + timedelta(hours=2),
        decision_moderator_id=item.moderator_id,
        draw_id=late,
        error_class=area.error_class(item.label, other),
        rationale="why" + PLANTED,
    )
    store.rule_item(ruling, by=person.user_id)
    item = store.take_item(late, person, at=datetime.now(UTC)).item
    store.skip_item(
        late, item.decision_id, sme_id=person.user_id, reason="gone" + PLANTED, at=datetime.now(UTC)
    )
    where = {"market": item.market}
    found = vars(estimate_draws(ws, store, Question(filters=where)).overall.total)
    for due in ("2026-05-01", "2099-05-01"):
        name = store.open_improvement(
            where,
            found,
            by=person.user_id,
            at=AT,
            owner="Lina" + PLANTED,
            action="a talk" + PLANTED,
            due=due,
        )
        if due.startswith("2026"):
            where = {**where, "queue": item.queue}
    store.close_improvement(name, "it worked" + PLANTED, by=person.user_id, at=AT)
    store.record_live("evenhand-1", item.policy_version, by=person.user_id, at=AT, note="live" + PLANTED)
    yield ws, store, late, person.user_id
    store.close()


@pytest.fixture
def walked(world, browser):
    """A page of the running app; at the end it has asked no other machine, and nothing planted works."""
    server = Server(world[0].root, world[3])
    page = browser.new_page(viewport={"width": 1440, "height": 1400})
    seen: list[str] = []
    page.on("request", lambda asked: seen.append(asked.url))
    try:
        yield page, server.url
        assert seen and not [url for url in seen if not url.startswith((server.url, "data:", "blob:"))]
        page.close()
    finally:
        server.kill()


def inert(page: Page) -> None:
    settled(page)
    assert page.locator(FOUND).count() == 0, page.locator(FOUND).first.evaluate("e => e.outerHTML")
    assert page.locator("[data-testid=stException]").count() == 0


def test_what_is_planted_on_the_review_desk_stays_text(world, walked):
    page, url = walked
    _, store, draw, me = world
    page.goto(url + "review")
    read(page)
    expect(page.get_by_text(f"skipped, gone ![x](http://\u2060{SITE}/p.png)")).to_be_visible()
    inert(page)
    item = taken(store, draw, me)
    page.get_by_role("button", name="Overturn").click()
    labels = page.get_by_role("button", name=re.compile(re.escape("![x]")))
    expect(labels.first).to_be_visible()
    settled(page)
    for label in labels.all():
        label.hover()  # shows its help
        expect(page.get_by_role("tooltip").first).to_be_visible()
        inert(page)
    page.mouse.move(5, 5)  # closes the tooltip
    labels.first.click()
    settled(page)
    wait()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text(f"{item.case_id[:8]}").first).to_be_visible()
    inert(page)
    page.get_by_role("button", name="Undo").click()
    inert(page)


@pytest.mark.parametrize(
    ("address", "title"),
    [
        ("flags", "Flags"),
        ("conflicts", "Conflicts"),
        ("overview", "Overview"),
        ("error-rates", "Error rates"),
        ("improvement", "Improvement areas"),
        ("plan", "Plan"),
        ("method", "Method"),
        ("models", "Models"),
    ],
)
def test_what_is_planted_on_a_page_stays_text(walked, address, title):
    page, url = walked
    page.goto(url + address)
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible(timeout=60_000)
    inert(page)
    if address in ("flags", "conflicts"):
        expect(page.locator("[data-testid=stDataFrame] canvas").first).to_be_visible()
        page.locator("[data-testid=stDataFrame] canvas").first.click(position={"x": 20, "y": 55}, force=True)
        reveal = page.get_by_role("button", name=re.compile("Show the text"))
        expect(reveal).to_be_visible(timeout=60_000)
        inert(page)
        reveal.click()
        inert(page)
    for summary in page.locator("[data-testid=stExpander] summary").all():
        summary.click()
    inert(page)
    if address == "error-rates":
        for view in ("Market × area", "Change"):
            page.get_by_text(view, exact=True).click()
            inert(page)
    for button in page.locator("[data-testid=stPopover] button").all()[:4]:
        button.click()
        inert(page)
        page.keyboard.press("Escape")
    inert(page)
