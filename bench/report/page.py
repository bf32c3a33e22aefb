"""The page of a report, filled in from a template."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from distillation_bench.bench.analysis.comparison import DEFAULT_METRIC, compare
from distillation_bench.bench.analysis.comparison.sentences import further_notes, verdict_lines
from distillation_bench.bench.analysis.missing_cells import describe_counts
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.analysis.tables.leaderboard import average_ranks
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import real_path
from distillation_bench.bench.report import columns, page_data, provenance

FOLDER = Path(__file__).parent
PIXELS_PER_INCH = 140
"""Larger than in print: a figure of a text's width fills most of a page."""
DOTS_PER_INCH = 192
"""Of PNG: as SVG most figures would be several times as large."""


def build_report(results: Results, with_figures: bool = True) -> str:
    """Return the page; the same bytes for the same run.

    Args:
        results: results of one run or several.
        with_figures: draw every figure that has data, which takes most of the time.
    """
    style, script = _own_file("style.css"), _own_file("script.js")
    shown = columns.make_columns(results)
    verdicts, notes = _verdicts(results, shown)
    # Names come from the run and may be anything, so all but our own two files is escaped.
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["contains"] = lambda container, item: item in container
    return environment.get_template("template.html.j2").render(
        title=", ".join(real_path(run.folder).name for run in results.runs),
        policy=_content_policy(style, script),
        style=style,
        script=script,
        data=page_data.page_data(results, shown),
        results=results,
        quality=[column for column in shown if column.group == "quality"],
        cost=[column for column in shown if column.group == "cost"],
        statuses=results.planned.groupby(["dataset", "label"], observed=True)["status"].agg(list),
        describe_counts=describe_counts,
        footnotes={name: columns.footnotes(results, name, shown) for name in results.datasets},
        left_out=page_data.left_out(results, shown),
        ranks=average_ranks(pd.concat([c.entries for c in shown if c.group == "quality"])),
        verdicts=verdicts,
        notes=notes,
        figures=list(_figures(results)) if with_figures else [],
        newest=results.cells["finished"].fillna("").max(),
        troubles=provenance.cells_without_values(results).to_dict("records"),
        variants=provenance.variants(results).to_dict("records"),
        recipes=provenance.recipes(results),
        versions=provenance.versions(results),
    )


Sentences = dict[str, dict[str, list[str]]]
"""By sentence, the metrics for which it holds, by dataset (empty: all of them)."""


def _verdicts(results: Results, shown: Sequence[columns.Column]) -> tuple[Sentences, Sentences]:
    """Return the verdicts, and what is left out and holds on all datasets together.

    With few seeds the same holds for many metrics, and is said once.
    """
    verdicts, notes = Sentences(), Sentences()
    for column in sorted(shown, key=lambda column: column.key != DEFAULT_METRIC):
        if column.group == "quality" and column.format.better:
            try:
                comparison = compare(results, column.key)
            except UsageError as error:
                # One method, or no two with a seed in common: the page says so.
                _group(verdicts, column, results.datasets, [str(error)])
            else:
                _group(verdicts, column, results.datasets, verdict_lines(comparison))
                _group(notes, column, results.datasets, further_notes(comparison))
    return verdicts, notes


def _group(
    sentences: Sentences, column: columns.Column, datasets: Sequence[str], lines: Sequence[str]
) -> None:
    name = column.format.name
    heads = {f"{name} on {dataset}: ": dataset for dataset in datasets}
    heads |= dict.fromkeys((f"{name}: ", f"{name} "), "")
    for line in lines:
        head = next(filter(line.startswith, heads), "")
        dataset = heads.get(head, "")
        if not dataset or dataset in column.rows:
            text = columns.as_sentence(line.removeprefix(head))
            sentences.setdefault(text, {}).setdefault(dataset, []).append(name)


def _figures(results: Results) -> Iterator[dict[str, Any]]:
    """Yield every figure that has data, as an image within the page; sizes are in pixels."""
    from distillation_bench.bench.figures.figure_data import FigureOptions
    from distillation_bench.bench.figures.rendering import render

    # The note is in the caption, where it can be read by all, and not in the image, too.
    options = FigureOptions(note=False)
    for figure in render(results, options=options, dots_per_inch=DOTS_PER_INCH):
        content = base64.b64encode(figure.contents["png"]).decode()
        width, height = (round(PIXELS_PER_INCH * x) for x in figure.figure.get_size_inches())
        yield {
            **vars(figure),
            "source": f"data:image/png;base64,{content}",
            "width": width,
            "height": height,
        }


def _own_file(name: str) -> Markup:
    return Markup((FOLDER / name).read_text(encoding="utf-8"))


def _content_policy(style: str, script: str) -> str:
    """Return what the page may load or run: exactly its own style and script, and its images."""
    return (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
