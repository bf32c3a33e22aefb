"""The report in a real Chromium: for all readers, at all widths, whatever the names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.bench.generated_runs import HOSTILE, generate
from tests.bench.report.chromium import Open, browser, in_browser, page_of, playwright
from tests.bench.report.page_checks import CUT, FAULTS, POOR_CONTRAST
from tests.bench.report.reading import (
    heading,
    labels,
    tick,
)

__all__ = ["browser", "page_of"]

pytestmark = in_browser
INERT = (*HOSTILE, '"><img src=x onerror=alert(1)>', "' onfocus='alert(1)", "javascript:alert(1)")


def test_the_page_can_be_used_with_the_keyboard(small: Path, page_of: Open) -> None:
    page = page_of(small)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    assert page.locator(".skip").bounding_box()["y"] >= 0, "seen when it has the focus"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.textContent.trim()")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"the focus on {focused} is not seen"
        seen.append(page.evaluate("document.activeElement.type || document.activeElement.tagName"))
        if focused.startswith("NLL"):
            break
    assert "checkbox" in seen and "search" in seen
    page.keyboard.press("Enter")
    assert labels(page)[0] == "below"
    page.keyboard.press("Space")
    assert labels(page)[0] == "hundred"
    assert page.evaluate("document.activeElement.textContent.trim()").startswith("NLL")
    tick(page, "v", "hundred").focus()
    page.keyboard.press("Space")
    assert "hundred" not in labels(page), "a space ticks"


def test_navigation_marks_the_section_in_view(study: Path, page_of: Open) -> None:
    page = page_of(study, width=390)
    for name in ("Cost", "Configuration", "Verdict"):
        page.get_by_role("link", name=name).click()
        playwright.expect(page.locator("nav a[aria-current]")).to_have_text(name)
        box = page.locator("nav a[aria-current]").bounding_box()
        assert 0 <= box["x"] < 390, "in view on a phone, too"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("switched", [False, True])
def test_text_has_enough_contrast(study: Path, page_of: Open, scheme: str, switched: bool) -> None:
    page = page_of(study, scheme=scheme)
    if switched:
        page.locator("#theme").click()
    heading(page, "NLL").click()
    page.get_by_text("Other metrics").click()
    page.get_by_text("What the columns mean").click()
    is_dark = (scheme == "dark") != switched
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == is_dark
    assert page.inner_text("#theme") == ("Light" if is_dark else "Dark")
    assert page.evaluate(POOR_CONTRAST) == []
    page.locator("#board-2 .open").nth(1).click()
    assert page.evaluate(POOR_CONTRAST) == []


@pytest.mark.parametrize("width", [390, 1280, 1440])
def test_nothing_is_cut(study: Path, page_of: Open, width: int) -> None:
    page = page_of(study, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(CUT) == []
    assert page.evaluate(FAULTS) == []
    if width >= 1280:
        script = "all => all.filter(e => e.scrollWidth > e.clientWidth).map(e => e.innerText)"
        assert page.eval_on_selector_all(".scroll", script) == [], "no table scrolls"
    else:
        board = page.locator(".scroll", has=page.locator("#board-1"))
        assert board.evaluate("each => each.scrollWidth > each.clientWidth"), "tables scroll"
        assert board.evaluate("each => each.tabIndex") == 0, "with the keyboard, too"
    page.locator("#board-2 .open").nth(1).click()
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_long_names_fit_a_phone(tmp_path: Path, write: Callable[..., Path], page_of: Open) -> None:
    long = "hydra+" + "heads" * 16
    values = {
        (long, label, 0): {"nll": 1.0, "accuracy": 1.0, "brier": 1.0, "ece": 1.0}
        for label in (long, "kd")
    }
    failed = {("spiral", "kd", 0): "x" * 500}
    run = generate(tmp_path / "run", values, failed=failed, recipe={long: long}, command=long * 9)
    page = page_of(write(run), width=360)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate(CUT) == []


def test_hostile_names_are_inert(tmp_path: Path, write: Callable[..., Path], page_of: Open) -> None:
    names = (*INERT, "</script><script>alert(1)</script>", "x" * 4000, "constructor", "__proto__")
    values = {
        (dataset, label, seed): {"nll": float(seed), "nll@rotation/1": 1.0}
        for dataset in names[:2]
        for label in names
        for seed in (0, 1)
    }
    failed = {(names[0], f"failed {text}", 0): text for text in INERT}
    run = generate(tmp_path / "run", values, failed=failed, command=" ".join(INERT))
    page = page_of(write(run))
    for text in names:
        page.get_by_label("Label contains").fill(text)
        assert text in labels(page)
    page.get_by_label("Label contains").fill("")
    assert page.locator("script").count() == 2
    assert page.locator("img[src='x']").count() == 0
    heading(page, "NLL").click()
    tick(page, "v", names[1]).uncheck()
    again = page_of(page.url and Path(page.url.partition("#")[0].removeprefix("file://")))
    again.goto(page.url)
    again.reload()
    assert labels(again) == labels(page) and names[1] not in labels(again)
    page.locator("#board-1 .open").nth(2).click()
    page.keyboard.press("Escape")
    page.locator(".chart circle").first.hover()


def test_injected_scripts_do_not_run(small: Path, tmp_path: Path, browser: Any) -> None:
    smuggled = "<script>document.title = 'run'</script><img src=x onerror=\"document.title='run'\">"
    path = tmp_path / "page.html"
    text = small.read_text(encoding="utf-8")
    path.write_text(text.replace("<main", f"{smuggled}<main"), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    assert re.fullmatch(r"small\d+ · report of a benchmark run", page.title())
    page.close()


def test_without_scripts_tables_and_figures_are_there(study: Path, page_of: Open) -> None:
    page = page_of(study, scripts=False)
    assert page.locator("#board-1").is_visible() and page.locator("#cost-2").is_visible()
    assert page.locator("figure img").first.is_visible()
    assert not page.locator(".choice").is_visible()
    assert (
        not page.locator(".copying").first.is_visible() and not page.locator("#theme").is_visible()
    )
    page.get_by_role("link", name="Configuration").click()


def test_the_printed_page_has_no_controls(study: Path, page_of: Open) -> None:
    page = page_of(study, scheme="dark")
    page.emulate_media(media="print")
    for control in ("nav", ".choice", ".copying", ".download"):
        assert not page.locator(control).first.is_visible()
    assert page.locator(".chart svg").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
