"""The report of a run: one page of HTML that needs nothing else, neither files nor a network."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.common.files import real_path
from distillation_bench.bench.report.comparison_sections import comparisons
from distillation_bench.bench.report.embedded_figures import figures
from distillation_bench.bench.report.evidence import gather
from distillation_bench.bench.report.leaderboard_sections import Leaderboards

HERE = Path(__file__).parent


def build(results: Results, with_figures: bool = True) -> str:
    """The page; the same bytes for the same run.

    Args:
        results: what the runs hold.
        with_figures: draw every figure that there is data for; most of the time goes there.
    """
    style, script = _asset("style.css"), _asset("script.js")
    # Names come from the run and may be anything: all but our own two files is escaped.
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("template.html.j2").render(
        title=", ".join(real_path(run.folder).name for run in results.runs),
        policy=_policy(style, script),
        style=style,
        script=script,
        results=results,
        evidence=gather(results),
        boards=Leaderboards(results),
        comparisons=comparisons(results),
        figures=figures(results) if with_figures else [],
    )


def _asset(name: str) -> Markup:
    return Markup((HERE / name).read_text(encoding="utf-8"))


def _policy(style: str, script: str) -> str:
    """What the page may load or run: its own style and script to the letter, images within it."""
    return (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
