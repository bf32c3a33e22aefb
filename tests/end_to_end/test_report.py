"""The report: written by the program and opened in a real Chromium."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bench.generated_runs import generate
from tests.bench.report.chromium import Open, browser, in_browser, page_of
from tests.bench.report.page_checks import FAULTS
from tests.end_to_end.bench_command import ROOT, SHORT, Bench, folders

from distillation_bench.bench.storage.run_folder import Run

__all__ = ["browser", "page_of"]

FIGURES = {
    # By label: accuracy, nll. As text, 10 and 100 come before 9, and -1 after 1.
    "ten": (0.9, 10.0),
    "nine": (0.95, 9.0),
    "hundred": (0.5, 100.0),
    "below": (0.7, -1.0),
    "nan": (float("nan"), float("nan")),
}


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


@in_browser
def test_the_report_of_a_real_run_has_all_figures(
    in_process: Bench, report: Callable[..., Path], page_of: Open, tmp_path: Path
) -> None:
    selection = ("-m", "kd", "-m", "hydra", "-m", "ensemble", "-d", "spiral", "-d", "sine")
    assert in_process("run", *selection, "-s", "0-1", *SHORT, *folders("run")).returncode == 0
    run = Run(tmp_path / "run")
    path = report(run)
    assert path.stat().st_size < 2e6
    page = page_of(path)
    assert page.evaluate(FAULTS) == []
    assert page.locator("figure img").count() >= 5
    for image in page.locator("figure img").all():
        assert image.evaluate("each => each.decode().then(() => each.naturalWidth)") > 0
        assert len(image.get_attribute("alt")) > 20
    assert page.locator("table.board").count() == 5, "quality and cost of each dataset, and ranks"
    written = path.read_bytes()
    assert report(run).read_bytes() == written
    phone = page_of(path, width=360)
    assert phone.evaluate("document.documentElement.scrollWidth") == 360
