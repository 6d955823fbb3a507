"""Tests the overview and the error rates in real Chromium, light and dark.

Nothing is loaded from other machines.
"""

import re

import pytest
from playwright.sync_api import Page, expect
from worlds.browser import IN_A_BROWSER, PATIENCE, Server, settled
from worlds.managed_world import managed_world

from evenhand.rates.table import estimate_draws

pytestmark = IN_A_BROWSER

# The lowest contrast (WCAG) of text in an element with the selector, against its fill over the page's fill.
CONTRAST = """selector => {
  const parse = text => { const n = (text.match(/[\\d.]+(e-?\\d+)?/g) || []).map(Number);
    const [r, g, b, a = 1] = text.startsWith("color(") ? n : [n[0] / 255, n[1] / 255, n[2] / 255, n[3] ?? 1];
    return {r, g, b, a}; };
  const over = (top, low) => ({r: top.r * top.a + low.r * (1 - top.a), g: top.g * top.a + low.g * (1 - top.a),
    b: top.b * top.a + low.b * (1 - top.a), a: 1});
  const light = c => { const [r, g, b] = [c.r, c.g, c.b].map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const page = parse(getComputedStyle(document.querySelector(".stApp")).backgroundColor);
  return Math.min(...[...document.querySelectorAll(selector)].map(e => {
    const fill = over(parse(getComputedStyle(e).backgroundColor), page);
    const ink = over(parse(getComputedStyle(e.querySelector("span")).color), fill);
    const [a, b] = [light(ink), light(fill)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05); }));
}"""


@pytest.fixture(scope="module")
def world(tmp_path_factory, truth):
    ws, store = managed_world(tmp_path_factory.mktemp("browser") / "w", truth)
    yield ws, store
    store.close()


@pytest.fixture(scope="module")
def server(world):
    server = Server(world[0].root, "management")
    yield server
    server.kill()


@pytest.fixture(params=["light", "dark"])
def page(request, server, browser):
    """A page that records its requests and its warnings."""
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=request.param)
    seen, warned = [], []
    page.on("request", lambda asked: seen.append(asked.url))
    page.on("console", lambda line: warned.append(line.text))
    yield page
    page.close()
    assert seen and not [url for url in seen if not url.startswith((server.url, "data:", "blob:"))]
    assert not [text for text in warned if "Infinite extent" in text or "Error" in text]


def ready(page: Page, url: str, title: str) -> None:
    page.goto(url)
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible(timeout=PATIENCE)
    settled(page)


def wide(page: Page) -> bool:
    """Whether the page is wider than the window."""
    return page.evaluate("() => document.scrollingElement.scrollWidth > innerWidth")


def test_a_manager_lands_on_the_overview_and_sees_what_needs_attention(world, server, page):
    ready(page, server.url, "Overview")
    total = estimate_draws(*world).overall.total
    expect(page.get_by_text(f"95% interval {total.low:.1%} to {total.high:.1%}").first).to_be_visible()
    expect(page.locator(".eh-attend")).not_to_have_count(0)
    expect(page.get_by_text("Overdue since 1 May 2026")).to_be_visible()
    chart = page.locator("[data-testid=stVegaLiteChart]")
    expect(chart).to_have_count(1)
    assert chart.bounding_box()["height"] > 250
    assert not wide(page)
    bar = page.locator(".eh-bar").first
    widths = [bar.locator(f".eh-{kind}").bounding_box()["width"] for kind in ("ruled", "skipped", "open")]
    assert widths[0] / sum(widths) == pytest.approx(30 / 60, abs=0.02)
    assert widths[1] / sum(widths) == pytest.approx(4 / 60, abs=0.02)
    page.get_by_text("Month", exact=True).click()
    settled(page)
    expect(chart).to_be_visible()
    names = page.get_by_test_id("stSidebarNav").get_by_role("link").all_inner_texts()
    assert names == ["Overview", "Error rates", "Improvement areas", "Plan", "Method"]
    assert page.url == f"{server.url}overview"
    ready(page, page.url, "Overview")
    expect(page.get_by_text("Page not found")).to_have_count(0)


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("overview", "Overview"),
        ("error-rates", "Error rates"),
        ("improvement", "Improvement areas"),
        ("plan", "Plan"),
        ("method", "Method"),
    ],
)
def test_a_small_window_cuts_nothing_off(server, page, path, title):
    page.set_viewport_size({"width": 1024, "height": 768})
    ready(page, f"{server.url}{path}", title)
    assert not wide(page)
    right = page.evaluate(
        "() => document.querySelector('.stMainBlockContainer').getBoundingClientRect().right"
    )
    shown = page.locator(".stMainBlockContainer button:visible, .stMainBlockContainer h3:visible")
    boxes = [box for box in (one.bounding_box() for one in shown.all()) if box]
    assert len(boxes) > 2 and all(box["x"] + box["width"] <= right for box in boxes)
    expect(page.locator("a[href*='example.org']")).to_have_count(0)  # an action contains an address


def test_the_map_fits_a_small_window_and_the_trend_stands_above_what_needs_attention(server, page):
    page.set_viewport_size({"width": 1024, "height": 768})
    ready(page, server.url, "Overview")
    assert page.evaluate(
        """() => { const [trend, attention] = ["Trend", "What needs attention"].map(
          name => [...document.querySelectorAll("h3")].find(h => h.innerText === name)?.getBoundingClientRect());
        return trend && attention && attention.y > trend.y + 400 && attention.x === trend.x; }"""
    )
    ready(page, f"{server.url}error-rates", "Error rates")
    page.get_by_text("Market × area", exact=True).click()
    settled(page)
    expect(page.locator(".eh-heat td").first).to_be_visible()
    assert page.locator(".eh-heat").evaluate("e => e.scrollWidth <= e.clientWidth")


def test_the_map_shows_three_states_by_frame_and_fill_and_reads_in_both_schemes(world, server, page):
    ready(page, f"{server.url}error-rates", "Error rates")
    expect(page.locator("[data-testid=stVegaLiteChart]")).to_be_visible()
    page.get_by_text("Market × area", exact=True).click()
    settled(page)
    expect(page.locator(".eh-heat td").first).to_be_visible()
    settled(page)
    looks = {}
    for kind in ("measured", "modelled"):
        style = "e => [getComputedStyle(e).borderTopStyle, getComputedStyle(e).backgroundImage.slice(0, 9)]"
        looks[kind] = page.locator(f"td.eh-{kind}").first.evaluate(style)
        assert page.evaluate(CONTRAST, f"td.eh-{kind}") > 4.5
    assert looks == {"measured": ["solid", "none"], "modelled": ["dashed", "repeating"]}
    page.get_by_text("Over-enforcement", exact=True).nth(1).click()
    settled(page)
    unknown = page.locator("td.eh-unknown").first
    expect(unknown).to_be_visible()
    assert unknown.evaluate("e => getComputedStyle(e).borderTopStyle") == "dotted"
    assert re.match(r"\?\s*not known yet\s*n \d+, needs\s\d+\smore", unknown.inner_text())
    assert page.evaluate(CONTRAST, "td.eh-unknown") > 4.5 and not wide(page)
    page.get_by_text("Change", exact=True).click()
    settled(page)
    expect(page.get_by_text("speak of sampling noise alone")).to_be_visible()
