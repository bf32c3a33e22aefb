"""A run warns before training if the processor emulates bfloat16, and says how slow it is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from tests.in_process import InProcess

from distillation_bench.bench.execution import runner, worker
from distillation_bench.bench.execution.executors.base import (
    DEFAULT_OPTIONS,
    JobOptions,
    WorkerDied,
)
from distillation_bench.bench.execution.jobs import CheckPrecision, Work
from distillation_bench.bench.execution.progress.announcements import warn_of_slow_precision
from distillation_bench.bench.execution.workplace import Workplace
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.configuration.preset_files import load_preset, preset_names
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.training import forecast
from distillation_bench.bench.training.cell_result import CellResult
from distillation_bench.bench.training.hardware import bfloat16_speed
from distillation_bench.bench.training.hardware.compute import Compute

Plan = Callable[..., list[Cell]]
HASWELL = frozenset(["fma", "avx", "avx2", "f16c", "bmi1", "bmi2"])
CASCADE_LAKE = HASWELL | {"avx512f", "avx512bw", "avx512_vnni"}
SAPPHIRE_RAPIDS = CASCADE_LAKE | {"avx512_bf16", "amx_bf16", "amx_tile"}
CORTEX_A76, NEOVERSE_V1 = frozenset({"asimd", "asimddp"}), frozenset({"asimd", "bf16", "i8mm"})


@pytest.mark.parametrize("flags", [HASWELL, CASCADE_LAKE, CORTEX_A76, frozenset()])
def test_processors_that_emulate_bfloat16(flags: frozenset[str]) -> None:
    assert not bfloat16_speed.is_native(flags, {})


@pytest.mark.parametrize("flags", [SAPPHIRE_RAPIDS, CASCADE_LAKE | {"avx512_bf16"}, NEOVERSE_V1])
def test_processors_with_bfloat16(flags: frozenset[str]) -> None:
    assert bfloat16_speed.is_native(flags, {"HOME": "/"})
    assert not bfloat16_speed.is_native(flags, {"ONEDNN_MAX_CPU_ISA": "AVX2"})


def test_the_slowdown_is_measured_only_where_bfloat16_may_be_emulated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bfloat16_speed, "measured_slowdown", lambda: 6.5)
    monkeypatch.setattr(bfloat16_speed, "_processor_flags", lambda: HASWELL)
    warning = worker.do_work(Workplace(""), CheckPrecision())
    assert isinstance(warning, str)
    assert "emulates it; a step takes 6.5 times as long as in float32" in warning
    monkeypatch.setattr(bfloat16_speed, "_processor_flags", lambda: SAPPHIRE_RAPIDS)
    for name in bfloat16_speed.LIMITS:
        monkeypatch.delenv(name, raising=False)
    assert worker.do_work(Workplace(""), CheckPrecision()) == ""


def test_a_slowdown_within_measurement_noise_gives_no_warning() -> None:
    assert bfloat16_speed.warning(1.04) == bfloat16_speed.warning(0.7) == ""
    assert "takes 1.2 times as long" in bfloat16_speed.warning(1.2)


def test_the_measured_slowdown_is_a_plausible_ratio() -> None:
    assert 0.05 < bfloat16_speed.measured_slowdown() < 100


class RecordingExecutor(InProcess):
    """Answers each job and records the order of jobs."""

    def __init__(self, warning: str | Exception) -> None:
        self.warning = warning
        self.calls: list[Work] = []

    def submit(
        self, function: Callable[..., Any], *arguments: Any, options: JobOptions = DEFAULT_OPTIONS
    ) -> Future[Any]:
        future: Future[Any] = Future()
        self.calls.append(arguments[1])
        if arguments[1] != CheckPrecision():
            future.set_result(CellResult({}, [], {"seconds": 1.0}, {}, [], {}))
        elif isinstance(self.warning, Exception):
            future.set_exception(self.warning)
        else:
            future.set_result(self.warning)
        return future


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_a_run_warns_before_anything_trains(
    cells: Plan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    precision: str,
) -> None:
    executor = RecordingExecutor("it is slow")
    monkeypatch.setattr(runner, "data_jobs", lambda *_: [])
    monkeypatch.setattr(runner, "_start_executor", lambda *_: executor)
    planned = cells("kd", recipe={"precision": precision})
    runner.run_cells(Run(tmp_path / "run"), planned, runner.RunOptions(1, tmp_path / "cache"))
    is_bfloat16 = precision == "bfloat16"
    assert (executor.calls[0] == CheckPrecision()) == is_bfloat16
    assert ("it is slow" in capsys.readouterr().err) == is_bfloat16
    executor = RecordingExecutor(WorkerDied("killed"))
    warn_of_slow_precision(planned, executor, Workplace(""))


def test_an_estimate_uses_the_precision_of_the_recipe(
    cells: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    precisions: set[str] = set()

    class Noting(Compute):
        def outputs(self, function: Callable[[], Any]) -> Any:
            precisions.add(self.precision)
            return super().outputs(function)

    monkeypatch.setattr(forecast, "Compute", Noting)
    monkeypatch.setattr(bfloat16_speed, "slowdown", lambda: 6.5)
    text = forecast.forecast_text(cells("kd", recipe={"precision": "bfloat16"}), ["cpu"], 1)
    assert precisions == {"bfloat16"}
    assert "6.5 times" in text
    text = forecast.forecast_text(cells("kd"), ["cpu"], 1)
    assert precisions == {"bfloat16", "float32"}
    assert "times" not in text


def test_no_preset_uses_bfloat16() -> None:
    for name in preset_names():
        config = load_preset(name)
        recipes = [config.recipe, *config.recipes.values()]
        assert all("precision" not in recipe for recipe in recipes), name
