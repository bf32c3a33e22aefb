"""Augmentations of images against their definitions, one image at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from distillation_bench.bench.common.random_streams import torch_stream
from distillation_bench.bench.planning.recipe import VIEWS, Recipe
from distillation_bench.bench.training.augmentation import (
    MIXUP_ALPHA,
    PADDING,
    Augmentation,
    _beta,
    crop,
    flip,
    mixup,
)
from distillation_bench.bench.training.data import EvaluationSet, PreparedData, Scaling
from distillation_bench.bench.training.student import StudentInputs, build, train_student
from distillation_bench.bench.training.teacher import Teacher, train_members
from distillation_bench.bench.training.training_inputs import TrainingInputs
from distillation_bench.methods import Batch, Setting
from distillation_bench.methods.kd import KD
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.tasks import TASKS

CPU = torch.device("cpu")


def stream(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def pictures(count: int = 60, channels: int = 3, height: int = 8, width: int = 11) -> Tensor:
    """Return images of distinct pixels, so that the position of a window is unique."""
    size = channels * height * width
    pixels = [torch.randperm(size, generator=stream(i)) % 251 for i in range(count)]
    return torch.stack(pixels).to(torch.uint8).view(count, channels, height, width)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_crop_is_a_window_of_the_padded_image(channels: int) -> None:
    images = pictures(channels=channels)
    cropped = crop(images, stream())
    assert cropped.shape == images.shape and cropped.dtype == torch.uint8
    offsets = set()
    for image, window in zip(images, cropped, strict=True):
        padded = np.pad(image.numpy(), ((0, 0), (PADDING,) * 2, (PADDING,) * 2))
        matches = [
            (top, start)
            for top in range(2 * PADDING + 1)
            for start in range(2 * PADDING + 1)
            if np.array_equal(padded[:, top : top + 8, start : start + 11], window.numpy())
        ]
        assert len(matches) == 1
        offsets.update(matches)
    rows, columns = zip(*offsets, strict=True)
    for axis_offsets in (rows, columns):
        assert set(axis_offsets) == set(range(2 * PADDING + 1)), "every offset, up to both ends"


def test_a_flip_mirrors_some_and_is_its_own_inverse() -> None:
    images = pictures()
    once = flip(images, stream())
    assert torch.equal(flip(once, stream()), images)
    mirrored = torch.tensor([torch.equal(a, b.flip(-1)) for a, b in zip(once, images, strict=True)])
    unchanged = torch.tensor([torch.equal(a, b) for a, b in zip(once, images, strict=True)])
    assert (mirrored ^ unchanged).all()
    assert 15 <= int(mirrored.sum()) <= 45


def test_mixup_is_the_convex_combination_of_pairs() -> None:
    x = torch.rand(60, 3, 8, 11, generator=stream())
    y = torch.arange(60) % 7
    mixed, targets = mixup(x, y, 7, stream(3))
    again = stream(3)
    share = _beta(again, CPU).item()
    partner = torch.randperm(60, generator=again)
    assert 0 < share < 1
    assert targets.shape == (60, 7)
    for i, j in enumerate(partner.tolist()):
        torch.testing.assert_close(mixed[i], share * x[i] + (1 - share) * x[j])
        expected = torch.zeros(7)
        expected[y[i]] += share
        expected[y[j]] += 1 - share
        torch.testing.assert_close(targets[i], expected)


def test_mixup_weights_are_beta_distributed() -> None:
    """Mean ½, variance 1/(4(2α + 1)), fourth moment in closed form; within five errors."""
    generator, count = stream(), 20_000
    draws = np.array([_beta(generator, CPU).item() for _ in range(count)])
    assert ((draws >= 0) & (draws <= 1)).all()
    variance = 1 / (4 * (2 * MIXUP_ALPHA + 1))
    # Of a symmetric Beta: kurtosis 3 − 6/(2α + 3).
    spread = variance * math.sqrt(2 - 6 / (2 * MIXUP_ALPHA + 3))
    assert abs(draws.mean() - 0.5) < 5 * math.sqrt(variance / count)
    assert abs(((draws - 0.5) ** 2).mean() - variance) < 5 * spread / math.sqrt(count)


def images_of(channels: int = 3) -> PreparedData:
    scaling = Scaling(torch.full((channels,), 0.4), torch.full((channels,), 0.3))
    x, y = pictures(20, channels, 8, 8), torch.arange(20) % 3
    held_out = EvaluationSet("validation", pictures(6, channels, 8, 8), torch.arange(6) % 3)
    return PreparedData((x, y), held_out, (), scaling, 3)


@pytest.mark.parametrize("names", [(), ("crop",), ("flip",), ("mixup",), VIEWS])
def test_the_same_stream_gives_the_same_views(names: tuple[str, ...]) -> None:
    data = images_of()
    x, y = data.train

    def views_of(seed: int) -> list[Tensor]:
        views = Augmentation(names, data, stream(seed))
        return [tensor for rows in (x[:12], x[12:]) for tensor in views(rows, y[: len(rows)])]

    for first, second in zip(views_of(1), views_of(1), strict=True):
        assert torch.equal(first, second)
    changed = any(not torch.equal(a, b) for a, b in zip(views_of(1), views_of(2), strict=True))
    assert changed == bool(names)
    inputs, targets = views_of(1)[:2]
    assert inputs.dtype == torch.float32 and inputs.shape == (12, 3, 8, 8)
    assert targets.shape == ((12, 3) if "mixup" in names else (12,))


def test_without_augmentation_images_are_only_normalised() -> None:
    data = images_of()
    inputs, targets = Augmentation((), data, stream())(*data.train)
    torch.testing.assert_close(inputs, (data.train[0] / 255 - 0.4) / 0.3)
    assert torch.equal(targets, data.train[1])


def spied(batches: list[Batch]) -> type[KD]:
    """Return a method that records the arguments of its loss."""

    class Spy(KD):
        def loss(self, outputs: Tensor, batch: Batch, now: Any) -> Any:
            batches.append(batch)
            return super().loss(outputs, batch, now)

    return Spy


LENET = {"family": "lenet", "member": [4], "dense": [6], "core": [4], "head": [5]}


@pytest.mark.parametrize("augment", ["crop+flip", "mixup", "crop+flip+mixup"])
@pytest.mark.parametrize("batch_size", [8, 32])
def test_the_teacher_sees_the_very_same_view(augment: str, batch_size: int) -> None:
    data = images_of()
    networks = network_builder(LENET, (3, 8, 8), 3)
    members = networks.members([stream(m) for m in range(3)]).eval()
    batches: list[Batch] = []
    method = spied(batches)
    setting = Setting(TASKS["classification"], 3, 20, networks, data.input_range, lambda: members)
    chosen = method(method.Parameters(), setting)
    values = Recipe(members=3, epochs=2, batch_size=batch_size, augment=augment)
    stored = Teacher({"train": torch.full((3, 20, 3), torch.nan)}, {})
    inputs = StudentInputs(
        method=chosen, data=data, teacher=stored, recipe=values, seed=0, dataset="some"
    )
    train_student(build(inputs), inputs)
    assert len(batches) == 2 * math.ceil(20 / batch_size)
    for batch in batches:
        with torch.no_grad():
            assert torch.equal(batch.teacher, members(batch.x))
        assert batch.y.shape == ((len(batch.x), 3) if "mixup" in augment else (len(batch.x),))
    assert not torch.equal(batches[0].x, batches[-1].x)


@pytest.mark.parametrize("augment", ["crop+flip", "mixup"])
@pytest.mark.parametrize("batch_size", [8, 32])
def test_the_views_of_a_member_do_not_depend_on_other_members(
    augment: str, batch_size: int
) -> None:
    data, networks = images_of(), network_builder(LENET, (3, 8, 8), 3)
    values = Recipe(members=3, epochs=2, batch_size=batch_size, augment=augment)

    def trained(members: list[int]) -> list[dict[str, Tensor]]:
        task = TASKS["classification"]
        inputs = TrainingInputs(data=data, recipe=values, seed=0, dataset="some")
        network, _ = train_members(members, task, networks, inputs)
        state = network.state_dict()
        return [{k: v[index] for k, v in state.items()} for index in range(len(members))]

    together, apart = trained([0, 1]), [*trained([0]), *trained([1])]
    for state, state_apart in zip(together, apart, strict=True):
        for name in state:
            assert torch.equal(state[name], state_apart[name])


def test_each_epoch_has_its_own_views() -> None:
    assert torch_stream(0, "views", 1).initial_seed() != torch_stream(0, "views", 2).initial_seed()


def test_losses_of_one_hot_targets_equal_those_of_classes() -> None:
    outputs = torch.randn(4, 9, 5, generator=stream(), dtype=torch.float64)
    task = TASKS["classification"]
    for shape in ((9,), (4, 9)):
        y = torch.randint(5, shape, generator=stream(1))
        soft = nn.functional.one_hot(y, 5).double()
        torch.testing.assert_close(task.losses(outputs, soft), task.losses(outputs, y))
        torch.testing.assert_close(task.correctness(outputs, soft), task.correctness(outputs, y))


def test_losses_of_mixed_targets_are_mixed_losses() -> None:
    outputs = torch.randn(4, 9, 5, generator=stream(), dtype=torch.float64)
    task, (first, second) = TASKS["classification"], torch.randint(5, (2, 9), generator=stream(1))
    mixed = 0.3 * nn.functional.one_hot(first, 5) + 0.7 * nn.functional.one_hot(second, 5)
    expected = 0.3 * task.losses(outputs, first) + 0.7 * task.losses(outputs, second)
    torch.testing.assert_close(task.losses(outputs, mixed.double()), expected)
