"""Histograms of the three uncertainties on evaluation sets, over the teacher's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from distillation_bench.bench.figures.axis_scales import scale_suffix, set_ticks
from distillation_bench.bench.figures.figure_data import FigureData
from distillation_bench.bench.figures.panels import Drawing, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.stored_arrays import Arrays
from distillation_bench.bench.figures.style import GREY
from distillation_bench.bench.figures.text_fit import wrap
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

ROW_HEIGHT, LABEL_WIDTH, LABEL_SHARE = 0.24, 1.2, 0.28
"""Inches of a label's row and of its name, which takes at most a share of the figure's width."""
TEACHER_COLOR = "#C8C8C8"
LOG_BINS, LOG_RANGE = 30, 1e5
"""Bins on the logarithmic axis, and the largest ratio of its ends."""

Bins = tuple[np.ndarray, np.ndarray]
"""Shares [2, bins] of the student's and the teacher's examples, and the edges of the bins."""


@figure(
    "histograms",
    "the three uncertainties on evaluation sets (--on), over the teacher's",
    "curves beside the cells",
)
def draw_histograms(data: FigureData) -> Iterator[Drawing]:
    """Draw a row for each label, a column for each uncertainty; a figure for each two sets."""
    stored = data.arrays_of_one_seed()
    sets = data.sets_with("histogram/total/", stored.values())
    if not sets:
        raise NoData("no histograms")
    for start in range(0, len(sets), 2):
        yield _draw(data, stored, sets[start : start + 2])


def _draw(data: FigureData, stored: Mapping[str, Arrays], sets: Sequence[str]) -> Drawing:
    keys = [f"{uncertainty}/{name}" for name in sets for uncertainty in UNCERTAINTIES]
    shown = {k: a for k, a in stored.items() if all(f"histogram/{key}" in a for key in keys)}
    if not shown:
        raise NoData(f"no histograms of {' and '.join(sets)}")
    height = ROW_HEIGHT * len(shown) + 0.55
    panels = Panels(data, len(keys), width=1.0, height=height, most=len(keys), sharey=True)
    width = min(LABEL_WIDTH, LABEL_SHARE * panels.width)
    for axes, key in zip(panels, keys, strict=True):
        _draw_panel(axes, data, shown, key)
        uncertainty, _, name = key.partition("/")
        title = wrap(name.removeprefix("test/"), (panels.width - width) / panels.columns - 0.1, 1)
        axes.set_title(f"{title}\n{uncertainty}")
    names = [wrap(label, width, lines=2) for label in shown]
    panels.axes[0].set_yticks([len(shown) - 0.65 - row for row in range(len(shown))], names)
    subject = f"{' and '.join(sets)} of {data.dataset}"
    text = (
        "shares of examples by bin, heights are square roots, the largest of a column fills a row; "
        "end bins hold all values beyond; epistemic on a logarithmic axis: at most 500 examples; "
        "none: no epistemic uncertainty; numbers: total variation to the teacher's in 50 equal bins"
    )
    legend = [
        (Patch(color=TEACHER_COLOR), "teacher"),
        (Patch(facecolor="white", edgecolor=GREY), "student, in its colour"),
    ]
    return panels.finish(
        f"Uncertainty on {subject}",
        f"Histograms of total, aleatoric and epistemic uncertainty on {subject}, over the "
        f"teacher's. {_nearest_and_farthest(data, shown, keys)}",
        data.note_of_one_seed(text, shown),
        legend,
        "-".join(sets) if data.sets else "",
    )


def _draw_panel(axes: Axes, data: FigureData, arrays: Mapping[str, Arrays], key: str) -> None:
    bins = _log_bins(arrays, key)
    axes.set_xscale("log" if bins else "linear")
    bins = bins or {label: _recorded_bins(own, key) for label, own in arrays.items()}
    tallest = max(float(shares.max()) for shares, _ in bins.values())
    place = axes.get_yaxis_transform()
    for row, (label, (shares, edges)) in enumerate(bins.items()):
        base, color = len(bins) - 1 - row, data.styles[label].color
        student, teacher = 0.92 * np.sqrt(shares / tallest)
        axes.stairs(base + teacher, edges, baseline=base, fill=True, color=TEACHER_COLOR)
        axes.stairs(base + student, edges, baseline=base, color=color, linewidth=0.8)
        distance = _total_variation(arrays[label], key)
        # Beside the panel, where there are no curves; the layout makes room.
        axes.text(1.02, base + 0.35, f"{distance:.2f}", va="center", transform=place)
        if not student.any():
            axes.text(
                0.5, base + 0.6, "none", color=color, ha="center", va="center", transform=place
            )
    axes.set_xlim(min(e[0] for _, e in bins.values()), max(e[-1] for _, e in bins.values()))
    axes.set_ylim(-0.05, len(bins) + 0.05)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_yticks([])
    axes.set_xlabel(f"[{data.uncertainty_unit}]{scale_suffix(axes, 'x')}")
    # The numbers of a logarithmic axis are long.
    set_ticks(axes.xaxis, 1 if axes.get_xscale() == "log" else 2)


def _recorded_bins(arrays: Arrays, key: str) -> Bins:
    """Return the bins as recorded, up to the last one that has any share."""
    shares = arrays[f"histogram/{key}"]
    edges = np.linspace(0, float(arrays[f"upper/{key}"][0]), shares.shape[1] + 1)
    filled = int(np.flatnonzero(shares.any(0)).max(initial=0)) + 1
    return shares[:, :filled], edges[: filled + 1]


def _log_bins(arrays: Mapping[str, Arrays], key: str) -> dict[str, Bins]:
    """Return bins of equal ratio of the epistemic uncertainties that are stored one by one, if any.

    Almost all of them lie in the first of equal bins. A student without any has no share.
    """
    uncertainty, _, name = key.partition("/")
    pairs = {k: own[f"fidelity/{name}"] for k, own in arrays.items() if f"fidelity/{name}" in own}
    positive = np.concatenate([pair[pair > 0] for pair in pairs.values()] or [np.empty(0)])
    if uncertainty != "epistemic" or len(pairs) < len(arrays) or len(positive) < LOG_BINS:
        return {}
    highest = float(positive.max())
    lowest = max(np.quantile(positive, 0.02), highest / LOG_RANGE)
    edges = np.geomspace(lowest, highest, LOG_BINS + 1)
    return {k: (np.stack([_shares(v, edges) for v in pair]), edges) for k, pair in pairs.items()}


def _shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return shares of values [N] by bin, none if all are 0; the ends hold all values beyond."""
    counts = np.histogram(values.clip(edges[0], edges[-1]), edges)[0]
    shares: np.ndarray = counts * bool(values.any()) / len(values)
    return shares


def _total_variation(arrays: Arrays, key: str) -> float:
    """Return the total variation between the student's and the teacher's histogram, 0 to 1."""
    student, teacher = arrays[f"histogram/{key}"]
    return float(np.abs(student - teacher).sum() / 2)


def _nearest_and_farthest(
    data: FigureData, arrays: Mapping[str, Arrays], keys: Sequence[str]
) -> str:
    """Return which student is nearest to the teacher on average, and which is farthest."""
    students = [label for label in arrays if label not in data.results.references]
    means = {
        label: float(np.mean([_total_variation(arrays[label], key) for key in keys]))
        for label in students or arrays
    }
    near, far = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    return (
        f"Mean total variation to the teacher's is smallest for {near} ({means[near]:.2f}) and "
        f"largest for {far} ({means[far]:.2f})."
    )
