"""Drawing figures: which ones, their style, their bytes, mistakes and hostile names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.bench.figures.figure_runs import Make, a_run, draw_one

from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.figures.drawing import draw_figures
from distillation_bench.bench.figures.figure_data import FigureOptions
from distillation_bench.bench.figures.registry import figure_kinds
from distillation_bench.bench.figures.rendering import to_bytes
from distillation_bench.bench.figures.style import label_styles
from distillation_bench.bench.figures.text_fit import drawable

HOSTILE = ["a_b & 100% #1", "$x$ and $y", "_hidden", "<script>alert(1)</script>", "../x", "a\nb"]


def test_every_figure_of_a_dataset_is_drawn_once(make_run: Make, tmp_path: Path) -> None:
    labels = ["ensemble", "hydra+[heads=5]", "hydra+[heads=10]"]
    results = a_run(
        make_run,
        tmp_path / "run",
        labels,
        methods={label: label.split("[")[0] for label in labels},
        parameters={"hydra+[heads=5]": {"heads": 5}, "hydra+[heads=10]": {"heads": 10}},
    )
    names = [drawing.name for drawing in draw_figures(results)]
    kinds = figure_kinds().items()
    single = [name for name, kind in kinds if not kind.over_datasets and name != "bands"]
    assert names == [f"{name}-plane" for name in (*single, "forest")]


def test_bytes_are_the_same_twice_and_in_another_process(make_run: Make, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    results = a_run(make_run, folder, ["ensemble", "kd"])
    program = (
        "import sys, hashlib\n"
        "from distillation_bench.bench.analysis.results import load\n"
        "from distillation_bench.bench.figures.rendering import to_bytes\n"
        "from distillation_bench.bench.figures.drawing import draw_figures\n"
        "for name in ('maps', 'fidelity', 'metrics'):\n"
        "  (d,) = draw_figures(load(sys.argv[1]), [name])\n"
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
    styles = label_styles(load(tmp_path / "run"))
    appearances = [(styles[k].color, styles[k].marker, str(styles[k].dashes)) for k in labels]
    assert len(set(appearances)) == 40
    results = load(tmp_path / "run")
    drawing = draw_one(results, "metrics", labels=(labels[7],))
    colors = {line.get_color() for line in drawing.figure.axes[0].lines[:1]}
    assert colors == {styles[labels[7]].color}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mapz", {}, "figure mapz: unknown; did you mean 'maps'?"),
        ("bands", {}, "figure bands: no data (plane: no canvas of a curve); it needs a dataset"),
        ("maps", {"labels": ("kdd",)}, "--method kdd: not in these runs; did you mean 'kd'?"),
        (
            "maps",
            {"datasets": ("plan",)},
            "--dataset plan: not in these runs; did you mean 'plane'?",
        ),
        ("cost", {"metrics": ("nl",)}, "nl: unknown metric; did you mean 'nll'?"),
        ("cost", {"metrics": ("rmse",)}, "no cell has rmse"),
        ("histograms", {"sets": ("ood:fa",)}, "--on ood:fa: not in these runs; did you mean"),
        ("maps", {"seed": 9}, "--seed 9: not in these runs; there is 0"),
    ],
)
def test_mistakes_are_one_line(
    make_run: Make, tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    results = a_run(make_run, tmp_path / "run", ["kd"], seeds=1)
    with pytest.raises(UsageError) as caught:
        list(draw_figures(results, [name], FigureOptions(**options)))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hostile_names_are_drawn_as_they_are(make_run: Make, tmp_path: Path) -> None:
    results = a_run(make_run, tmp_path / "run", HOSTILE, seeds=1)
    for drawing in draw_figures(results):
        content = to_bytes(drawing.figure, "svg")
        assert b"<script>" not in content
        assert re.fullmatch(r"[A-Za-z0-9.+_-]+", drawing.name)
    legend = draw_one(results, "roc").figure.legends[0]
    entries = ["".join(text.get_text().split()) for text in legend.get_texts()]
    shown = ["".join(drawable(label).split()) for label in results.labels()]
    assert entries == [f"{label}70.00" for label in shown]
