"""Tests the review flow in real Chromium, with the keyboard, on the real server."""

import pytest
from playwright.sync_api import Page, expect
from worlds.app_workspace import app_workspace, taken, wait
from worlds.browser import IN_A_BROWSER, Server, read, settled, until

pytestmark = IN_A_BROWSER


@pytest.fixture
def world(tmp_path):
    ws, store = app_workspace(tmp_path)
    yield ws, store, next(draw.draw_id for draw in store.draws() if draw.budget == 40)
    store.close()


def opened(browser, server: Server, seen: list[str] | None = None) -> Page:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    if seen is not None:
        page.on("request", lambda request: seen.append(request.url))
    page.goto(server.url)
    expect(page.get_by_role("button", name="Agree")).to_be_visible(timeout=30_000)
    return page


def test_a_batch_is_worked_through_from_the_keyboard(world, browser):
    ws, store, draw = world
    seen: list[str] = []
    server = Server(ws.root, "sme")
    try:
        page = opened(browser, server, seen)
        text = page.locator(".eh-text").first
        assert "blur" in text.evaluate("e => getComputedStyle(e).filter")
        read(page)
        assert page.locator(".eh-text").first.evaluate("e => getComputedStyle(e).filter") == "none"

        page.keyboard.press("a")
        until(lambda: store.progress(draw).ruled == 1, "A did not agree")
        expect(page.get_by_text("1 of 40 ruled")).to_be_visible()

        item = taken(store, draw)
        read(page)
        page.keyboard.press("o")
        expect(page.get_by_role("button", name="Save")).to_be_visible()
        settled(page)
        page.keyboard.press("1")
        expect(page.get_by_role("button", name="Save")).to_be_enabled()
        page.get_by_label("Note (optional)").fill("as a saloon")  # its letters must not act as commands
        page.get_by_label("Note (optional)").press("Tab")
        assert store.progress(draw).ruled == 1
        page.get_by_text("Which label is right?").click()
        page.keyboard.press("s")
        until(lambda: store.progress(draw).ruled == 2, "S did not save")
        last = store.rulings(draw_id=draw).row(-1, named=True)
        assert (
            last["case_id"] == item.case_id
            and last["label"] != item.label
            and last["rationale"] == "as a saloon"
        )

        expect(page.get_by_text("2 of 40 ruled")).to_be_visible()
        settled(page)
        wait()
        page.keyboard.press("u")
        until(lambda: store.progress(draw).ruled == 1, "U did not take the ruling back")
        assert taken(store, draw).case_id == item.case_id
        expect(page.get_by_text("1 of 40 ruled")).to_be_visible()
        settled(page)
        page.keyboard.press("k")
        expect(page.get_by_text("Skipped cases are counted as missing")).to_be_visible()
        settled(page)
        page.keyboard.press("2")
        until(lambda: store.progress(draw).skipped == 1, "K and 2 did not skip")
        expect(page.get_by_text(f"{item.case_id}: skipped, not my language.")).to_be_visible()
        settled(page)
        wait()
        page.keyboard.press("u")
        until(lambda: store.progress(draw).skipped == 0, "U did not take the skip back")
        assert store.progress(draw).ruled == 1 and taken(store, draw).case_id == item.case_id
        page.close()
    finally:
        server.kill()
    outside = [url for url in seen if not url.startswith((server.url, "data:", "blob:"))]
    assert seen and not outside


def test_a_ruling_survives_a_kill_of_the_server(world, browser):
    ws, store, draw = world
    server = Server(ws.root, "sme")
    try:
        page = opened(browser, server)
        read(page)
        page.keyboard.press("a")
        until(lambda: store.progress(draw).ruled == 1, "A did not agree")
    finally:
        server.kill()
    page.close()
    assert store.rulings(draw_id=draw).height == 1


BOXES = """e => [...e.querySelectorAll("mark")].map(mark => {
  const before = document.createRange(); before.setStart(e, 0); before.setEndBefore(mark);
  const {left, right, top, bottom} = mark.getBoundingClientRect();
  return {text: mark.textContent, start: [...before.toString()].length, names: mark.className,
          left, right, top, bottom, outline: getComputedStyle(mark).outlineStyle};
})"""


def test_arabic_runs_from_right_to_left_and_its_marks_sit_on_their_words(world, browser):
    ws, store, draw = world
    server = Server(ws.root, "sme-sa")
    try:
        page = opened(browser, server)
        text = page.locator(".eh-text").first
        assert text.get_attribute("lang") == "ar"
        assert text.evaluate("e => e.matches(':dir(rtl)')")
        page.keyboard.press("v")
        expect(page.locator(".eh-text mark").first).to_be_visible()
        item = taken(store, draw, "sme-sa")
        box, marks = text.bounding_box(), text.evaluate(BOXES)
        spans = item.explanation["spans"]
        assert [m["text"] for m in marks] == [item.text[s["start"] : s["end"]] for s in spans]
        assert [m["start"] for m in marks] == [s["start"] for s in spans]
        first, third = marks
        assert box is not None
        middle = box["x"] + box["width"] / 2
        assert first["right"] > middle
        assert third["right"] <= first["left"] and first["top"] == third["top"]  # on the same line
        assert (first["names"], third["names"]) == ("", "eh-flip") and third["outline"] == "solid"
        page.close()
    finally:
        server.kill()


def test_a_blind_review_sends_neither_verdict_nor_score_before_the_ruling(world, browser):
    ws, store, draw = world
    (ws.root / "evenhand.toml").write_text("[review]\nblind = true\n")
    item = taken(store, draw)
    frames: list[bytes] = []

    def keep(frame: bytes | str) -> None:
        frames.append(frame if isinstance(frame, bytes) else frame.encode())

    server = Server(ws.root, "sme")
    try:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.on("websocket", lambda stream: stream.on("framereceived", keep))
        page.goto(server.url)
        expect(page.get_by_role("button", name="Save")).to_be_visible(timeout=30_000)
        settled(page)
        sent = b"".join(frames)
        assert item.text.encode() in sent  # the log shows what is sent
        secrets = [
            "The moderator decided",
            "reads like",
            "a precedent text",
            item.moderator_id,
            item.case_id,
            item.explanation["sentence"],
            f"{item.p_overturn:.2f}",
            f"{item.p_overturn:.0%}",
            "over_enforcement",
        ]
        assert not [secret for secret in secrets if secret.encode() in sent]
        read(page)
        page.keyboard.press("1")
        expect(page.get_by_role("button", name="Save")).to_be_enabled()
        page.keyboard.press("s")
        until(lambda: store.progress(draw).ruled == 1, "S did not save")
        expect(page.get_by_text("The model gave an overturn")).to_be_visible()
        page.close()
    finally:
        server.kill()


def test_a_key_that_is_held_rules_on_one_case_at_most(world, browser):
    _, store, draw = world
    server = Server(world[0].root, "sme")
    try:
        page = opened(browser, server)
        settled(page)
        for _ in range(6):  # while nobody has seen the text
            page.keyboard.press("a")
            page.wait_for_timeout(120)
        settled(page)
        assert store.progress(draw).ruled == 0
        read(page)
        for _ in range(12):
            page.keyboard.press("a")
            page.wait_for_timeout(120)
        until(lambda: store.progress(draw).ruled == 1, "A did not agree")
        settled(page)
        page.wait_for_timeout(1_000)
        assert store.progress(draw).ruled == 1
        page.close()
    finally:
        server.kill()


def test_who_is_chosen_is_who_acts_and_a_change_of_person_changes_the_page(world, browser):
    ws, store, draw = world
    server = Server(ws.root, None)

    def holders() -> set[str]:
        return {item.holder for item in store.open_items(draw) if item.holder}

    def choose(name: str) -> None:
        page.get_by_role("combobox", name="You are").click()
        page.get_by_role("option", name=name, exact=True).click()

    try:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(server.url + "review")
        expect(page.get_by_role("heading", name="Welcome to Evenhand")).to_be_visible()
        settled(page)
        assert not holders() and not page.get_by_role("dialog").count()
        choose("sme")
        read(page)
        assert holders() == {"sme"}
        choose("management")
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        settled(page)
        assert page.url == server.url + "overview" and not page.get_by_role("dialog").count()
        page.get_by_role("heading", name="Overview").click()
        page.keyboard.press("a")
        page.get_by_role("link", name="Error rates").click()
        expect(page.get_by_role("heading", name="Error rates")).to_be_visible()
        expect(page.get_by_role("link", name="Review", exact=True)).to_have_count(0)
        choose("admin")
        expect(page.get_by_role("link", name="Review", exact=True)).to_be_visible()
        page.get_by_role("link", name="Review", exact=True).click()
        read(page)
        page.keyboard.press("a")
        until(lambda: store.progress(draw).ruled == 1, "A did not agree")
        assert store.rulings(draw_id=draw)["sme_id"].to_list() == ["admin"]
        assert store.audit_log()["by"].to_list().count("management") == 0
        page.close()
    finally:
        server.kill()
