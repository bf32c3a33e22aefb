"""A real Chromium for tests of pages; without one they are skipped, and say so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

Open = Callable[..., Any]
CHROMIUM = next(
    filter(None, map(shutil.which, (os.environ.get("CHROMIUM", ""), "chromium", "google-chrome"))),
    None,
)
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium; CHROMIUM=PATH names one")
KEEP_COPIES = """if (navigator.clipboard)
  navigator.clipboard.writeText = async text => { window.copied = text; }"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    # Within a container the program is root, for whom Chromium has no sandbox.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


@pytest.fixture
def page_of(browser: Any) -> Iterator[Open]:
    """page_of(file, width, scheme, hash): the page; fails on errors and on requests."""
    contexts, complaints, requests = [], [], []

    def refuse(dialog: Any) -> None:
        complaints.append(dialog.message)
        dialog.dismiss()

    def visit(
        path: Path, width: int = 1280, scheme: str = "light", hash: str = "", scripts: bool = True
    ) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            offline=True,
            java_script_enabled=scripts,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", refuse)
        page.on("request", lambda request: requests.append(request.url))
        page.add_init_script(KEEP_COPIES)
        page.goto(path.as_uri() + hash)
        return page

    yield visit
    fetched = [url.partition("#")[0] for url in requests if not url.startswith("data:")]
    pages = {page.url.partition("#")[0] for context in contexts for page in context.pages}
    for context in contexts:
        context.close()
    assert complaints == []
    assert set(fetched) <= pages
