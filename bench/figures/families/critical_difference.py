"""Critical-difference diagram: average ranks over datasets, and who is not told apart."""

from __future__ import annotations

from distillation_bench.bench.analysis.comparison import Comparison, compare
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.figures.dataset_view import NoData, file_name
from distillation_bench.bench.figures.panels import panels
from distillation_bench.bench.figures.request import Drawn, Material
from distillation_bench.bench.figures.style import COLUMN, GREY, INK, PAGE, width_of, wrapped

LABELS = 1.6
ROW = 0.16


def ranks(material: Material) -> list[Drawn]:
    """A figure a metric."""
    return [_figure(material, name) for name in material.options.metrics or ("nll",)]


def _figure(material: Material, name: str) -> Drawn:
    labels = material.labels if material.options.labels else ()
    try:
        comparison = compare(material.results, name, "", material.options.datasets, labels)
    except UsageError as error:
        raise NoData(str(error)) from None
    across = comparison.across
    if across is None:
        raise NoData(f"{comparison.no_across}{_of_chance(comparison)}")
    count, datasets = len(across.labels), len(across.seeds)
    half = (count + 1) // 2
    names = [wrapped(label, LABELS, 1) for label in across.labels]
    widest = max(map(width_of, names)) + 0.55
    bars = len(across.groups)
    height = 0.45 + 0.07 * bars + ROW * half
    left_out = "".join(f". {label}: {why}" for label, why in comparison.incomplete.items())
    page = panels(
        1,
        1,
        height,
        COLUMN if widest < 1.2 else PAGE,
        left=widest,
        right=widest,
        bottom=0.05,
        top=0.1,
        note=(
            f"Average ranks of {comparison.metric} over N = {datasets} datasets, 1 is best; bars "
            "join what Nemenyi's test does not tell apart at .05; Friedman's p = "
            f"{across.friedman:.3g}{left_out}{_of_chance(comparison)}."
        ),
    )
    axes = page.axes[0]
    axes.set_axis_off()
    axes.set_xlim(1, count)
    axes.set_ylim(-height, 0)
    axes.plot([1, count], [-0.3, -0.3], color=INK, linewidth=0.7, clip_on=False)
    for tick in range(1, count + 1):
        axes.plot([tick, tick], [-0.3, -0.26], color=INK, linewidth=0.7, clip_on=False)
        axes.text(tick, -0.25, str(tick), ha="center", va="bottom")
    span = min(across.critical_difference, float(count - 1))
    axes.plot([1, 1 + span], [-0.06, -0.06], color=INK, linewidth=1.2, clip_on=False)
    axes.text(1 + span, -0.06, f"  CD {across.critical_difference:.2f}", va="center")
    room = (count - 1) * 0.06
    for place, (label, rank) in enumerate(zip(across.labels, across.ranks, strict=True)):
        on_left = place < half
        row = place if on_left else count - 1 - place
        below = -0.42 - 0.07 * bars - ROW * row
        end = 1.0 - room if on_left else count + room
        line = axes.plot([rank, rank, end], [-0.3, below, below], linewidth=0.8, clip_on=False)
        line[0].set_color(material.look.color(label))
        text = f"{names[place]} {rank:.2f}" if on_left else f"{rank:.2f} {names[place]}"
        axes.text(
            end,
            below,
            text + " " if on_left else f" {text}",
            ha="right" if on_left else "left",
            va="center",
        )
    places = dict(zip(across.labels, across.ranks, strict=True))
    for index, group in enumerate(across.groups):
        y = -0.36 - 0.07 * index
        axes.plot(
            [places[group[0]], places[group[-1]]], [y, y], color=GREY, linewidth=2.2, clip_on=False
        )
    alt = (
        f"Critical-difference diagram of {comparison.metric} over {datasets} datasets: "
        + ", ".join(
            f"{label} {rank:.2f}" for label, rank in zip(across.labels, across.ranks, strict=True)
        )
        + f"; critical difference {across.critical_difference:.2f}."
    )
    part = str(comparison.metric) if material.options.metrics else ""
    return Drawn(
        file_name("ranks", part), f"Average ranks by {comparison.metric}", alt, page.figure
    )


def _of_chance(comparison: Comparison) -> str:
    """Which datasets are left out, behind another sentence."""
    left_out = ", ".join(comparison.of_chance)
    why = "where the teacher itself detects worse than chance"
    return f". Left out, {why}: {left_out}" if left_out else ""
