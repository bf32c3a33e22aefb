"""What `compare` prints of one run and of several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from distillation_bench.bench.storage.run_folder import Run

MakeRun = Callable[..., Run]
Program = Callable[..., tuple[int, str, str]]


def test_several_runs_are_joined_and_unlike_ones_refused(
    tmp_path: Path, make_run: MakeRun, program: Program
) -> None:
    runs = {"a": ("kd", "protocol"), "b": ("gauss", "protocol"), "c": ("single", "other")}
    for name, (label, protocol) in runs.items():
        figures = {("d", label, s): {"nll": float(s + len(label) * s)} for s in range(3)}
        make_run(tmp_path / name, figures, protocol=protocol)
    status, out, _ = program("compare", "a", "b")
    assert (
        status == 0 and out.startswith("NLL on d: cannot tell with n = 3") and "gauss − kd" in out
    )
    status, out, error = program("compare", "a", "c")
    assert (status, out, error.count("\n")) == (2, "", 1) and "--mixed takes both" in error
    status, out, _ = program("compare", "a", "c", "--mixed")
    assert status == 0 and "single (" in out and out.endswith("Runs: a, c.\n")
    status, out, _ = program("compare", "a", "c", "--mixed", "-m", "kd", "-m", "single")
    assert status == 0 and "single (" in out
