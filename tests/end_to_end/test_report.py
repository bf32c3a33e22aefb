"""The report: written by the program and opened in a real Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.bench.generated_runs import HOSTILE, generate
from tests.end_to_end.bench_command import ROOT, Bench

from distillation_bench.bench.storage.run_folder import Run

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

Open = Callable[..., Any]
CHROMIUM = next(
    filter(None, map(shutil.which, (os.environ.get("CHROMIUM", ""), "chromium", "google-chrome"))),
    None,
)
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium; CHROMIUM=PATH names one")

INERT = (*HOSTILE, '"><img src=x onerror=alert(1)>', "' onfocus='alert(1)", "javascript:alert(1)")
FIGURES = {
    # By label: accuracy, nll. As text, 10 and 100 come before 9, and -1 after 1.
    "ten": (0.9, 10.0),
    "nine": (0.95, 9.0),
    "hundred": (0.5, 100.0),
    "below": (0.7, -1.0),
    "nan": (float("nan"), float("nan")),
}


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
    """page_of(file, width, scheme): the page; fails on errors and on requests."""
    contexts, complaints, requests = [], [], []

    def refuse(dialog: Any) -> None:
        complaints.append(dialog.message)
        dialog.dismiss()

    def visit(path: Path, width: int = 1280, scheme: str = "light") -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", refuse)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        return page

    yield visit
    pages = [page.url.partition("#")[0] for context in contexts for page in context.pages]
    fetched = [url for url in requests if not url.startswith("data:")]
    for context in contexts:
        context.close()
    assert complaints == []
    assert fetched == pages


@pytest.fixture
def small(tmp_path: Path) -> Run:
    """A run with numbers that sort differently as text, failures and a missing cell."""
    figures = {
        ("spiral", label, 0): {"accuracy": accuracy, "nll": nll}
        for label, (accuracy, nll) in FIGURES.items()
    }
    figures["spiral", "ensemble", 0] = {"accuracy": 0.99, "nll": 0.5}
    failed = {("spiral", "failed", 0): "loss is not finite"}
    methods = dict.fromkeys(("nine", "ten"), "digits")
    return generate(tmp_path / "small", figures, failed=failed, methods=methods)


@pytest.fixture
def report(in_process: Bench) -> Callable[..., Path]:
    """report(run, …): write a report with the program and return its output."""

    def write(run: Run, *options: str) -> Path:
        done = in_process("report", str(run.folder), *options)
        assert (done.returncode, done.stderr) == (0, "")
        return Path(done.stdout.strip()).resolve()

    return write


def labels(page: Any, table: str = "#board-1") -> list[str]:
    script = "rows => rows.filter(row => !row.hidden).map(row => row.dataset.label)"
    labels_shown: list[str] = page.eval_on_selector_all(f"{table} tbody tr", script)
    return labels_shown


def heading(page: Any, name: str) -> Any:
    return page.locator("#board-1 thead button", has_text=name)


# The program


def test_it_is_written_into_the_run_or_to_out(
    small: Run, report: Callable[..., Path], tmp_path: Path
) -> None:
    assert report(small) == small.folder / "report.html"
    without_figures = report(small, "--out", str(tmp_path / "new" / "page.html"), "--no-figures")
    assert without_figures == tmp_path / "new" / "page.html"
    assert "spiral" in without_figures.read_text(encoding="utf-8")


def test_a_link_at_its_path_is_not_followed(
    small: Run, report: Callable[..., Path], tmp_path: Path
) -> None:
    outside = tmp_path / "outside.html"
    outside.write_text("mine")
    (small.folder / "report.html").symlink_to(outside)
    report(small, "--no-figures")
    assert outside.read_text() == "mine"
    assert not (small.folder / "report.html").is_symlink()


def test_a_mistake_is_one_line(in_process: Bench, small: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    spiral = ("spiral", "kd", 0)
    failed = generate(tmp_path / "failed", {}, failed={spiral: "no"}).folder
    waiting = generate(tmp_path / "waiting", {}, missing=[spiral]).folder
    mistakes = {
        ("nowhere",): "nowhere: no such folder",
        ("empty",): "empty: not a run",
        (str(failed),): "no cell has values, all are failed",
        (str(waiting),): "no cell is finished yet",
        (str(small.folder), "--out", "empty"): "empty: a folder, not a file",
    }
    for arguments, message in mistakes.items():
        done = in_process("report", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.rglob("report.html"))


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
@pytest.mark.parametrize(
    ("run", "report", "status"), [(0, 0, 0), (1, 0, 1), (0, 2, 2), (2, 0, 2), (130, 0, 130)]
)
def test_make_bench_ends_with_the_report(
    tmp_path: Path, run: int, report: int, status: int
) -> None:
    program = tmp_path / "bin" / "python"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$2 $3"\n[ $2 = run ] && exit {run} || exit {report}\n')
    program.chmod(0o755)
    (tmp_path / "run.done").touch()
    command = ["make", "--no-print-directory", "bench", f"VENV={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert bool(done.returncode) == bool(status) and (f"Error {status}" in done.stderr) == (
        status > 0
    )
    last = "report: report results/quick" if run < 2 else "run"
    assert done.stdout.strip().splitlines()[-1].strip() == last


# The page


@in_browser
def test_clicking_a_heading_sorts_by_number_in_both_directions(
    small: Run, report: Callable[..., Path], page_of: Open
) -> None:
    page = page_of(report(small))
    before = labels(page)
    unsorted = [label for label in before if label in ("nan", "failed")]
    best_first = ["below", "ensemble", "nine", "ten", "hundred"]

    def sorted_by() -> list[tuple[str, str]]:
        script = "all => all.map(each => [each.textContent.trim().split(/\\s/)[0], each.ariaSort])"
        return [tuple(heading) for heading in page.eval_on_selector_all("th[aria-sort]", script)]

    heading(page, "nll").click()
    assert labels(page) == best_first + unsorted, "what has no number is last"
    assert sorted_by() == [("nll", "ascending")]
    heading(page, "nll").click()
    assert labels(page) == best_first[::-1] + unsorted, "in either direction"
    assert sorted_by() == [("nll", "descending")]
    heading(page, "accuracy").click()
    assert labels(page) == ["ensemble", "nine", "ten", "below", "hundred", *unsorted], (
        "higher is best"
    )
    assert sorted_by() == [("accuracy", "descending")]
    assert "accuracy, descending" in page.inner_text("#sort-status")
    heading(page, "method").click()
    assert labels(page) == sorted(before)
    for _ in range(2):
        heading(page, "method").click()
    assert labels(page) == before and sorted_by() == []


@in_browser
def test_rows_are_filtered(small: Run, report: Callable[..., Path], page_of: Open) -> None:
    page = page_of(report(small))
    everything = labels(page)
    assert "failed" in everything
    page.get_by_label("Label contains").fill("N")
    assert labels(page) == [label for label in everything if "n" in label.lower()]
    assert page.get_by_role("status").first.inner_text() == "5 of 7 rows shown"
    page.get_by_label("Label contains").fill("no such row")
    assert labels(page) == [] and page.locator(".nothing").first.is_visible()
    page.get_by_role("button", name="Clear").click()
    playwright.expect(page.locator("#filter-status")).to_have_text("")
    assert labels(page) == everything
    page.get_by_label("Method").select_option("digits")
    assert sorted(labels(page)) == ["nine", "ten"]
    heading(page, "nll").click()
    assert labels(page) == ["nine", "ten"], "sorting keeps the filter"
    page.get_by_label("Method").select_option("")
    page.get_by_label("only with cells without values").check()
    assert labels(page) == ["failed"]


@in_browser
def test_the_page_can_be_used_with_the_keyboard(
    small: Run, report: Callable[..., Path], page_of: Open
) -> None:
    page = page_of(report(small))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    assert page.locator(".skip").bounding_box()["y"] >= 0, "seen when it has the focus"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.textContent.trim()")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"the focus on {focused} is not seen"
        if focused.startswith("nll"):
            break
    page.keyboard.press("Enter")
    assert labels(page)[0] == "below"
    page.keyboard.press("Space")
    assert labels(page)[0] == "hundred"
    assert page.evaluate("document.activeElement.textContent.trim()").startswith("nll")


@in_browser
def test_hostile_names_are_inert(
    tmp_path: Path, report: Callable[..., Path], page_of: Open
) -> None:
    figures = {
        (dataset, label, seed): {"nll": float(seed)}
        for dataset in INERT[:2]
        for label in INERT
        for seed in (0, 1)
    }
    failed = {(INERT[0], f"failed {text}", 0): text for text in INERT}
    run = generate(tmp_path / "run", figures, failed=failed, command=" ".join(INERT))
    page = page_of(report(run))
    for text in INERT:
        page.get_by_label("Method").select_option(text)
        assert text in labels(page)
        page.get_by_label("Label contains").fill(text)
        assert text in labels(page)
        page.get_by_label("Label contains").fill("")
    assert page.locator("script").count() == 1
    assert page.locator("img[src='x']").count() == 0
    heading(page, "nll").click()


@in_browser
def test_injected_scripts_do_not_run(small: Run, report: Callable[..., Path], browser: Any) -> None:
    path = report(small)
    smuggled = "<script>document.title = 'run'</script><img src=x onerror=\"document.title='run'\">"
    path.write_text(path.read_text(encoding="utf-8").replace("<main", f"{smuggled}<main"))
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.title() == "small · report of a benchmark run"
    page.close()


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(
    small: Run, report: Callable[..., Path], page_of: Open, scheme: str
) -> None:
    page = page_of(report(small), scheme=scheme)
    heading(page, "nll").click()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == (scheme == "dark")
    assert page.evaluate(POOR_CONTRAST) == []


@in_browser
def test_the_page_fits_a_phone(tmp_path: Path, report: Callable[..., Path], page_of: Open) -> None:
    long = "hydra+" + "heads" * 16
    figures = {
        (long, label, 0): {"nll": 1.0, "accuracy": 1.0, "brier": 1.0, "ece": 1.0}
        for label in (long, "kd")
    }
    failed = {("spiral", "kd", 0): "x" * 500}
    run = generate(tmp_path / "run", figures, failed=failed, recipe={long: long}, command=long * 9)
    page = page_of(report(run), width=360)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    board = page.locator(".scroll").first
    assert board.evaluate("each => each.scrollWidth > each.clientWidth"), "the table scrolls"
    assert board.evaluate("each => each.tabIndex") == 0, "with the keyboard, too"


@in_browser
def test_the_report_of_a_real_run_has_all_figures(
    reference: Path, report: Callable[..., Path], page_of: Open, tmp_path: Path
) -> None:
    run = Run(Path(shutil.copytree(reference, tmp_path / "run")))
    path = report(run)
    assert path.stat().st_size < 3e6
    page = page_of(path)
    assert page.evaluate(FAULTS) == []
    assert page.locator("figure img").count() >= 5
    for image in page.locator("figure img").all():
        assert image.evaluate("each => each.decode().then(() => each.naturalWidth)") > 0
        assert len(image.get_attribute("alt")) > 20
    assert page.locator("table.board").count() == 4
    written = path.read_bytes()
    assert report(run).read_bytes() == written
    phone = page_of(path, width=360)
    assert phone.evaluate("document.documentElement.scrollWidth") == 360


@in_browser
def test_the_printed_page_has_no_navigation(
    small: Run, report: Callable[..., Path], page_of: Open
) -> None:
    page = page_of(report(small), scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible() and not page.locator(".filter").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


POOR_CONTRAST = """() => {
  const channels = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map(each => each / 255)
    .map(each => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
    .reduce((sum, each, i) => sum + each * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const color = channels(getComputedStyle(each).backgroundColor);
      if (color[3] !== 0) return color;
    }
    return [255, 255, 255];
  };
  const own = element => [...element.childNodes].some(
    each => each.nodeType === Node.TEXT_NODE && each.textContent.trim()
  );
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    if (!own(element) || !element.checkVisibility() || element.tagName === "SCRIPT") continue;
    const style = getComputedStyle(element);
    const [one, other] = [light(channels(style.color)), light(ground(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5 || style.opacity < 1) poor.push([element.outerHTML.slice(0, 80), ratio]);
  }
  return poor;
}"""

FAULTS = """() => {
  const all = selector => [...document.querySelectorAll(selector)];
  const faults = [];
  const demand = (good, element, what) => {
    if (!good) faults.push(`${what}: ${element.outerHTML.slice(0, 100)}`);
  };
  const named = element =>
    element.textContent.trim() || element.getAttribute("aria-label") || element.labels?.length
    || document.getElementById(element.getAttribute("aria-labelledby"))?.textContent.trim();
  const headings = all("h1, h2, h3, h4, h5, h6");
  const level = element => Number(element.tagName[1]);
  headings.forEach((each, i) => {
    demand(each.textContent.trim(), each, "empty heading");
    demand(i === 0 ? level(each) === 1 : level(each) <= level(headings[i - 1]) + 1, each, "order");
  });
  for (const name of ["h1", "main", "header", "nav", "title"])
    demand(all(name).length === 1, document.body, `one ${name}`);
  demand(document.documentElement.lang, document.body, "language");
  all("button, input, select, a, nav, form, [role=region]").forEach(
    each => demand(named(each), each, "no name"));
  all("img").forEach(each => demand(each.alt.trim(), each, "no alt"));
  all("figure").forEach(each => demand(each.querySelector("figcaption"), each, "no caption"));
  all("table").forEach(each => demand(each.caption?.textContent.trim(), each, "no caption"));
  all("th").forEach(each => demand(each.scope, each, "no scope"));
  all("[style]").forEach(each => demand(false, each, "inline style"));
  all("a[href^='#']").forEach(each =>
    demand(document.getElementById(each.hash.slice(1)), each, "leads nowhere"));
  all("[id]").forEach(each =>
    demand(all(`[id="${each.id}"]`).length === 1, each, "id used twice"));
  all(".scroll, pre").forEach(each => demand(each.tabIndex === 0, each, "not reached by keyboard"));
  demand(all("[aria-live=polite]").length > 0, document.body, "no status");
  return faults;
}"""
