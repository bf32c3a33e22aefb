"""Figures that a plugin adds: drawn by commands and from Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from tests.bench.generated_runs import generate
from tests.end_to_end.bench_command import Bench

import distillation_bench as db
from distillation_bench.bench.figures import registry, rendering

PLUGIN = '''
import distillation_bench as db


@db.figure("mine")
def mine(results, ax):
    """NLL of each label."""
    means = results.summary("nll")["mean"].groupby("label", observed=True).mean()
    ax.bar(list(means.index), means)
    assert len(results.compare("nll", baseline="kd").pairs) == 1
'''


@pytest.fixture(autouse=True)
def kinds() -> Iterator[None]:
    """Forget figures that are registered by a test."""
    before = dict(registry.figure_kinds())
    yield
    registry._KINDS.clear()
    registry._KINDS.update(before)


@pytest.fixture
def drawing_processes(in_process: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw figures in two processes, which have no plugin."""
    monkeypatch.setattr(rendering, "cores", lambda: 2)


@pytest.fixture
def run_with_plugin(tmp_path: Path) -> Path:
    (tmp_path / "plugin.py").write_text(PLUGIN)
    values = {
        ("digits", label, seed): {"nll": 1.0 + seed} for label in ("kd", "NA") for seed in (0, 1)
    }
    return generate(tmp_path / "run", values).folder


@pytest.mark.usefixtures("drawing_processes")
def test_commands_draw_a_plugins_figure(in_process: Bench, run_with_plugin: Path) -> None:
    plugin = ("--plugin", "plugin.py")
    assert "mine " in in_process("plot", "--list", *plugin).stdout
    done = in_process("plot", "run", "-f", "mine", "--format", "png", *plugin)
    assert (done.returncode, done.stderr) == (0, "run/figures/mine.png: NLL of each label\n")
    assert (run_with_plugin / "figures/mine.png").read_bytes().startswith(b"\x89PNG")
    done = in_process("report", "run", *plugin)
    assert done.returncode == 0, done.stderr
    assert "NLL of each label" in (run_with_plugin / "report.html").read_text()


@pytest.mark.usefixtures("drawing_processes")
def test_a_plugins_figure_that_fails_is_one_line(in_process: Bench, run_with_plugin: Path) -> None:
    file = run_with_plugin.parent / "plugin.py"
    file.write_text(PLUGIN.replace("results.compare(", "results.compar("))
    done = in_process("plot", "run", "-f", "mine", "--plugin", "plugin.py")
    fault = f"figure mine ({file}:10): AttributeError: 'Results' object has no attribute 'compar'"
    assert done.returncode == 2
    assert done.stderr == f"error: {fault}\n"
    done = in_process("report", "run", "--plugin", "plugin.py")
    assert (done.returncode, done.stderr) == (0, f"{fault}; left out\n")
    page = (run_with_plugin / "report.html").read_text()
    assert "Metrics on digits" in page and "NLL of each label" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-f", "mien", "--plugin", "plugin.py"), "did you mean 'mine'?"),
        (("-f", "mine", "--plugin", "plugim.py"), "did you mean 'plugin.py'?"),
    ],
)
def test_a_mistake_is_one_line(
    in_process: Bench, run_with_plugin: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = in_process("plot", "run", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and message in done.stderr


def test_messages_of_the_program_stay_its_own(in_process: Bench, run_with_plugin: Path) -> None:
    """Also if a plugin has used the public API."""
    done = in_process("plan", "-m", "kdd", "--plugin", "plugin.py")
    assert done.stderr.startswith("error: -m: unknown method 'kdd'")


def test_results_draw_a_figure_of_the_program_itself(run_with_plugin: Path) -> None:
    results = db.load(run_with_plugin)

    @db.figure("mine")
    def mine(results: db.Results, ax: object) -> None:
        """Seeds."""
        ax.plot(results.seeds("digits", "NA"))  # type: ignore[attr-defined]

    figure = Figure()
    assert results.plot("mine", ax=figure.subplots()) is figure
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]  # type: ignore
    assert isinstance(results.plot("mine", methods="kd"), Figure)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda r: r.plot("metrix"), "figure metrix: unknown; did you mean 'metrics'?"),
        (lambda r: r.plot("metrics", metric="nlll"), "nlll: unknown metric; did you mean 'nll'?"),
        (lambda r: r.plot("metrics", methods=5), "methods=5: not a text or a list of texts"),
        (lambda r: r.plot("metrics", seed=9), "seed=9: not in these runs; there is 0, 1"),
        (
            lambda r: r.plot("metrics", methods="kdd"),
            "methods=kdd: not in these runs; did you mean 'kd'?",
        ),
    ],
)
def test_mistakes_in_python_are_one_line(
    run_with_plugin: Path, draw: Callable[[db.Results], Figure], message: str
) -> None:
    with pytest.raises(db.UsageError) as caught:
        draw(db.load(run_with_plugin))
    assert message in str(caught.value) and "\n" not in str(caught.value)
