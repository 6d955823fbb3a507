"""Starts the app on its real server, and opens its pages in real Chromium for the tests."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from worlds.app_workspace import wait

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-sync",
]
#: The marks of every module that uses a browser.
IN_A_BROWSER = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; .ci/system-packages installs it as root"),
]
PATIENCE = 60_000  # milliseconds; a busy machine is slow
expect.set_options(timeout=PATIENCE)

# Everything that a page still has to do before it may be looked at or typed into: connect, run its script,
# replace what is stale or a placeholder, load its letters, draw its charts; and then stand still for STILL
# milliseconds.
STILL = 400
SETTLED = """still => {
  const app = document.querySelector(".stApp");
  const busy = !app || app.dataset.testScriptState !== "notRunning" || app.dataset.testConnectionState !== "CONNECTED"
    || document.querySelector("[data-stale=true], [data-testid=stSkeleton], [data-testid=stAppSkeleton]")
    || document.fonts.status !== "loaded" || document.getAnimations().some(a => a.playState === "running" && a.effect
      && a.effect.getComputedTiming().iterations !== Infinity)
    || [...document.querySelectorAll("[data-testid=stVegaLiteChart]")].some(chart =>
      !chart.querySelector("canvas, svg") || chart.getBoundingClientRect().height < 20);
  const boxes = [...document.querySelectorAll("button, h1, h2, h3, [data-testid=stVegaLiteChart], .stMain")].map(e => {
    const box = e.getBoundingClientRect(); return [box.x, box.y, box.width, box.height].map(Math.round).join(","); });
  const now = performance.now(), looks = busy ? now : document.body.innerHTML.length + "|" + boxes.join(";");
  if (!window.settling || window.settling.looks !== looks) window.settling = {looks, since: now};
  return !busy && now - window.settling.since >= still;
}"""


def settled(page: Page) -> None:
    """Wait until the whole page stays still from now on: only then a button has its key, and a box its size.

    After a key or a click, first expect what it should bring: the server may begin later than the page is
    still.
    """
    page.evaluate("() => { window.settling = null; }")
    page.wait_for_function(SETTLED, arg=STILL, timeout=PATIENCE, polling=50)


def read(page: Page) -> None:
    """Show the text, for long enough that a verdict counts."""
    expect(page.get_by_role("button", name="Show the text")).to_be_visible()
    settled(page)
    page.keyboard.press("v")
    expect(page.get_by_role("button", name="Blur again")).to_be_visible()
    settled(page)
    wait()


def until(check: Callable[[], bool], what: str) -> None:
    """Wait for something outside the page, like a ruling in the store."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


class Server:
    """`evenhand app` on a free port, with a guard that records every connection to another machine."""

    def __init__(self, root: Path, user: str | None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        call = [sys.executable, "-m", "cli", "-w", str(root), "app", "--port", str(self.port)]
        call += ["--user", user] if user else []
        self.log = root.parent / "sockets.log"
        guarded = os.pathsep.join([str(ROOT / "tests" / "guard"), str(ROOT)])
        self.process = subprocess.Popen(
            call,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": guarded, "EVENHAND_SOCKET_LOG": str(self.log)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(self.url + "_stcore/health", timeout=2).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "the app did not come up within a minute"
                time.sleep(0.2)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def kill(self) -> None:
        """Kill the app with its server (kill -9)."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert not self.log.exists(), self.log.read_text()  # the server asked no other machine
