"""The report in a real Chromium: what can be done with it, at which widths, and by whom."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.bench.generated_runs import HOSTILE, generate
from tests.bench.report.chromium import Open, browser, in_browser, page_of, playwright
from tests.bench.report.page_checks import CUT, FAULTS, POOR_CONTRAST

from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.report.page import build_report
from distillation_bench.bench.storage.run_folder import Run

__all__ = ["browser", "page_of"]

pytestmark = in_browser

INERT = (*HOSTILE, '"><img src=x onerror=alert(1)>', "' onfocus='alert(1)", "javascript:alert(1)")
VALUES = {
    # By label: accuracy, nll. As text, 10 and 100 come before 9, and -1 after 1.
    "ten": (0.9, 10.0),
    "nine": (0.95, 9.0),
    "hundred": (0.5, 100.0),
    "below": (0.7, -1.0),
    "nan": (float("nan"), float("nan")),
}
LONG = "hydra+[" + ",".join(f"parameter{i}=0.125" for i in range(12)) + "]"


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """write(run, with_figures): the report of a run."""

    def write_report(run: Run, with_figures: bool = False) -> Path:
        path = tmp_path_factory.mktemp("report") / "report.html"
        path.write_text(build_report(load(run.folder), with_figures), encoding="utf-8")
        return path

    return write_report


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, write: Callable[..., Path]) -> Path:
    """Numbers that sort differently as text, and a failure."""
    values = {
        ("spiral", label, 0): {"accuracy": accuracy, "nll": nll}
        for label, (accuracy, nll) in VALUES.items()
    }
    values["spiral", "ensemble", 0] = {"accuracy": 0.99, "nll": 0.5}
    failed = {("spiral", "failed", 0): "loss is not finite"}
    return write(generate(tmp_path_factory.mktemp("small"), values, failed=failed))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, write: Callable[..., Path]) -> Path:
    """Two datasets, three seeds, a long label, a teacher below chance, a figure, a failed cell."""
    labels = ("ensemble", "kd", "hydra", "mc-dropout", LONG)
    values = {
        (dataset, label, seed): {
            **{"accuracy": 0.9 - 0.01 * k - 0.02 * seed, "nll": 0.3 + 0.1 * k + 0.01 * seed},
            **{"brier": 0.1 + 0.01 * k, "ece": 0.02 * (k + 1), "teacher_kl": 0.01 * k},
            **{"ood_auroc": (0.3 if dataset == "spiral" else 0.8) + 0.01 * seed},
            **{"nll@rotation/3": 1.0 + k, "aurc@test": 0.1 + 0.01 * k, "teacher_tv_epistemic": 0.1},
            **{"flops": 1e6 * (k + 1), "parameters": 1e4},
        }
        for dataset in ("digits", "spiral")
        for k, label in enumerate(labels)
        for seed in range(3)
    }
    del values["spiral", "kd", 2]
    return write(
        generate(
            tmp_path_factory.mktemp("study"),
            values,
            failed={("spiral", "kd", 2): "ValueError: the loss is nan"},
            parameters={"kd": {"temperature": 4.0}},
        ),
        with_figures=True,
    )


def labels(page: Any, table: str = "#board-1") -> list[str]:
    script = "rows => rows.filter(row => !row.hidden).map(row => row.dataset.label)"
    shown: list[str] = page.eval_on_selector_all(f"{table} tbody tr", script)
    return shown


def heading(page: Any, name: str, table: str = "#board-1") -> Any:
    return page.locator(f"{table} thead button", has_text=name)


def headings(page: Any, table: str = "#board-1") -> list[str]:
    script = "all => all.filter(each => !each.hidden).map(each => each.dataset.column)"
    shown: list[str] = page.eval_on_selector_all(f"{table} thead th", script)
    return shown


def tick(page: Any, kind: str, name: str) -> Any:
    return page.locator(f"input[data-kind={kind}][value={json_text(name)}]")


def json_text(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


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


# Everywhere


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
