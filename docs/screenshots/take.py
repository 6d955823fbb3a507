"""Takes the screenshots of this folder from a demo workspace, in headless Chromium.

    make demo APP=0 && .venv/bin/python docs/screenshots/take.py demo-workspace [PAGE ...]

With PAGE (review, overview, flags, ...) it takes only those pages. All texts on them are invented. A run
leaves two users, a few skipped cases and an audit trail in the workspace.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

from evenhand.records.people import User
from evenhand.store import Store

HERE = Path(__file__).parent
Scheme = Literal["light", "dark"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
#: Pages by the name of their file, and whether they are also taken in dark colours.
PAGES = {
    "overview": True,
    "flags": True,
    "conflicts": True,
    "error-rates": True,
    "improvement": False,
    "plan": False,
    "method": False,
    "models": True,
}


@contextmanager
def serve(workspace: Path, user: str) -> Iterator[str]:
    """The address of the app on a free port, as `user`; the app is always stopped."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    call = [
        sys.executable,
        "-m",
        "cli",
        "-w",
        str(workspace),
        "app",
        "--port",
        str(port),
        "--user",
        user,
    ]
    server = subprocess.Popen(call, stdout=subprocess.DEVNULL, env={**os.environ})
    url = f"http://127.0.0.1:{port}/"
    try:
        while server.poll() is None:
            try:
                urllib.request.urlopen(url + "_stcore/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait()


def settled(page: Page) -> None:
    """Wait until the page has stopped working."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=60_000)
    time.sleep(1.5)


def review(browser: Browser, url: str, name: str, scheme: Scheme, *, seek: bool) -> None:
    """The review desk with the text shown and the overturn form open.

    `seek` skips to a case whose text reads like another label.
    """
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
    page.goto(url)
    page.get_by_role("button", name="Agree").wait_for(timeout=60_000)
    settled(page)
    while seek and not page.locator(".eh-reads").count():
        page.keyboard.press("k")
        page.get_by_text("Skipped cases").wait_for()
        page.keyboard.press("1")
        page.get_by_text("Which").or_(page.get_by_text("Skipped cases")).first.wait_for(state="hidden")
        settled(page)
    page.keyboard.press("v")
    page.get_by_role("button", name="Blur again").wait_for()
    page.keyboard.press("o")
    page.get_by_text("Which label is right?").wait_for()
    settled(page)
    page.mouse.move(5, 5)
    page.screenshot(path=HERE / f"{name}.png")
    page.close()


def pages(browser: Browser, url: str, wanted: list[str]) -> None:
    """Each page as it opens, in light colours; some also in dark."""
    for name in wanted:
        schemes: list[Scheme] = ["light", "dark"] if PAGES[name] else ["light"]
        for scheme in schemes:
            page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
            page.goto(url + name)
            page.get_by_role("heading").first.wait_for(timeout=60_000)
            settled(page)
            page.screenshot(path=HERE / f"{name}{'-dark' if scheme == 'dark' else ''}.png")
            page.close()


def reviews(browser: Browser, workspace: Path) -> None:
    """The review desk in several languages."""
    with Store.open(f"sqlite:///{workspace / 'store.db'}") as store:
        for market in ("sa", "th"):
            store.add_user(User(user_id=f"sme-{market}", role="sme", markets=(market.upper(),)))
    shots: list[tuple[str, str, Scheme]] = [
        ("demo-admin", "review", "light"),
        ("demo-admin", "review-dark", "dark"),
        ("sme-sa", "review-arabic", "light"),
        ("sme-th", "review-thai", "light"),
    ]
    for user, name, scheme in shots:
        with serve(workspace, user) as url:
            review(browser, url, name, scheme, seek=name == "review")


def main() -> None:
    """Take all screenshots, or the named ones."""
    workspace, wanted = Path(sys.argv[1]), sys.argv[2:] or ["review", *PAGES]
    if unknown := sorted(set(wanted) - {"review", *PAGES}):
        raise SystemExit(f"no page {unknown[0]!r}; there is review, {', '.join(PAGES)}")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        if "review" in wanted:
            reviews(browser, workspace)
        with serve(workspace, "demo-admin") as url:
            pages(browser, url, [name for name in PAGES if name in wanted])
        browser.close()


if __name__ == "__main__":
    main()
