"""The page of a report, filled in from a template."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from distillation_bench.bench.analysis.old_results import Results
from distillation_bench.bench.common.files import real_path
from distillation_bench.bench.report.comparison_sentences import metrics_by_sentence
from distillation_bench.bench.report.embedded_figures import embedded_figures
from distillation_bench.bench.report.leaderboard_tables import LeaderboardTables
from distillation_bench.bench.report.provenance import provenance

FOLDER = Path(__file__).parent


def build_report(results: Results, with_figures: bool = True) -> str:
    """Return the page; the same bytes for the same run.

    Args:
        results: results of one run or several.
        with_figures: draw every figure that has data, which takes most of the time.
    """
    style, script = _own_file("style.css"), _own_file("script.js")
    # Names come from the run and may be anything, so all but our own two files is escaped.
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("template.html.j2").render(
        title=", ".join(real_path(run.folder).name for run in results.runs),
        policy=_content_policy(style, script),
        style=style,
        script=script,
        results=results,
        provenance=provenance(results),
        leaderboards=LeaderboardTables(results),
        comparisons=metrics_by_sentence(results),
        figures=embedded_figures(results) if with_figures else [],
    )


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
