"""Figures show the recorded values in one style; their bytes repeat; names may be hostile."""

from __future__ import annotations

import math
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text
from tests.unchecked import unchecked

from distillation_bench.bench.analysis.results import Results, read
from distillation_bench.bench.analysis.statistics import Interval
from distillation_bench.bench.cli.commands.plot import FigureContent, FigureFiles, plot
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.figures import rendering
from distillation_bench.bench.figures.appearance.axis_scales import (
    draw_intervals,
    scale_suffix,
    set_limits,
    set_ticks,
)
from distillation_bench.bench.figures.appearance.image_files import to_bytes
from distillation_bench.bench.figures.appearance.layout import panel_grid
from distillation_bench.bench.figures.appearance.style import FONT_SIZE, LabelStyles, figure_style
from distillation_bench.bench.figures.appearance.text_fit import (
    MARGIN,
    drawable,
    text_width,
    wrap,
)
from distillation_bench.bench.figures.drawing import draw
from distillation_bench.bench.figures.families.quality_and_cost import _latencies
from distillation_bench.bench.figures.figure_types import DrawnFigure, FigureOptions
from distillation_bench.bench.figures.registry import FIGURE_KINDS
from distillation_bench.bench.figures.rendering import render
from distillation_bench.bench.storage.run_folder import Run

Make = Callable[..., Run]
HOSTILE = ["a_b & 100% #1", "$x$ and $y", "_hidden", "<script>alert(1)</script>", "../x", "a\nb"]


def curves(seed: int = 0, ood: Sequence[str] = ("ood:far",), side: int = 8) -> dict[str, Any]:
    """Return the arrays of a cell of a classification dataset in the plane."""
    draws = np.random.default_rng(seed)
    grid = np.linspace(-1, 1, side)
    x, y = np.meshgrid(grid, grid)
    arrays: dict[str, Any] = {
        "canvas/x": np.stack([x.ravel(), y.ravel()], 1),
        "canvas/y": np.full(side**2, -1.0),
        "train/x": draws.uniform(-1, 1, (12, 2)),
        "train/y": np.zeros(12),
        "reliability/test": np.stack([np.full(15, 4.0), *np.tile(np.linspace(0, 1, 15), (2, 1))]),
    }
    for name in ("total", "aleatoric", "epistemic"):
        arrays[f"canvas/{name}"] = draws.random(side**2)
        for key in ("test", *ood):
            arrays[f"histogram/{name}/{key}"] = draws.dirichlet(np.ones(50), 2)
            arrays[f"upper/{name}/{key}"] = np.array([1.1])
    for key in ("test", *ood):
        arrays[f"fidelity/{key}"] = draws.exponential(1, (2, 20))
    for key in ood:
        arrays[f"roc/total/{key}"] = np.linspace(0, 1, 201) ** 0.5
    return {name: np.asarray(array, np.float32) for name, array in arrays.items()}


def figures(value: float = 0.5) -> dict[str, float]:
    """Return the values of a cell."""
    return {
        "nll": value,
        "accuracy": 1 - value / 2,
        "ece@test": 0.1,
        "ood_auroc": 0.7,
        "ood_auroc:total@ood:far": 0.7,
        "teacher_spearman@test": 0.3,
        "teacher_spearman@ood:far": 0.4,
        "flops": 1e6 * (1 + value),
        "parameters": 1e5 * (1 + value),
        "nll@rotation/1": value + 0.1,
        "nll@rotation/2": value + 0.3,
    }


def a_run(
    make_run: Make, folder: Path, labels: Sequence[str], seeds: int = 2, **options: Any
) -> Results:
    """Write and read a run on one dataset in the plane."""
    slots = [("plane", label, seed) for label in labels for seed in range(seeds)]
    history = [{"stage": "train", "epoch": e, "loss": 1 / (1 + e), "b_term": e} for e in range(5)]
    make_run(
        folder,
        {slot: figures(0.2 + 0.1 * index) for index, slot in enumerate(slots)},
        curves={slot: curves(index) for index, slot in enumerate(slots)},
        histories=dict.fromkeys(slots, history),
        **options,
    )
    return read([folder])


def texts(drawing: DrawnFigure) -> list[str]:
    """Return all texts of a figure."""
    artists = drawing.figure.findobj(Text)
    return [
        artist.get_text() for artist in artists if isinstance(artist, Text) and artist.get_text()
    ]


def draw_one(results: Results, name: str, **options: Any) -> DrawnFigure:
    (drawing,) = draw(results, [name], FigureOptions(**options))
    return drawing


def test_the_latency_of_a_variant_is_found_whatever_seed_is_shown() -> None:
    latencies = {
        ("d", "kd", 0): 2e-3,
        ("d", "kd", 1): 0.0,
        ("d", "single", 1): 0.0,
        ("e", "kd", 1): 1.0,
    }
    results = SimpleNamespace(facts={k: SimpleNamespace(latency=v) for k, v in latencies.items()})
    run_data: Any = SimpleNamespace(results=results, dataset="d", labels=["kd", "single"])
    assert _latencies(run_data) == {"kd": {0: 2.0}}


def test_every_figure_of_a_dataset_is_drawn_once(make_run: Make, tmp_path: Path) -> None:
    labels = ["ensemble", "hydra+[heads=5]", "hydra+[heads=10]"]
    results = a_run(
        make_run,
        tmp_path / "run",
        labels,
        methods={label: label.split("[")[0] for label in labels},
        parameters={"hydra+[heads=5]": {"heads": 5}, "hydra+[heads=10]": {"heads": 10}},
    )
    names = [drawing.name for drawing in draw(results)]
    assert names == [f"{name}-plane" for name in FIGURE_KINDS if name not in ("bands", "ranks")]


def test_bytes_are_the_same_twice_and_in_another_process(make_run: Make, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    results = a_run(make_run, folder, ["ensemble", "kd"])
    program = (
        "import sys, hashlib; from pathlib import Path\n"
        "from distillation_bench.bench.analysis.results import read\n"
        "from distillation_bench.bench.figures.appearance.image_files import to_bytes\n"
        "from distillation_bench.bench.figures.drawing import draw\n"
        "for name in ('maps', 'fidelity', 'metrics'):\n"
        "  (d,) = draw(read([Path(sys.argv[1])]), [name])\n"
        "  for kind in ('svg', 'png', 'pdf'):\n"
        "    print(hashlib.sha256(to_bytes(d.figure, kind)).hexdigest())\n"
    )
    import hashlib

    kinds: tuple[Any, ...] = ("svg", "png", "pdf")
    digests = []
    for name in ("maps", "fidelity", "metrics"):
        drawing = draw_one(results, name)
        contents = [to_bytes(drawing.figure, kind) for kind in kinds]
        assert contents == [to_bytes(drawing.figure, kind) for kind in kinds]
        digests += [hashlib.sha256(content).hexdigest() for content in contents]
    command = [sys.executable, "-c", program, str(folder)]
    completed = subprocess.run(
        command, cwd=IMPORT_FOLDER, capture_output=True, text=True, check=True
    )
    assert completed.stdout.split() == digests


def test_selecting_labels_does_not_change_their_style(make_run: Make, tmp_path: Path) -> None:
    labels = ["ensemble", *(f"hydra+[{i}]" for i in range(39))]
    methods = {label: label.split("[")[0] for label in labels}
    make_run(tmp_path / "run", {("d", k, 0): {"nll": 1.0} for k in labels}, methods=methods)
    styles = LabelStyles(read([tmp_path / "run"]))
    appearances = [(styles[k].color, styles[k].marker, str(styles[k].dashes)) for k in labels]
    assert len(set(appearances)) == 40
    results = read([tmp_path / "run"])
    drawing = draw_one(results, "metrics", labels=(labels[7],))
    colors = {line.get_color() for line in drawing.figure.axes[0].lines[:1]}
    assert colors == {styles.color(labels[7])}


def test_histograms_show_the_total_variation(make_run: Make, tmp_path: Path) -> None:
    results = a_run(make_run, tmp_path / "run", ["ensemble", "kd"], seeds=1)
    pair = curves(1)["histogram/total/test"].astype(float)
    expected = f"{np.abs(pair[0] - pair[1]).sum() / 2:.2f}"
    drawing = draw_one(results, "histograms", sets=("test",))
    labels = [text.get_text() for text in drawing.figure.axes[0].texts]
    assert labels[1] == expected


def test_metrics_show_means_intervals_and_every_seed(make_run: Make, tmp_path: Path) -> None:
    values = {"kd": [1.0, 2.0, 3.0], "hydra": [2.0, 2.5, 3.0]}
    cells = {("d", k, s): {"nll": v} for k, vs in values.items() for s, v in enumerate(vs)}
    make_run(tmp_path / "run", cells, failed={("d", "endd", 0): "boom"})
    drawing = draw_one(read([tmp_path / "run"]), "metrics", metrics=("nll",))
    seeds, interval, mean = drawing.figure.axes[0].lines[:3]
    assert np.asarray(seeds.get_xdata()).tolist() == [1, 2, 3]
    # Student's t with 2 degrees of freedom: 4.303 standard errors of 1 / √3.
    assert np.asarray(interval.get_xdata()).tolist() == pytest.approx(
        [2 - 2.4841, 2 + 2.4841], abs=1e-3
    )
    assert np.asarray(mean.get_xdata()).tolist() == [2]
    assert "best student means: nll: kd (2.000 nats)" in drawing.alt.lower()
    assert "n = 3 seeds. failed: endd" in " ".join(texts(drawing)).replace("\n", " ")


def test_a_single_seed_has_no_interval(make_run: Make, tmp_path: Path) -> None:
    make_run(tmp_path / "run", {("d", "kd", 0): {"nll": 1.0}})
    drawing = draw_one(read([tmp_path / "run"]), "metrics")
    assert "a single seed has no interval; n = 1 seed" in " ".join(texts(drawing))


def test_lines_over_shifts_start_at_the_test_set(make_run: Make, tmp_path: Path) -> None:
    results = a_run(make_run, tmp_path / "run", ["kd"], seeds=2)
    drawing = draw_one(results, "shift")
    line = drawing.figure.axes[0].lines[-1]
    assert np.asarray(line.get_ydata()).tolist() == pytest.approx([0.25, 0.35, 0.55])


def test_the_pareto_front_is_what_no_method_beats(make_run: Make, tmp_path: Path) -> None:
    costs = {"cheap": (1e6, 0.5), "better": (2e6, 0.3), "worse": (3e6, 0.4), "best": (4e6, 0.1)}
    cells = {("d", k, 0): {"nll": nll, "flops": flops} for k, (flops, nll) in costs.items()}
    make_run(tmp_path / "run", cells)
    drawing = draw_one(read([tmp_path / "run"]), "cost")
    assert "in both than cheap, better, best." in drawing.alt


def test_ablation_lines_join_variants_that_differ_in_one_parameter(
    make_run: Make, tmp_path: Path
) -> None:
    parameters: dict[str, dict[str, Any]] = {
        "a": {"lam": 0.0, "b": 0.5},
        "b": {"lam": 3.0, "b": 0.5},
        "c": {"lam": 3.0, "b": 1.0},
    }
    make_run(
        tmp_path / "run",
        {("d", k, 0): {"nll": 1.0 + i} for i, k in enumerate(parameters)},
        parameters=parameters,
        methods=dict.fromkeys(parameters, "hydra+"),
    )
    axes = draw_one(read([tmp_path / "run"]), "ablation").figure.axes
    values = {panel.get_xlabel(): np.asarray(panel.lines[0].get_ydata()).tolist() for panel in axes}
    assert values == {"λ": [1, 2], "b": [2, 3]}


def test_ranks_need_five_datasets(make_run: Make, tmp_path: Path) -> None:
    cells = {(f"d{d}", k, 0): {"nll": i + 0.1 * d} for d in range(5) for i, k in enumerate("abc")}
    make_run(tmp_path / "five", cells)
    drawing = draw_one(read([tmp_path / "five"]), "ranks")
    assert "a 1.00, b 2.00, c 3.00" in drawing.alt
    make_run(tmp_path / "four", {slot: row for slot, row in cells.items() if slot[0] != "d4"})
    with pytest.raises(UsageError, match="it needs 5 datasets, here are 4"):
        list(draw(read([tmp_path / "four"]), ["ranks"]))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mapz", {}, "figure mapz: unknown; did you mean 'maps'?"),
        ("bands", {}, "figure bands: no data (plane: no canvas of a curve); it needs a dataset"),
        ("maps", {"labels": ("kdd",)}, "method kdd: not in the run; did you mean 'kd'?"),
        ("maps", {"datasets": ("plan",)}, "dataset plan: not in the run; did you mean 'plane'?"),
        ("cost", {"metrics": ("nl",)}, "nl: unknown metric; did you mean 'nll'?"),
        ("cost", {"metrics": ("rmse",)}, "no cell has rmse"),
        ("histograms", {"sets": ("ood:fa",)}, "--on ood:fa: not in the run; did you mean"),
        ("maps", {"seed": 9}, "seed 9: not in the run; there is 0"),
    ],
)
def test_mistakes_are_one_line(
    make_run: Make, tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    results = a_run(make_run, tmp_path / "run", ["kd"], seeds=1)
    with pytest.raises(UsageError) as caught:
        list(draw(results, [name], FigureOptions(**options)))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hostile_names_are_drawn_as_they_are(make_run: Make, tmp_path: Path) -> None:
    results = a_run(make_run, tmp_path / "run", HOSTILE, seeds=1)
    for drawing in draw(results):
        content = to_bytes(drawing.figure, "svg")
        assert b"<script>" not in content
        assert re.fullmatch(r"[A-Za-z0-9.+_-]+", drawing.name)
    legend = draw_one(results, "roc").figure.legends[0]
    entries = [text.get_text().strip() for text in legend.get_texts()]
    assert entries == [f"{drawable(label).strip()}  70.00" for label in results.labels()]


@pytest.mark.parametrize("count", [1, 2, 14])
def test_text_stays_on_the_page_and_is_large_enough(
    make_run: Make, tmp_path: Path, count: int
) -> None:
    labels = [f"method {i} with a rather long name" for i in range(count)]
    results = a_run(make_run, tmp_path / "run", labels, seeds=2)
    for drawing in draw(results):
        with figure_style():
            drawing.figure.draw_without_rendering()
        width = drawing.figure.bbox.width
        for text in written(drawing):
            box = text.get_window_extent()
            assert float(text.get_fontsize()) >= FONT_SIZE
            assert box.x0 >= -1, (drawing.name, text.get_text())
            assert box.x1 <= width + 1, (drawing.name, text.get_text())


def written(drawing: DrawnFigure) -> list[Text]:
    """Return the visible texts: matplotlib also keeps ticks beyond the ends of axes."""
    beyond = set()
    for axes in drawing.figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = axis.get_view_interval()
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not min(low, high) <= tick.get_loc() <= max(low, high):
                    beyond |= {id(tick.label1), id(tick.label2)}
    artists = [artist for artist in drawing.figure.findobj(Text) if isinstance(artist, Text)]
    return [t for t in artists if t.get_text() and t.get_visible() and id(t) not in beyond]


def test_text_is_wrapped_by_its_width() -> None:
    text = "hydra+[b=0.5,heads=20,lam=0]"
    for lines in (2, 3, 5):
        parts = wrap(text, 0.9, lines).split("\n")
        assert len(parts) <= lines
        assert all(text_width(part) <= 0.9 * MARGIN + text_width("…") for part in parts)
    assert wrap("short", 2.0) == "short"
    assert wrap(text, 0.9, 1).endswith("…")


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1.0, 2.0], "linear"),
        ([0.001, 10.0], "log"),
        ([0.0, 0.001, 10.0], "symlog"),
        ([2.0], "linear"),
    ],
)
def test_scales_fit_the_values(values: list[float], scale: str) -> None:
    axes = panel_grid(1, 1, 1.0).axes[0]
    set_limits(axes, "y", values)
    set_ticks(axes.yaxis)
    low, high = axes.get_ylim()
    assert axes.get_yscale() == scale
    assert low < min(values) and high > max(values)


def test_a_percentage_has_a_linear_axis_that_ends_at_its_range() -> None:
    axes = panel_grid(1, 1, 1.0).axes[0]
    set_limits(axes, "y", [0.1, 99.0], [-400.0, 500.0], (0.0, 100.0))
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "linear" and scale_suffix(axes, "y") == ""
    assert -5 < low <= 0 and 100 <= high < 105


def test_an_interval_beyond_the_axes_ends_in_an_arrowhead() -> None:
    axes = panel_grid(1, 1, 1.0).axes[0]
    axes.set_ylim(0, 1)
    spans = [Interval(0.5, 0.4, 0.6), Interval(0.5, -3.0, 0.7), Interval(0.5, math.nan, math.nan)]
    draw_intervals(axes, "y", [1, 2, 3], spans, "#000000")
    line, head = axes.lines
    assert np.asarray(line.get_ydata()) == pytest.approx([0.4, 0.6, math.nan, 0, 0.7], nan_ok=True)
    assert (head.get_marker(), np.asarray(head.get_xydata()).tolist()) == ("v", [[2, 0]])


def test_only_a_method_with_all_seeds_is_named_best(make_run: Make, tmp_path: Path) -> None:
    values = {"kd": [1.0, 2.0, 3.0], "hydra": [2.0, 3.0, 4.0], "lucky": [0.1]}
    cells = {("d", k, s): {"nll": v} for k, vs in values.items() for s, v in enumerate(vs)}
    make_run(tmp_path / "run", cells, missing=[("d", "lucky", 1)])
    drawing = draw_one(read([tmp_path / "run"]), "metrics", metrics=("nll",))
    assert "Best student means: NLL: kd (2.000 nats)" in drawing.alt


def broken(array: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return curves of which one array has another shape."""
    return curves() | {array: np.ones(shape, np.float32)}


@pytest.mark.parametrize(
    "damaged",
    [
        *(broken(name, (3, 4)) for name in curves()),
        broken("canvas/x", (9, 1)),
        broken("train/x", (12, 3)),
        broken("canvas/total", (63,)),
        broken("fidelity/test", (2, 0)),
        {k: v for k, v in curves().items() if not k.startswith("upper/")},
        {k: v for k, v in curves().items() if k != "canvas/epistemic"},
        {k: v * np.float32(math.nan) for k, v in curves().items()},
    ],
)
def test_curves_of_wrong_shapes_are_named_and_left_out(
    make_run: Make,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    damaged: dict[str, Any],
) -> None:
    monkeypatch.setattr("distillation_bench.bench.figures.rendering.cores", lambda: 1)
    slots = [("plane", label, 0) for label in ("ensemble", "kd")]
    arrays = dict(zip(slots, (curves(), damaged), strict=True))
    with unchecked():
        run = make_run(tmp_path / "run", {slot: figures() for slot in slots}, curves=arrays)
    figures_by_name = {
        figure.name: figure for figure in render(read([run.folder]), ["reliability", "maps"])
    }
    (path,) = run.cells.glob("plane-kd*/curves.safetensors")
    assert capsys.readouterr().err == f"{path}: damaged, left out\n"
    assert all("damaged (seed 0): kd" in figure.note for figure in figures_by_name.values())


def test_changed_histories_are_named_and_left_out(
    make_run: Make,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = a_run(make_run, tmp_path / "run", ["ensemble", "kd", "hydra"], seeds=1)
    paths = sorted(tmp_path.glob("run/cells/*/history.csv"))
    paths[1].write_text("loss\nabc\n")
    paths[2].unlink()
    (drawing,) = render(results, ["training"])
    assert sorted(capsys.readouterr().err.splitlines()) == [
        f"{path}: damaged, left out" for path in paths[1:]
    ]
    assert (
        "damaged (seed 0): hydra, kd" in drawing.note
        or "damaged (seed 0): kd, hydra" in drawing.note
    )


def test_a_linked_folder_of_figures_is_not_followed(make_run: Make, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {("d", "kd", 0): {"nll": 1.0}})
    (tmp_path / "elsewhere").mkdir()
    (run.folder / "figures").symlink_to(tmp_path / "elsewhere")
    for out, message in ((None, "figures: a link; give --out"), (run.folder / "run.json", "not a")):
        with pytest.raises(UsageError, match=message):
            plot([run.folder], files=FigureFiles(out=out), content=FigureContent())
    assert not list((tmp_path / "elsewhere").iterdir())


def test_plotting_needs_no_torch() -> None:
    program = (
        "import sys, distillation_bench.bench.figures.rendering; print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=IMPORT_FOLDER,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_file_names_are_distinct_and_the_same_in_parallel(make_run: Make, tmp_path: Path) -> None:
    slots = [(dataset, label, 0) for dataset in ("a b", "a_b", "A_B") for label in ("kd", "hydra")]
    make_run(tmp_path / "run", {slot: {"nll": 0.5, "flops": 9.0} for slot in slots})
    results = read([tmp_path / "run"])
    drawn_names = [figure.name for figure in draw(results)]
    rendered = [figure.name for figure in render(results, dots_per_inch=30)]
    assert drawn_names == rendered
    assert len({name.lower() for name in drawn_names}) == len(drawn_names) >= 6


def test_ctrl_c_does_not_reach_the_drawing_processes(
    make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They inherit the blocked signals when they start; otherwise each would print a traceback."""
    blocked: list[set[int]] = []

    class InProcessExecutor:
        """Draws in this process."""

        def __init__(self, count: int, context: object, begin: Any, arguments: Any) -> None:
            rendering._begin(*arguments)

        def __enter__(self) -> InProcessExecutor:
            return self

        def __exit__(self, *_: object) -> None: ...

        def map(self, function: Any, parts: Any) -> Any:
            blocked.append({*signal.pthread_sigmask(signal.SIG_BLOCK, ())})
            return map(function, parts)

    monkeypatch.setattr(rendering, "ProcessPoolExecutor", InProcessExecutor)
    monkeypatch.setattr(rendering, "FEW", 0)
    monkeypatch.setattr(rendering, "cores", lambda: 2)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    results = a_run(make_run, tmp_path / "run", ["ensemble", "kd"], seeds=1)
    (_,) = render(results, ["training"])
    assert blocked == [before | {signal.SIGINT, signal.SIGHUP}]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
