"""The `browser_page` fixture: a page in a real headless Chromium, which writes down what it says and asks for.

    def test_it(browser_page):
        page = browser_page.open_page("<p>hello</p>", width=400, height=800, dark=True)
        assert page.inner_text("p") == "hello"          # page is Playwright's
        assert browser_page.messages == [] and browser_page.requests == []

The page is opened as a file, as the reader of a saved one does. Tests that use it are skipped, with the
reason, where Playwright or a Chromium is missing; CHROMIUM names one that is not on the path.
"""

import os
import shutil

import pytest

__all__ = ["BrowserPage", "browser_page", "chromium"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Nothing that Chromium does on its own account may reach for the network.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium():
    """A Chromium for the tests of one file, closed after the last of them."""
    sync = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    with sync.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        except sync.Error as error:
            pytest.skip(f"no Chromium that starts: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


class BrowserPage:
    """Opens pages; `messages` and `requests` are what they wrote to the console and asked the network for."""

    def __init__(self, browser, folder):
        self.messages: list[str] = []
        self.requests: list[str] = []
        self._browser, self._folder, self._contexts = browser, folder, []

    def open_page(self, html, width=1280, height=800, dark=False, reduced_motion=True):
        """Save html, open the file and wait until it is loaded: Playwright's page."""
        file = self._folder / f"page{len(self._contexts)}.html"
        file.write_text(html, encoding="utf-8")
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if reduced_motion else "no-preference",
        )
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: self.messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.messages.append(f"error: {error}"))
        page.on("request", lambda request: self._asked(request.url, file.as_uri()))
        page.goto(file.as_uri())
        return page

    def _asked(self, url, own):
        if url != own and not url.startswith(("data:", "blob:", "about:")):
            self.requests.append(url)

    def close(self):
        """Close every page that was opened."""
        for context in self._contexts:
            context.close()


@pytest.fixture
def browser_page(chromium, tmp_path):
    """Opens HTML in Chromium: see the top of this file."""
    opener = BrowserPage(chromium, tmp_path)
    yield opener
    opener.close()
