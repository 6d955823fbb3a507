"""The browser of the app's tests: one Chromium a module, since Playwright keeps an event loop running."""

import pytest
from playwright.sync_api import sync_playwright
from worlds.browser import CHROMIUM, FLAGS


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
