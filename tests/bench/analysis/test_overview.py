"""What results show of themselves."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.bench.generated_runs import HOSTILE

from distillation_bench.bench.analysis.overview import MAX_ROWS
from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.storage.run_folder import Run

MakeRun = Callable[..., Run]
FIGURES = {
    ("digits", "kd", 0): {"nll": 1.0},
    ("digits", "kd", 1): {"nll": 1.0},
    ("sine", "kd", 0): {"nll": 1.0},
    ("digits", "NA", 0): {"nll": 1.0},
}


class Texts(HTMLParser):
    """The texts and the tags of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.texts += [data.strip()] if data.strip() else []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)


def test_a_console_shows_which_cells_are_done(make_run: MakeRun, tmp_path: Path) -> None:
    failed = {("digits", "NA", 1): "diverged"}
    make_run(tmp_path / "a", FIGURES, failed=failed, missing=[("sine", "kd", 1)])
    lines = repr(load(tmp_path / "a")).splitlines()
    assert [re.split("  +", line.strip()) for line in lines] == [
        [f"Results of {tmp_path / 'a'}: 6 cells, 4 done, 1 failed, 1 missing"],
        ["digits", "sine"],
        ["--", "------", "------"],
        ["kd", "2 of 2", "1 of 2"],
        ["NA", "1 of 2"],
    ]


def test_a_notebook_shows_the_same(make_run: MakeRun, tmp_path: Path) -> None:
    make_run(tmp_path / "a", FIGURES)
    page = Texts(load(tmp_path / "a")._repr_html_())
    assert page.texts == [
        *(f"Results of {tmp_path / 'a'}: 4 cells, 4 done", "digits", "sine"),
        *("kd", "2 of 2", "1 of 1", "NA", "1 of 1"),
    ]


@pytest.mark.parametrize("name", [*HOSTILE, "\x1b[31mred", "x" * 4000])
def test_names_can_hold_anything(make_run: MakeRun, tmp_path: Path, name: str) -> None:
    make_run(tmp_path / "a", {(name, name, 0): {"nll": 1.0}})
    results = load(tmp_path / "a")
    assert all(line.isprintable() and len(line) < 200 for line in repr(results).splitlines()[1:])
    page = Texts(results._repr_html_())
    assert page.tags == {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}
    assert len(results._repr_html_()) < 1000


def test_many_labels_are_cut(make_run: MakeRun, tmp_path: Path) -> None:
    names = [f"kd[temperature={number}]" for number in range(MAX_ROWS + 3)]
    make_run(tmp_path / "a", {("digits", name, 0): {"nll": 1.0} for name in names})
    results = load(tmp_path / "a")
    assert repr(results).endswith("\nand 3 more labels")
    assert "and 3 more labels" in results._repr_html_()
    assert names[MAX_ROWS - 1] in repr(results) and names[MAX_ROWS] not in repr(results)
