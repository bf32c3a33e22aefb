"""The frame of figures: sizes, the caller's axes and style, plugins, notes, axes that are cut."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.bench.figures.figure_runs import Make, a_run, draw_one, texts

from distillation_bench.bench.analysis.results import Results, load
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.figures import registry
from distillation_bench.bench.figures.drawing import draw, draw_figures
from distillation_bench.bench.figures.figure_data import FigureOptions
from distillation_bench.bench.figures.rendering import render
from distillation_bench.bench.figures.shown_metrics import seed_means
from distillation_bench.bench.figures.style import page_widths

LABELS = ["ensemble", "kd", "hydra"]


@pytest.fixture
def results(make_run: Make, tmp_path: Path) -> Results:
    return a_run(make_run, tmp_path / "run", LABELS)


@pytest.mark.parametrize(("width", "inches"), [("neurips", 5.5), ("3.25", 3.25), ("", 6.9)])
def test_figures_are_as_wide_as_asked(results: Results, width: str, inches: float) -> None:
    figure = draw_one(results, "metrics", width=width).figure
    assert figure.get_figwidth() == inches
    assert draw_one(results, "shift", width="icml").figure.get_figwidth() == 3.25


@pytest.mark.parametrize("width", ["ten", "1", "nan", "Neurips"])
def test_an_unknown_width_is_one_line(width: str) -> None:
    with pytest.raises(UsageError, match="give 2 to 40 inches or one of neurips, iclr, icml, acl"):
        page_widths(width)


def test_fonts_are_those_of_the_machine(results: Results) -> None:
    with pytest.raises(UsageError, match=r"--font DejaVu Sanz: .*did you mean 'DejaVu Sans'"):
        draw(results, "metrics", FigureOptions(font="DejaVu Sanz"))
    serif = draw_one(results, "metrics", font="DejaVu Serif").figure.axes[0]
    assert serif.title.get_fontfamily()[0] == "DejaVu Serif"


def test_without_a_note_the_figure_is_shorter(results: Results) -> None:
    with_note, without = (draw_one(results, "metrics", note=note) for note in (True, False))
    assert with_note.note == without.note and with_note.note in " ".join(texts(with_note))
    assert "n = 2" not in " ".join(texts(without))
    assert without.figure.get_figheight() < with_note.figure.get_figheight()


def test_a_figure_of_one_panel_is_drawn_into_the_axes_given(results: Results) -> None:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    left.set_title("mine")
    for axes in (left, right):
        assert draw(results, "metrics", FigureOptions(metrics=("nll",)), axes) is figure
    assert (left.get_title(), right.get_title()) == ("mine", "NLL [nats] ↓")
    assert draw(results, "shift", ax=left) is figure
    with pytest.raises(UsageError, match="4 panels, and ax takes one"):
        draw(results, "metrics", ax=left)


def test_names_and_legend_are_within_a_figure_of_the_caller(results: Results) -> None:
    figure = Figure(figsize=(6, 4), layout="constrained")
    draw(results, "roc", ax=figure.subplots())
    figure.draw_without_rendering()
    (axes,) = figure.axes
    legend = axes.get_legend()
    assert legend is not None
    below, inside = legend.get_window_extent(), axes.get_tightbbox()
    assert inside is not None and inside.x0 >= 0 and below.y0 >= 0
    assert inside.x1 <= figure.bbox.x1 and below.y1 <= axes.get_window_extent().y0
    assert axes.get_window_extent().width > 0.8 * figure.bbox.width


def test_the_only_dataset_with_data_is_drawn_into_the_axes_given(
    make_run: Make, tmp_path: Path
) -> None:
    row = {"nll": 1.0, "nll@rotation/1": 2.0}
    make_run(tmp_path / "run", {("a", "kd", 0): {"nll": 1.0}, ("b", "kd", 0): row})
    axes = Figure().subplots()
    draw(load(tmp_path / "run"), "shift", ax=axes)
    assert axes.get_xlabel() == "severity"
    with pytest.raises(UsageError, match="choose one of the datasets a, b to draw into ax"):
        draw(load(tmp_path / "run"), "metrics", ax=axes)


def test_the_axes_given_show_the_mean_of_several_shifts(make_run: Make, tmp_path: Path) -> None:
    row = {"nll": 1.0, "nll@rotation/1": 2.0, "nll@blur/1": 4.0, "nll@blur/2": 9.0}
    make_run(tmp_path / "run", {("a", "kd", seed): row for seed in (0, 1)})
    axes = Figure().subplots()
    draw(load(tmp_path / "run"), "shift", ax=axes)
    assert axes.get_title() == "mean of 2 shifts"
    # Severity 2 is of one shift alone.
    assert np.array_equal(axes.lines[0].get_ydata(), [1.0, 3.0])


def test_styles_do_not_leak(results: Results) -> None:
    with mpl.rc_context({"font.size": 33, "axes.facecolor": "red", "savefig.dpi": 7}):
        before = dict(mpl.rcParams)
        (drawing,) = draw_figures(results, ["metrics"])
        (rendered,) = render(results, ["metrics"])
        assert dict(mpl.rcParams) == before
    (own,) = render(results, ["metrics"])
    assert rendered.contents == own.contents
    assert {text.get_fontsize() for text in drawing.figure.texts} == {7.0}


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_KINDS", dict(registry.figure_kinds()))


@pytest.mark.usefixtures("plugins")
def test_plugins_draw_from_results(results: Results) -> None:
    @registry.figure("mine")
    def mine(results: Any) -> Figure:
        """Show mine."""
        figure = Figure()
        figure.subplots().plot(results.summary("nll")["mean"].to_numpy())
        return figure

    @registry.figure("into", "into axes")
    def into(results: Any, ax: Any) -> None:
        ax.set_title(", ".join(results.labels()))

    kind = registry.figure_kind("mine")
    assert kind.summary == "Show mine" and kind.is_plugin and kind.over_datasets
    options = FigureOptions(labels=("kd",))
    drawn = draw(results, "mine", options).axes[0].lines[0]
    assert len(np.asarray(drawn.get_xdata())) == 1
    axes = Figure().subplots()
    assert draw(results, "into", options, axes) is axes.figure
    assert axes.get_title() == "kd"
    names = [figure.name for figure in render(results, ["into", "metrics", "mine", "training"])]
    assert names == ["into", "metrics-plane", "mine", "training-plane"]


@pytest.mark.usefixtures("plugins")
def test_figures_that_cannot_be_registered_are_refused(results: Results) -> None:
    def drawn(results: Any) -> None: ...

    with pytest.raises(UsageError, match="figure shift: there is one of this name"):
        registry.figure("shift")(drawn)
    with pytest.raises(UsageError, match="figure mine: its function takes data, results"):
        registry.figure("mine")(lambda x: x)
    registry.figure("nothing", "nothing")(drawn)
    with pytest.raises(UsageError, match="figure nothing: its function must return a Figure"):
        draw(results, "nothing")


def test_several_figures_are_not_one(results: Results) -> None:
    options = FigureOptions(sets=("test", "rotation/1"))
    with pytest.raises(UsageError, match=r"2 figures .metrics-plane-test, .*: choose one"):
        draw(results, "metrics", options)


def test_a_dataset_is_chosen_in_the_words_of_python(make_run: Make, tmp_path: Path) -> None:
    values = {(dataset, "kd", 0): {"nll": 1.0} for dataset in "ab"}
    make_run(tmp_path / "run", values)
    with pytest.raises(UsageError) as caught:
        draw(load(tmp_path / "run"), "metrics")
    assert str(caught.value).endswith("(metrics-a, metrics-b): choose one with datasets='a'")


def test_a_chosen_metric_is_the_only_panel_on_a_chosen_set(results: Results) -> None:
    drawing = draw_one(results, "metrics", metrics=("nll",), sets=("rotation/1",))
    (axes,) = drawing.figure.axes
    assert axes.get_title().startswith("NLL (rotation 1)")
    with pytest.raises(UsageError, match="nlll: unknown metric"):
        draw_one(results, "metrics", metrics=("nlll",), sets=("rotation/1",))


def test_intervals_end_at_what_a_metric_can_be(make_run: Make, tmp_path: Path) -> None:
    rows = [{"nll": nll, "accuracy": 1 - nll} for nll in (0.01, 0.02, 0.09)]
    make_run(tmp_path / "run", {("d", "kd", seed): row for seed, row in enumerate(rows)})
    drawing = draw_one(load(tmp_path / "run"), "metrics")
    ends = [np.asarray(axes.lines[1].get_xdata()) for axes in drawing.figure.axes]
    assert [float(end.min()) for end in ends] == [0.0, 0.0]


def test_values_that_are_not_finite_are_named(make_run: Make, tmp_path: Path) -> None:
    values = {"kd": [1.0, math.nan, 2.0], "hydra": [1.0, 2.0, math.inf]}
    cells = {
        ("d", k, s): {"nll": v, "nll@rotation/1": 2 * v}
        for k, vs in values.items()
        for s, v in enumerate(vs)
    }
    make_run(tmp_path / "run", cells)
    results = load(tmp_path / "run")
    note = draw_one(results, "metrics").note
    assert "NLL nan (seed 1): kd. NLL inf (seed 2): hydra." in note and "n = 2 seeds" in note
    assert "NLL nan (seed 1): kd. NLL inf (seed 2): hydra." in draw_one(results, "shift").note


@pytest.mark.parametrize("sign", [1, -1])
def test_a_value_far_from_all_others_is_written_at_the_end_of_the_axis(
    make_run: Make, tmp_path: Path, sign: int
) -> None:
    cells = {
        ("d", f"m{i}", s): {"nll": sign * v, "teacher_tv_epistemic": abs(v) / 1000}
        for i, v in enumerate([-1.0, -1.1, -1.2, -1.3, -1.4, -1.5, 500.0])
        for s in range(2)
    }
    make_run(tmp_path / "run", cells)
    drawing = draw_one(load(tmp_path / "run"), "metrics", metrics=("nll", "teacher_tv_epistemic"))
    for axes, number in zip(drawing.figure.axes, (f"{500 * sign}", "0.5"), strict=True):
        low, high = axes.get_xlim()
        assert high - low < 2
        assert [text.get_text().replace("−", "-") for text in axes.texts] == [number]
    assert "arrow: beyond the axis" in drawing.note


def test_differences_to_the_teacher_are_paired(make_run: Make, tmp_path: Path) -> None:
    cells = {
        ("d", k, s): {"nll": 1.0 + s, "nll@rotation/1": 2.0 + s + (0.5 + s / 100) * (k == "kd")}
        for k in ("ensemble", "kd")
        for s in range(3)
    }
    make_run(tmp_path / "run", cells)
    figure = draw_one(load(tmp_path / "run"), "shift").figure
    values, differences = figure.axes
    (zero, line) = differences.lines[:2]
    assert np.asarray(zero.get_ydata()).tolist() == [0, 0]
    assert np.asarray(line.get_ydata()).tolist() == pytest.approx([0, 0.51])
    assert len(values.get_title()) and differences.get_ylabel().startswith("NLL [nats] −")


def test_each_method_has_its_own_panel_of_the_loss(make_run: Make, tmp_path: Path) -> None:
    def history(stages: list[str], scale: float) -> list[dict[str, Any]]:
        return [
            {
                "stage": stage,
                "epoch": epoch,
                "loss": scale / (1 + epoch),
                "term": 1.0,
                "validation_nll": 0.5 if epoch % 2 else "",
            }
            for stage in stages
            for epoch in range(4)
        ]

    slots = [("d", label, seed) for label in ("kd", "hydra") for seed in range(2)]
    histories = {s: history(["a", "b"] if s[1] == "hydra" else ["a"], 2 + s[2]) for s in slots}
    make_run(tmp_path / "run", {slot: {"nll": 1.0} for slot in slots}, histories=histories)
    axes = draw_one(load(tmp_path / "run"), "training").figure.axes
    titles = [panel.get_title() for panel in axes]
    assert titles == ["validation NLL [nats]", "term", "loss of kd", "loss of hydra"]
    assert np.asarray(axes[0].lines[0].get_xdata()).tolist() == [2, 4]
    assert np.asarray(axes[2].lines[0].get_ydata())[0] == 2.5
    boundary = axes[3].lines[1]
    assert np.asarray(boundary.get_xdata()).tolist() == [4.5, 4.5]


def test_means_over_seeds_are_in_the_order_of_tables(results: Results) -> None:
    means = seed_means(results.values("nll"))
    assert [*means.index] == results.labels() and [*means["n"]] == [2, 2, 2]
