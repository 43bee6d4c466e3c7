"""The manual and the report as a reader opens them: from their files, in headless Chromium (``make browser``)."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.pages import PAGES, ROOT

pytestmark = pytest.mark.slow
MANUAL = [page.removeprefix("docs/").replace(".md", ".html") for page in PAGES if page.startswith("docs/")]
REPORT = ROOT / "results" / "report.html"
WIDTHS = (1280, 390)
"""Of a desk and of a hand, in pixels."""
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""Folder for the pictures that the manual shows."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, to which no host has an address."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra browser is not installed")
    chromium = shutil.which("chromium") or pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as engine:
        started = engine.chromium.launch(executable_path=chromium, args=["--host-resolver-rules=MAP * ~NOTFOUND"])
        yield started
        started.close()


@contextmanager
def opened(browser: Any, file: Path, width: int = WIDTHS[0]) -> Iterator[Any]:
    """A file in the browser; afterwards, that nothing went wrong, nothing was asked of a network and nothing is cut off."""
    if not file.is_file():
        pytest.skip(f"{file} is not built: make browser")
    page, wrong = browser.new_page(viewport={"width": width, "height": 800}), []
    page.set_default_timeout(120_000)  # a machine may be busy
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(request.url))
    page.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else wrong.append(request.url))
    page.goto(file.as_uri())
    yield page
    page.wait_for_load_state("networkidle")
    assert wrong == []
    assert page.evaluate("[...document.images].filter(image => !image.naturalWidth).map(image => image.alt)") == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def photograph(page: Any, name: str) -> None:
    """Keep a picture for the manual, where one is asked for."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS, name))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", MANUAL)
def test_a_page_of_the_manual_is_whole(browser: Any, name: str, width: int) -> None:
    with opened(browser, ROOT / "site" / name, width) as page:
        assert "curselab" in page.title()
        assert page.get_by_role("heading", level=1).is_visible()
        links = page.eval_on_selector_all("a[href]", "links => links.map(link => [link.protocol, decodeURI(link.pathname)])")
        lost = [path for protocol, path in links if protocol == "file:" and not Path(path).is_file()]
        assert lost == []
        if width == WIDTHS[0] and name in ("index.html", "laws/capacity_gap.html"):
            photograph(page, f"manual_{Path(name).stem}.png")


def test_the_manual_is_searched_without_a_server(browser: Any) -> None:
    with opened(browser, ROOT / "site" / "index.html") as page:
        page.get_by_placeholder("Search").fill("optimal teacher")
        found = page.locator(".md-search-result__link", has=page.get_by_role("heading", name="Capacity gap", level=1))
        found.first.click()
        page.wait_for_url("**/laws/capacity_gap.html*")


def test_the_report_shows_every_law_on_one_page(browser: Any) -> None:
    with opened(browser, REPORT) as page:
        laws = page.evaluate("Object.keys(categories)")
        assert "all laws" in laws
        for law in laws:
            page.evaluate("app.setView({navbarMode: 'menu'})")
            page.locator("nav").get_by_text(law, exact=True).click()
            page.locator("tr", has_text="figure" if law == "all laws" else "all on one page").locator("a").first.click()
            if law != "all laws":
                record = page.frame_locator("iframe")
                record.get_by_role("heading", name=law).wait_for()
                assert record.get_by_role("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 500
                assert record.get_by_role("heading", name="Record of the fit").is_visible()
            if law == "capacity_gap":
                photograph(page, "report.png")


def test_what_a_page_may_not_do_is_seen(browser: Any, tmp_path: Path) -> None:
    """The checks themselves, each on a page that fails it."""
    spoilt = {
        "request": "<script src='https://example.org/x.js'></script>",
        "error": "<script>console.error('broken')</script>",
        "exception": "<script>throw new Error('broken')</script>",
        "image": "<img alt='lost' src='data:image/png;base64,AA'>",
        "width": "<div style='width: 2000px'>wide</div>",
    }
    for name, body in spoilt.items():
        (tmp_path / f"{name}.html").write_text(f"<title>{name}</title>{body}")
        with pytest.raises(AssertionError), opened(browser, tmp_path / f"{name}.html"):
            pass
