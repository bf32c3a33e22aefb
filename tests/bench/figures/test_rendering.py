"""Rendering to files: damaged arrays, links, names of files, and processes that draw."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from joblib.externals import loky
from tests.bench.figures.figure_runs import Make, a_run, curves, figures
from tests.unchecked import unchecked

from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.cli.commands.plot import FigureContent, FigureFiles, plot
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.figures import rendering
from distillation_bench.bench.figures.drawing import draw_figures
from distillation_bench.bench.figures.rendering import render
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.storage.upkeep.merge import merge


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
        broken("canvas/passes", (65,)),
        broken("canvas/passes", (2, 65)),
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
        figure.name: figure
        for figure in render(load(run.folder), ["reliability", "maps"], dots_per_inch=30)
    }
    (path,) = run.cells.glob("plane-kd*/curves.safetensors")
    assert capsys.readouterr().err == f"{path}: damaged, left out\n"
    assert all("damaged (seed 0): kd" in figure.note for figure in figures_by_name.values())


def test_figures_whose_arrays_were_left_out_of_a_copy_say_so(
    make_run: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_run(make_run, tmp_path / "run", ["ensemble", "kd"], seeds=1)
    merge([Run(tmp_path / "run")], Run(tmp_path / "copy"), None, arrays=False)
    results = load(tmp_path / "copy")
    reason = "arrays were left out of this copy (merge --no-arrays)"
    with pytest.raises(UsageError) as caught:
        list(render(results, ["maps"]))
    assert str(caught.value) == f"figure maps: no data: {reason}"
    drawn = {figure.name for figure in render(results)}
    assert "metrics-plane" in drawn and "maps-plane" not in drawn
    names = "maps, bands, histograms, reliability, roc, selective, fidelity, training"
    assert capsys.readouterr().err == f"not drawn: {names}: {reason}\n"
    with pytest.raises(UsageError, match="no canvas of a curve"):
        list(render(load(tmp_path / "run"), ["bands"]))


def test_arrays_are_shown_of_the_cells_that_have_them(make_run: Make, tmp_path: Path) -> None:
    slots = [("plane", label, seed) for label in ("ensemble", "kd") for seed in (0, 1)]
    for name, own in (("without", slots[:3]), ("with", slots[3:])):
        arrays = {slot: curves(index) for index, slot in enumerate(own)}
        make_run(tmp_path / name, {slot: figures() for slot in own}, curves=arrays)
    merge([Run(tmp_path / "without")], Run(tmp_path / "copy"), None, arrays=False)
    results = load(tmp_path / "copy", tmp_path / "with")
    notes = [
        drawn.note for kind in ("histograms", "maps") for drawn in draw_figures(results, [kind])
    ]
    assert all("seed 1. arrays left out of a copy: ensemble." in note for note in notes)
    (drawn,) = draw_figures(results, ["reliability"])
    assert [axes.get_title().split()[0] for axes in drawn.figure.axes] == ["kd"]
    assert "n = 1 seed. arrays left out of a copy: ensemble." in drawn.note


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
    results = load(tmp_path / "run")
    drawn_names = [figure.name for figure in draw_figures(results)]
    rendered = [figure.name for figure in render(results, dots_per_inch=30)]
    assert drawn_names == rendered
    assert len({name.lower() for name in drawn_names}) == len(drawn_names) >= 6


def test_processes_that_draw_import_nothing_from_the_current_folder(
    make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = a_run(make_run, tmp_path / "run", ["ensemble", "kd"], seeds=1)
    for name in ("numpy", "joblib", "multiprocessing"):
        marked = f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()"
        (tmp_path / "run" / f"{name}.py").write_text(marked)
    monkeypatch.chdir(tmp_path / "run")
    monkeypatch.setattr(rendering, "cores", lambda: 2)
    assert list(render(results, dots_per_inch=30))
    assert not (tmp_path / "ran").exists()


def test_without_other_processes_this_one_draws(make_run: Make, tmp_path: Path) -> None:
    """With JOBLIB_MULTIPROCESSING=0, joblib starts no process and prepares none."""
    a_run(make_run, tmp_path / "run", ["ensemble", "kd"], seeds=1)
    program = (
        "import sys\n"
        "from distillation_bench.bench.analysis.results import load\n"
        "from distillation_bench.bench.figures import rendering\n"
        "rendering.cores = lambda: 2\n"
        "print(*(f.name for f in rendering.render(load(sys.argv[1]), dots_per_inch=30)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "run")],
        cwd=IMPORT_FOLDER,
        env={**os.environ, "JOBLIB_MULTIPROCESSING": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "metrics-plane" in done.stdout.split()


def test_processes_that_draw_import_no_seaborn(
    make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its import takes as long as a figure; they are given what it decides."""
    results = a_run(make_run, tmp_path / "run", ["ensemble", "kd"], seeds=1)
    (tmp_path / "seaborn.py").write_text("raise ImportError('seaborn is imported')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(rendering, "cores", lambda: 2)
    assert list(render(results, dots_per_inch=30))


def test_ctrl_c_does_not_reach_the_drawing_processes(
    make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They inherit the blocked signals when they start; otherwise each would print a traceback."""
    blocked: list[set[int]] = []

    class InProcess:
        """Draws in this process."""

        def __init__(self, count: int, initializer: Any, initargs: Any) -> None:
            initializer(*initargs)

        def map(self, function: Any, requests: Any) -> Any:
            blocked.append({*signal.pthread_sigmask(signal.SIG_BLOCK, ())})
            return map(function, requests)

        def shutdown(self, kill_workers: bool) -> None: ...

    monkeypatch.setattr(loky, "ProcessPoolExecutor", InProcess)
    monkeypatch.setattr(rendering, "FEW", 0)
    monkeypatch.setattr(rendering, "cores", lambda: 2)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    results = a_run(make_run, tmp_path / "run", ["ensemble", "kd"], seeds=1)
    assert len([*render(results, ["training", "metrics"])]) == 2
    assert blocked == [before | {signal.SIGINT, signal.SIGHUP}]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
