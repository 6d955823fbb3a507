"""One Chromium for all tests of a session; each page has a context of its own."""

import pytest
from playwright.sync_api import sync_playwright
from worlds.browser import CHROMIUM, FLAGS


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
