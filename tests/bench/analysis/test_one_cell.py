"""The description of one cell by `why`, and the ways to name a cell."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from distillation_bench.bench.analysis.one_cell import describe_cell, sparkline
from distillation_bench.bench.cli.rerun_command import rerun_command
from distillation_bench.bench.storage.run_folder import Run

MakeRun = Callable[..., Run]
Mistake = Callable[..., str]
WIDE = "hydra+[heads=20]"
HOSTILE = "a_b \x1b[2J & 100%"
FIGURES = {
    **{
        ("spiral", label, seed): {"nll": 0.25 + seed, "ece": 0.5}
        for label in ("kd", "hydra+")
        for seed in (0, 1)
    },
    ("spiral", WIDE, 0): {"nll": 0.125},
    ("sine", "ensemble", 0): {"nll": 1.5},
    ("sine", "kd", 0): {"nll": 1.25},
}
FAILED = {("sine", "hydra+", 0): "ValueError: it \x1b[31mbroke", ("sine", HOSTILE, 0): "no"}
HISTORY = [
    {"stage": "train", "epoch": i, "loss": 10.0**-i, "diversity": 7 - i, "none": ""}
    for i in range(8)
]


def why(arguments: Sequence[str], cache: Path, width: int | None = None) -> str:
    """Return the text that the command prints."""
    return describe_cell(arguments, cache, rerun_command, width)


@pytest.fixture
def run(tmp_path: Path, make_run: MakeRun) -> Run:
    return make_run(
        tmp_path / "r",
        FIGURES,
        failed=FAILED,
        missing=[("spiral", "kd", 2)],
        methods={WIDE: "hydra+", HOSTILE: "kd"},
        parameters={"hydra+": {"heads": 5, "lam": 3.0}, WIDE: {"heads": 20, "lam": 3.0}, "kd": {}},
        histories={("spiral", "hydra+", 0): HISTORY},
        command="python run_bench.py run --preset toy -mkd -d spiral --seeds=0-2 -s 3 --force "
        "--results elsewhere --set epochs=4",
    )


def test_the_description_has_every_part_of_a_cell(run: Run, tmp_path: Path) -> None:
    text = why([str(run.folder), "spiral", "hydra+", "0"], tmp_path, 100)
    lines = [line.strip() for line in text.splitlines()]
    assert lines[0] == "spiral hydra+ seed 0: done"
    assert "nll ↓  0.25" in lines and "ece ↓  0.5" in lines
    assert "heads  5; 20 in hydra+[heads=20]" in lines and "lam    3.0" in lines
    assert "training, stage train: 8 epochs" in lines
    loss = next(line.split() for line in lines if line.startswith("loss"))
    assert loss == ["loss", "1", "1e-07", "1e-07", "█▇▆▅▄▃▂▁", "log"]
    assert next(x.split() for x in lines if x.startswith("diversity"))[1:] == [
        "7",
        "0",
        "0",
        "█▇▆▅▄▃▂▁",
    ]
    assert not any(line.startswith("none") for line in lines)
    assert "members  5" in lines and "torch     2.13" in lines
    assert f"not in {tmp_path}" in lines and "shared by 3 cells of this run" in lines
    assert lines[-1] == (
        f"python run_bench.py run --preset toy --set epochs=4 --results {run.folder} "
        "-m hydra+ -d spiral -s 0 --force"
    )


def test_a_cell_can_be_named_in_several_ways(run: Run, tmp_path: Path) -> None:
    folder = str(run.folder)
    cell_id = next(path.stem for path in run.cells.glob("spiral-hydra.s0*.json"))
    expected = why([folder, "spiral hydra+ 0"], tmp_path)
    ways = [
        *([folder, cell_id], [folder, cell_id[:-4]], [folder, f"{cell_id}.json"]),
        *([folder, "spiral", "hydra+", "seed", "0"], [folder, "spiral hydra+ seed 0"]),
        *([f"{folder}/cells/{cell_id}.json"], [f"{folder}/cells/{cell_id}"]),
    ]
    for way in ways:
        assert why(way, tmp_path) == expected, way
    assert why([folder, "spiral", WIDE], tmp_path).startswith(f"spiral {WIDE} seed 0")


def test_a_name_that_fits_no_cell_is_reported(run: Run, tmp_path: Path, mistake: Mistake) -> None:
    folder = str(run.folder)
    messages = {
        ("spirl kd 0",): "spirl kd 0: no such cell; did you mean 'spiral kd 0'?",
        ("spiral", "kd"): "spiral kd: 3 cells begin so: spiral-kd.s0",
        ("zzzzzz",): "zzzzzz: no such cell; r has 10 cells",
        ("../../run",): "no such cell",
        (" ",): "no such cell",
    }
    for names, message in messages.items():
        assert message.replace("r has", f"{folder} has") in mistake(why, [folder, *names], tmp_path)
    assert "which cell?" in mistake(why, [folder], tmp_path)
    assert "no such folder" in mistake(why, [f"{folder}/none", "a"], tmp_path)
    assert "not a run" in mistake(why, [str(tmp_path), "a"], tmp_path)


def test_failed_missing_and_damaged_cells_are_described(run: Run, tmp_path: Path) -> None:
    folder = str(run.folder)
    failed = why([folder, "sine hydra+ 0"], tmp_path)
    assert "failed: ValueError: it �[31mbroke" in failed and "Traceback (most recent" in failed
    assert "\x1b" not in why([folder, "sine a_b"], tmp_path)
    missing = why([folder, "spiral kd 2"], tmp_path)
    assert missing.startswith("spiral kd seed 2: missing") and "\nrun it\n" in missing
    assert "--force" not in missing and "rm -f" not in missing
    path = next(run.cells.glob("sine-kd.s0*.json"))
    path.write_bytes(path.read_bytes()[:-1])
    assert "its record is damaged" in why([folder, "sine kd 0"], tmp_path)
    manifest = run.manifest()
    gone = next(name for name in manifest["cells"] if name.startswith("spiral-kd.s1"))
    del manifest["cells"][gone]
    run.write_manifest(manifest)
    assert "no longer asked for" in why([folder, gone], tmp_path)


@pytest.mark.parametrize("program", ["distillation-bench", "python -m distillation_bench"])
def test_the_rerun_command_names_the_program_of_the_run(
    run: Run, tmp_path: Path, program: str
) -> None:
    run.write_manifest({**run.manifest(), "command": f"{program} run -m kd --set epochs=4"})
    command = why([str(run.folder), "spiral hydra+ 0"], tmp_path).splitlines()[-1].strip()
    assert command.startswith(f"{program} run --set epochs=4 --results ")
    assert command.endswith("-m hydra+ -d spiral -s 0 --force")


def test_the_command_of_another_program_is_shown_as_it_is(run: Run, tmp_path: Path) -> None:
    run.write_manifest({**run.manifest(), "command": "python -m this run"})
    text = why([str(run.folder), "spiral hydra+ 0"], tmp_path)
    assert "not one of this program: python -m this run" in text


def test_a_command_that_cannot_be_split_is_shown_as_it_is(run: Run, tmp_path: Path) -> None:
    run.write_manifest({**run.manifest(), "command": "python 'run_bench.py"})
    text = why([str(run.folder), "spiral hydra+ 0"], tmp_path)
    assert "the run's command can't be read" in text and "python 'run_bench.py" in text


def test_a_damaged_history_is_named(run: Run, tmp_path: Path) -> None:
    path = next(run.cells.glob("spiral-hydra.s0*/history.csv"))
    path.write_text("loss\nabc\n")
    text = why([str(run.folder), "spiral hydra+ 0"], tmp_path)
    assert f"training: left out, {path}: damaged" in text and "nll ↓  0.25" in text


def test_the_location_of_the_teacher_is_shown(run: Run, tmp_path: Path) -> None:
    from distillation_bench.bench.storage.cache import Cache

    key = run.record(next(path.stem for path in run.cells.glob("sine-kd.s0*.json")))["teacher"]  # type: ignore[index]
    Cache(tmp_path).save(key, {}, {"dataset": "sine", "seed": 0, "members": 5})
    text = why([str(run.folder), "sine kd 0"], tmp_path)
    assert f"5 members of sine, seed 0, in {tmp_path}" in text
    assert any(
        line.endswith("measures it") and "sine-ensemble" in line for line in text.splitlines()
    )


def test_a_label_of_a_preset_is_not_offered_as_a_selector(
    tmp_path: Path, make_run: MakeRun
) -> None:
    labels = {"paper's λ 5": "hydra+", "kd[temperature=2]": "kd", "kd[temperature=3]": "kd"}
    run = make_run(
        tmp_path / "it's",
        {("d", label, 0): {"nll": 1.0} for label in labels},
        methods=labels,
        parameters={
            "paper's λ 5": {"lam": 9.0},
            "kd[temperature=2]": {"temperature": 2.0},
            # Named like one, and another.
            "kd[temperature=3]": {"temperature": 4.0},
        },
    )

    def command(label: str) -> str:
        return why([str(run.folder), "d", label, "0"], tmp_path).splitlines()[-1].strip()

    assert shlex.split(command("kd[temperature=2]"))[-7:] == [
        *("-m", "kd[temperature=2]", "-d", "d", "-s", "0", "--force")
    ]
    for label in ("paper's λ 5", "kd[temperature=3]"):
        arguments = shlex.split(command(label))
        assert (
            arguments[:2] == ["rm", "-f"] and Path(arguments[2]).exists() and arguments[3] == "&&"
        )
        assert "--force" not in arguments and arguments[-4:] == ["-d", "d", "-s", "0"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_description_fits_the_terminal(run: Run, tmp_path: Path, width: int) -> None:
    text = why([str(run.folder), "spiral hydra+ 0"], tmp_path, width)
    curves = text[text.index("training") : text.index("recipe")]
    assert max(map(len, curves.splitlines())) <= max(width, 70)


def test_sparklines_show_the_course_of_values() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == ("▁▂▃▄▅▆▇█", "")
    assert sparkline([0, 0, 7, 7], 2) == ("▁█", "")
    assert sparkline([1, 10, 100, 1000], 4) == ("▁▃▆█", "log")
    assert sparkline([2, 2, 2], 5) == ("▁▁▁", "")
    assert sparkline([0, math.nan, math.inf, 7], 4) == ("▁××█", "")
    assert sparkline([math.nan], 4) == ("×", "")
    bars, _ = sparkline([float(i) for i in range(1000)], 60)
    assert len(bars) == 60 and list(bars) == sorted(bars)
