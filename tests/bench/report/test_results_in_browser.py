"""The report in a real Chromium: tables, dots for every seed, and figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bench.generated_runs import generate
from tests.bench.report.chromium import Open, browser, in_browser, page_of, playwright
from tests.bench.report.reading import (
    LONG,
    heading,
    headings,
    labels,
    tick,
)

__all__ = ["browser", "page_of"]

pytestmark = in_browser


# Tables


def test_a_heading_sorts_by_number_in_both_directions(small: Path, page_of: Open) -> None:
    page = page_of(small)
    before = labels(page)
    unsorted = [label for label in before if label in ("nan", "failed")]
    best_first = ["below", "ensemble", "nine", "ten", "hundred"]

    def sorted_by() -> list[tuple[str, str]]:
        script = "all => all.map(each => [each.dataset.column, each.ariaSort])"
        return [tuple(found) for found in page.eval_on_selector_all("th[aria-sort]", script)]

    heading(page, "NLL").click()
    assert labels(page) == best_first + unsorted, "what has no number is last"
    assert sorted_by() == [("nll", "ascending")]
    heading(page, "NLL").click()
    assert labels(page) == best_first[::-1] + unsorted, "in either direction"
    assert sorted_by() == [("nll", "descending")]
    heading(page, "Error").click()
    assert labels(page) == ["ensemble", "nine", "ten", "below", "hundred", *unsorted]
    assert sorted_by() == [("accuracy", "ascending")]
    assert "Error [%], ascending" in page.inner_text("#sort-status")
    heading(page, "Method").click()
    assert labels(page) == sorted(before)
    for _ in range(2):
        heading(page, "Method").click()
    assert labels(page) == before and sorted_by() == []


def test_rows_are_filtered(small: Path, page_of: Open) -> None:
    page = page_of(small)
    everything = labels(page)
    assert "failed" in everything
    page.get_by_label("Label contains").fill("N")
    assert labels(page) == [label for label in everything if "n" in label.lower()]
    assert page.inner_text("#filter-status") == "5 of 7 rows shown"
    page.get_by_label("Label contains").fill("no such row")
    assert labels(page) == [] and page.locator(".nothing").first.is_visible()
    page.get_by_role("button", name="Show all").click()
    playwright.expect(page.locator("#filter-status")).to_have_text("")
    assert labels(page) == everything
    for name in set(everything) - {"nine", "ten"}:
        tick(page, "v", name).uncheck()
    heading(page, "NLL").click()
    assert labels(page) == ["nine", "ten"], "sorting keeps the ticks"
    page.get_by_role("button", name="Show all").click()
    page.get_by_label("only with cells without values").check()
    assert labels(page) == ["failed"]


def test_ticks_choose_datasets_metrics_and_methods(study: Path, page_of: Open) -> None:
    page = page_of(study)
    charts = page.locator(".charts[data-dataset=digits] svg")
    assert "nll" in headings(page) and "nll@rotation/3" not in headings(page)
    before = charts.count()
    tick(page, "m", "nll").uncheck()
    assert "nll" not in headings(page) and charts.count() == before - 1
    assert not page.locator('#best tr[data-metric="nll"]').is_visible()
    tick(page, "v", "kd").uncheck()
    assert "kd" not in labels(page) and "kd" not in labels(page, "#cost-1")
    tick(page, "d", "spiral").uncheck()
    assert not page.locator("#board-2").is_visible() and page.locator("#board-1").is_visible()
    page.get_by_text("Other metrics").click()
    page.locator("#find-metric").fill("rotation")
    assert page.locator(".others label:visible").all_inner_texts() == ["NLL (rotation 3) [nats]"]
    tick(page, "m", "nll@rotation/3").check()
    assert headings(page)[-1] == "nll@rotation/3" and charts.count() == before
    row = page.locator('#board-1 tr[data-label="hydra"] td').last
    assert row.inner_text() == "3.000 ± 0.000" and "best" not in row.get_attribute("class")
    heading(page, "rotation").click()
    assert labels(page) == ["ensemble", "hydra", "mc-dropout", LONG]


def test_the_address_keeps_what_is_chosen(study: Path, page_of: Open) -> None:
    page = page_of(study)
    tick(page, "m", "ece").uncheck()
    tick(page, "v", LONG).uncheck()
    page.get_by_label("Label contains").fill("d")
    heading(page, "NLL").click()
    heading(page, "NLL").click()
    page.get_by_role("link", name="Cost").click()
    chosen = labels(page), headings(page)
    again = page_of(study, hash="#" + page.url.partition("#")[2])
    assert (labels(again), headings(again)) == chosen
    assert chosen[0] == ["mc-dropout", "hydra", "kd"] and "ece" not in chosen[1]
    assert again.evaluate("document.activeElement.id") == "cost"
    again.get_by_role("button", name="Show all").click()
    assert "?" not in again.url


def test_nonsense_in_the_address_is_ignored(study: Path, page_of: Open) -> None:
    page = page_of(study, hash="#nowhere?d=unknown&d=digits&sort=board-9 up x&m=%3Cscript%3E&q=")
    assert page.locator("#board-1").is_visible() and not page.locator("#board-2").is_visible()
    assert headings(page) == ["method", "n"]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("CSV", ["Method,n,Error [%],std", "ensemble,3,12.00,2.00"]),
        ("Markdown", ["| Method | n | Error \\[%\\] ↓ |", "| kd | 3 | **13.00 ± 2.00** |"]),
        (
            "LaTeX",
            [
                r"Method & n & Error [\%] $\downarrow$ \\",
                r"kd & 3 & \textbf{13.00 $\pm$ 2.00} \\",
            ],
        ),
    ],
)
def test_a_table_is_copied_as_it_is_shown(
    study: Path, page_of: Open, name: str, lines: list[str]
) -> None:
    page = page_of(study, hash="#?m=accuracy")
    tick(page, "v", LONG).uncheck()
    page.locator(".copying[data-table=board-1] button", has_text=name).click()
    copied = page.evaluate("window.copied").splitlines()
    assert [line in copied for line in lines] == [True, True], copied
    assert not any("parameter" in line for line in copied)


def test_copies_are_escaped(tmp_path: Path, write: Callable[..., Path], page_of: Open) -> None:
    values = {("d", label, 0): {"nll": 1.0} for label in ("a_b & 100% #1", '=1+"x",y', "a|b")}
    page = page_of(write(generate(tmp_path / "run", values)))
    texts = {}
    for name in ("CSV", "Markdown", "LaTeX"):
        page.locator(".copying[data-table=board-1] button", has_text=name).click()
        texts[name] = page.evaluate("window.copied")
    assert '"\'=1+""x"",y",1,1.000' in texts["CSV"], "no formula for a spreadsheet"
    assert "a\\|b" in texts["Markdown"] and r"a\_b \& 100\% \#1" in texts["LaTeX"]


# Every seed


def test_every_seed_is_a_dot(study: Path, page_of: Open) -> None:
    page = page_of(study)
    chart = page.locator(".charts[data-dataset=spiral] .chart", has_text="Error")
    assert chart.locator("circle").count() == 14
    assert chart.locator(".mean-line").count() == 5
    assert "← better" in chart.inner_text()
    chart.locator("circle").nth(3).hover()
    assert page.inner_text("#tip") == "kd, seed 0: Error [%] 11.00"
    below = page.locator(".charts[data-dataset=spiral] .chart", has_text="OOD AUROC")
    assert "worse than chance" in below.inner_text() and "better →" not in below.inner_text()
    assert below.locator(".dot.pale").count() == 14
    page.get_by_label("every seed as a dot").uncheck()
    assert page.locator(".chart").count() == 0


def test_dots_are_reached_with_the_keyboard(study: Path, page_of: Open) -> None:
    page = page_of(study)
    page.locator(".charts[data-dataset=spiral] .chart svg").first.focus()
    page.keyboard.press("ArrowDown")
    first = page.inner_text("#tip")
    assert first.startswith("ensemble, seed 0: Error [%]")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#tip").startswith("ensemble, seed 1")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#tip").startswith("kd, seed 1")
    page.keyboard.press("Enter")
    assert page.inner_text("#record-title") == "kd on spiral"
    page.keyboard.press("Escape")
    assert not page.locator("#record").is_visible()


def test_a_row_leads_to_its_cells(study: Path, page_of: Open) -> None:
    page = page_of(study)
    page.locator('#board-2 tr[data-label="kd"] .open').click()
    text = page.inner_text("#record")
    for expected in (
        *("kd on spiral", "temperature = 4.0", "2 done, 1 failed", "ValueError: the loss is nan"),
        *("seed 2", "NLL [nats]", "Training [s]", "2026-01-01 00:00:00", "why RUN 'spiral' 'kd'"),
    ):
        assert expected in text
    page.get_by_role("button", name="Close").click()
    assert page.evaluate("document.activeElement.textContent") == "kd", "the focus comes back"


def test_the_numbers_of_a_charts_axis_are_within_it(small: Path, page_of: Open) -> None:
    page = page_of(small)
    ends = """all => all.map(text => text.getBoundingClientRect().right
        - text.closest("svg").getBoundingClientRect().right)"""
    assert max(page.locator(".chart text.axis").evaluate_all(ends)) <= 0.5


# Figures


def test_a_figure_is_enlarged_and_downloaded(study: Path, page_of: Open) -> None:
    page = page_of(study)
    first = page.locator("figure .zoom").first
    assert first.get_attribute("aria-label").startswith("Enlarge: ")
    first.click()
    assert page.locator("#enlarged img").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#enlarged").is_visible()
    with page.expect_download() as download:
        page.locator(".download").first.click()
    assert download.value.suggested_filename.endswith(".png")
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    tick(page, "d", "digits").uncheck()
    assert not page.locator("figure[data-dataset=digits]").first.is_visible()
    assert page.locator("figure[data-dataset=spiral]").first.is_visible()
