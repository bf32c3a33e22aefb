"""OOD sets and corruptions: those of options, defaults and absent ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.datasets.dataset_files import write_images, write_mnist_like

from distillation_bench.bench.planning.configuration.config import Config
from distillation_bench.bench.planning.evaluation_sources import sources_of
from distillation_bench.datasets import DATASETS, get

Mistake = Callable[..., str]


def config(*ood: str, **options: Any) -> Config:
    return Config((), (), (), {}, {}, {}, ood=ood, **options)


def test_a_toy_dataset_makes_its_own_ood_sets_whatever_the_options(tmp_path: Path) -> None:
    for options in (config(), config("svhn")):
        sources = sources_of(get("digits-0-7"), options, tmp_path)
        assert [(ood_set.name, ood_set.group, ood_set.source) for ood_set in sources.ood] == [
            ("digits-8-9", "near", ""),
            ("patches", "far", ""),
        ]
        assert sources.present == list(sources.ood)


def test_an_absent_default_is_listed_with_its_reason(tmp_path: Path) -> None:
    mnist = get("mnist")
    write_mnist_like(tmp_path, DATASETS["fashion-mnist"].files, 10)  # type: ignore[attr-defined]
    sources = sources_of(mnist, config(), tmp_path)
    assert [ood_set.name for ood_set in sources.ood] == list(mnist.ood_groups)
    assert [ood_set.group for ood_set in sources.ood] == list(mnist.ood_groups.values())
    absent = {ood_set.name: ood_set.absent for ood_set in sources.ood if ood_set.absent}
    assert set(absent) == {"emnist-letters", "kmnist"}
    assert all(str(tmp_path) in reason for reason in absent.values())
    synthetic = ["uniform-noise", "gaussian-noise", "pixel-permutation"]
    assert [ood_set.name for ood_set in sources.present] == ["fashion-mnist", *synthetic]


def test_the_group_comes_from_the_option_then_the_dataset_then_far(tmp_path: Path) -> None:
    for name in ("other", "third"):
        write_images(tmp_path / name, 3)
    folders = f"near:folder:{tmp_path / 'other'}", f"folder:{tmp_path / 'third'}"
    options = config("near:uniform-noise", "gaussian-noise", *folders)
    groups = [(e.name, e.group) for e in sources_of(get("mnist"), options, tmp_path).ood]
    assert groups == [
        ("uniform-noise", "near"),
        ("gaussian-noise", "far"),
        ("folder:other", "near"),
        ("folder:third", "far"),
    ]


def test_two_sets_of_one_name_are_refused(tmp_path: Path, mistake: Mistake) -> None:
    for name in ("a/images", "b/images"):
        write_images(tmp_path / name, 3)
    options = config(*(f"folder:{tmp_path / name}" for name in ("a/images", "b/images")))
    message = mistake(sources_of, get("mnist"), options, tmp_path)
    assert message == "--ood: two sets are called 'folder:images'"


def test_a_dataset_is_not_an_ood_set_of_itself(tmp_path: Path) -> None:
    for text in ("mnist", "near:mnist"):
        assert sources_of(get("mnist"), config(text), tmp_path).ood == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("kmnist", "--ood kmnist: no KMNIST/raw/train-images-idx3-ubyte in "),
        ("kmnits", "--ood kmnits: "),
        ("near:kmnits", "did you mean 'kmnist'?"),
        ("spiral", "--ood spiral: "),
        ("folder:none", "--ood folder:none: "),
    ],
)
def test_a_missing_ood_set_of_an_option_is_refused(
    text: str, reason: str, tmp_path: Path, mistake: Mistake
) -> None:
    assert reason in mistake(sources_of, get("mnist"), config(text), tmp_path)


def test_a_folder_without_corruptions_is_refused(tmp_path: Path, mistake: Mistake) -> None:
    folder = str(tmp_path / "none")
    message = mistake(sources_of, get("cifar10"), config(corruptions=folder), tmp_path)
    assert message.startswith(f"--corruptions {folder}: ")
