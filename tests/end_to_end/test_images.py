"""Datasets of image files, from a missing file to the leaderboard."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from tests.datasets.dataset_files import write_classes, write_mnist_like
from tests.end_to_end.bench_command import Bench, folders

from distillation_bench.datasets import DATASETS

SMALL = ("-s", "0", "--set", "epochs=1", "--set", "members=2", "--set", "network.width=0.25")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Write mnist and one of its OOD sets: 40 images to train on and 20 to test."""
    for name in ("mnist", "fashion-mnist"):
        write_mnist_like(tmp_path / "data", DATASETS[name].files, 10)  # type: ignore[attr-defined]
    return tmp_path / "data"


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def test_without_data_nothing_starts(in_process: Bench, tmp_path: Path) -> None:
    selected = ("-m", "kd", "-d", "mnist", *SMALL, "--data-root", "empty")
    done = in_process("run", *selected, *folders("run"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    for part in ("mnist: no MNIST/raw/train-images-idx3-ubyte in ", "empty", "--download"):
        assert part in done.stderr
    assert not list(tmp_path.iterdir())
    plan = in_process("plan", *selected, *folders("run"))
    assert plan.returncode == 0 and "mnist: no MNIST/raw/train-images" in plan.stdout


def test_an_absent_ood_set_is_reported_everywhere(
    in_process: Bench, files: Path, tmp_path: Path
) -> None:
    selected = ("-m", "kd", "-m", "ensemble", "-d", "mnist", *SMALL, "--data-root", str(files))
    plan = in_process("plan", *selected, *folders("run")).stdout
    for name in ("emnist-letters", "kmnist"):
        assert f"mnist: OOD set {name} is absent: no " in plan
    done = in_process("run", *selected, *folders("run"))
    assert done.returncode == 0, done.stderr
    assert "absent OOD sets: emnist-letters, kmnist" in done.stdout
    present = {"fashion-mnist", "uniform-noise", "gaussian-noise", "pixel-permutation"}
    # A set on which the teacher is below chance says so behind its group.
    assert all(re.search(rf"{name}\s\(far[;)]", done.stdout) for name in present)
    figures = [row for row in rows(tmp_path / "run/metrics.csv") if row["method"] == "kd"]
    absent = {row["set"] for row in figures if row["metric"] == "absent"}
    assert absent == {"ood:emnist-letters", "ood:kmnist"}
    sets = {row["set"]: float(row["value"]) for row in figures if row["metric"] == "sets"}
    assert sets == {"ood": 4, "ood-far": 4}
    values = {
        row["set"]: float(row["value"])
        for row in figures
        if (row["metric"], row["score"]) == ("ood_auroc", "total")
    }
    mean = sum(values[f"ood:{name}"] for name in present) / 4
    assert values["ood"] == values["ood-far"] == pytest.approx(mean, rel=1e-12)
    (headline,) = [r for r in rows(tmp_path / "run/results.csv") if r["method"] == "kd"]
    assert float(headline["ood_auroc"]) == values["ood"]


def test_a_broken_image_is_reported_before_training(in_process: Bench, tmp_path: Path) -> None:
    write_classes(tmp_path / "images")
    broken = tmp_path / "images/test/dog/00.png"
    # Its first bytes are right, so that it is found when it is decoded.
    broken.write_bytes(broken.read_bytes()[:60])
    arguments = ("-m", "kd", "-d", "folder:images[size=8]", *SMALL)
    done = in_process("run", *arguments, *folders("run"))
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "images/test/dog/00.png" in line
    assert "Traceback" not in done.stderr
    (tmp_path / "images/test/cat/01.png").write_text("no image")
    plan = in_process("plan", *arguments, *folders("run"))
    assert plan.returncode == 2 and plan.stderr.count("\n") == 1
    assert plan.stderr.endswith("images/test/cat/01.png: not an image\n")
    kinds = {path.name.partition("-")[0] for path in tmp_path.glob("run-cache/*")}
    assert kinds <= {"decoded"} and not list(tmp_path.glob("run/cells/*"))


@pytest.mark.parametrize("augment", ["", "crop+flip+mixup"])
def test_a_folder_of_images_can_be_run(in_process: Bench, tmp_path: Path, augment: str) -> None:
    write_classes(tmp_path / "images")
    (tmp_path / "images/train/dog/Thumbs.db").touch()
    skipped = (
        "folder:images[size=8]: 1 file is skipped, since its name is not that of an image: .db (1)"
    )
    name, network = "folder:images[size=8]", ("--set", "network.family=lenet")
    views = ("--set", f"augment={augment}") if augment else ()
    arguments = ("-m", "hydra+[heads=2]", "-d", name, *SMALL, *network, *views)
    plan = in_process("plan", *arguments, *folders("run"))
    assert ("2 members are run on every batch" in plan.stdout) == bool(augment)
    assert skipped in plan.stdout
    done = in_process("run", *arguments, *folders("run"))
    assert done.returncode == 0, done.stderr
    assert skipped in done.stderr
    figures = rows(tmp_path / "run/metrics.csv")
    shifts = {(row["shift"], row["severity"]) for row in figures if row["shift"]}
    assert len(shifts) == 4 * 5
    assert {row["dataset"] for row in figures} == {name}
    assert str(tmp_path) not in (tmp_path / "run/run.json").read_text()


def test_a_missing_ood_set_of_an_option_is_refused(
    in_process: Bench, files: Path, tmp_path: Path
) -> None:
    selected = ("run", "-m", "kd", "-d", "mnist", *SMALL, "--data-root", str(files))
    for ood, message in (("kmnist", "--ood kmnist: no KMNIST"), ("kmnits", "did you mean")):
        done = in_process(*selected, "--ood", ood, *folders("run"))
        assert done.returncode == 2 and message in done.stderr
        assert len(done.stderr.splitlines()) == 1 and not (tmp_path / "run").exists()
