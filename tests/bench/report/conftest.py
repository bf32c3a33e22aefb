"""Fixtures of tests of the report: pages of generated runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bench.generated_runs import generate
from tests.bench.report.reading import LONG

from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.figures import rendering
from distillation_bench.bench.report.page import build_report
from distillation_bench.bench.storage.run_folder import Run

VALUES = {
    # By label: accuracy, nll. As text, 10 and 100 come before 9, and -1 after 1.
    "ten": (0.9, 10.0),
    "nine": (0.95, 9.0),
    "hundred": (0.5, 100.0),
    "below": (0.7, -1.0),
    "nan": (float("nan"), float("nan")),
}


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """write(run, with_figures): the report of a run."""

    def write_report(run: Run, with_figures: bool = False) -> Path:
        path = tmp_path_factory.mktemp("report") / "report.html"
        with pytest.MonkeyPatch.context() as patch:
            # Figures are drawn here: other processes would import pandas and matplotlib first.
            patch.setattr(rendering, "cores", lambda: 1)
            path.write_text(build_report(load(run.folder), with_figures), encoding="utf-8")
        return path

    return write_report


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, write: Callable[..., Path]) -> Path:
    """Numbers that sort differently as text, and a failure."""
    values = {
        ("spiral", label, 0): {"accuracy": accuracy, "nll": nll}
        for label, (accuracy, nll) in VALUES.items()
    }
    values["spiral", "ensemble", 0] = {"accuracy": 0.99, "nll": 0.5}
    failed = {("spiral", "failed", 0): "loss is not finite"}
    return write(generate(tmp_path_factory.mktemp("small"), values, failed=failed))


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory, write: Callable[..., Path]) -> Path:
    """Two datasets, three seeds, a long label, a teacher below chance, a figure, a failed cell."""
    labels = ("ensemble", "kd", "hydra", "mc-dropout", LONG)
    values = {
        (dataset, label, seed): {
            **{"accuracy": 0.9 - 0.01 * k - 0.02 * seed, "nll": 0.3 + 0.1 * k + 0.01 * seed},
            **{"brier": 0.1 + 0.01 * k, "ece": 0.02 * (k + 1), "teacher_kl": 0.01 * k},
            **{"ood_auroc": (0.3 if dataset == "spiral" else 0.8) + 0.01 * seed},
            **{"nll@rotation/3": 1.0 + k, "aurc@test": 0.1 + 0.01 * k, "teacher_tv_epistemic": 0.1},
            **{"flops": 1e6 * (k + 1), "parameters": 1e4},
        }
        for dataset in ("digits", "spiral")
        for k, label in enumerate(labels)
        for seed in range(3)
    }
    del values["spiral", "kd", 2]
    return write(
        generate(
            tmp_path_factory.mktemp("study"),
            values,
            failed={("spiral", "kd", 2): "ValueError: the loss is nan"},
            parameters={"kd": {"temperature": 4.0}},
        ),
        with_figures=True,
    )
