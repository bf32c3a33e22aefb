"""Temperatures and variances at a bound are reported beside the values that depend on them."""

from __future__ import annotations

from collections.abc import Callable

from distillation_bench.bench.analysis.comparison import compare
from distillation_bench.bench.analysis.comparison.comparison_tables import comparison_text
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.figures.drawing import draw_figures
from distillation_bench.bench.figures.figure_data import FigureOptions
from distillation_bench.bench.report.page import build_report
from distillation_bench.bench.storage.tables import CellKey

Figures = dict[CellKey, dict[str, float]]


def test_a_temperature_at_a_bound_is_named_where_a_metric_uses_it(
    results_of: Callable[..., Results],
) -> None:
    tempered = {"nll_tempered@test": 0.4, "nll_tempered@rotation/3": 0.9, "ece_tempered@test": 0.1}
    results = results_of(
        {
            ("d", label, seed): {"nll": 0.5, "temperature_at_bound": float(flag), **tempered}
            for label, flags in {"kd": (0, 1), "endd": (0, 0), "hydra": (1, 1)}.items()
            for seed, flag in enumerate(flags)
        }
    )
    sentence = "n 3 of 6 cells the temperature is at a bound of its fit"
    compared = [compare(results, name) for name in ("nll_tempered", "nll")]
    assert [
        sentence in " ".join(comparison_text(comparison).split()) for comparison in compared
    ] == [True, False]
    for name in ("nll_tempered", "nll"):
        (figure,) = draw_figures(results, ["metrics"], FigureOptions(metrics=(name,)))
        assert (sentence in figure.note) == (name != "nll")


def test_reports_name_clamped_variances(clamped: Results) -> None:
    sentence = "the teacher (up to 2 % of them), hydra (up to 50 % of them)"
    assert sentence in build_report(clamped, with_figures=False)
