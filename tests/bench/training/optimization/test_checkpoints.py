"""Training that is interrupted after any epoch and resumed ends with the same bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.training.data import EvaluationSet, PreparedData
from distillation_bench.bench.training.optimization.checkpoints import Checkpoint, HistoryRow
from distillation_bench.bench.training.optimization.loop import (
    Epoch,
    Indices,
    Problem,
    train_network,
)
from distillation_bench.bench.training.student import StudentInputs, build, train_student
from distillation_bench.bench.training.teacher import Teacher, train_members
from distillation_bench.bench.training.training_inputs import TrainingInputs
from distillation_bench.methods import METHODS, Setting
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.tasks import TASKS

pytestmark = pytest.mark.usefixtures("one_thread")

EPOCHS = 5
Result = tuple[dict[str, Tensor], list[HistoryRow]]


class Killed(Exception):
    """Raised to stop training."""


class Doomed(Checkpoint):
    """Saves after each epoch; raises Killed after a number of saves."""

    def __init__(self, cache: Cache, saves: int) -> None:
        super().__init__(cache, "training", 0)
        self.saves_left = saves

    def save(self, state: Mapping[str, Tensor], history: Sequence[HistoryRow]) -> None:
        super().save(state, history)
        self.saves_left -= 1
        if not self.saves_left:
            raise Killed


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def normal_draws(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=Generator().manual_seed(seed))


def recipe(**options: Any) -> Recipe:
    values = {"epochs": EPOCHS, "batch_size": 16, "learning_rate": 0.05, "clip": 0.1}
    return Recipe.model_validate({**values, "weight_decay": 0.03, **options})


DATA = PreparedData(
    (normal_draws(41, 4, seed=0), torch.arange(41) % 3),
    EvaluationSet("validation", normal_draws(9, 4, seed=1), torch.arange(9) % 3),
    (),
    classes=3,
)
NETWORKS = network_builder({"family": "mlp", "member": [6], "core": [5], "head": [7]}, (4,), 3)


def student_of(
    name: str, parameters: dict[str, Any], checkpoint: Checkpoint | None, options: dict[str, Any]
) -> Result:
    setting = Setting(TASKS["classification"], 3, 41, NETWORKS, DATA.input_range, nn.Module)
    method = METHODS[name](METHODS[name].Parameters(**parameters), setting)
    taught = Teacher({"train": normal_draws(3, 41, 3, seed=2)}, {})
    inputs = StudentInputs(
        method=method, data=DATA, teacher=taught, recipe=recipe(**options), seed=0, dataset="some"
    )
    student, history = train_student(build(inputs, checkpoint), inputs, checkpoint)
    return student.state_dict(), history


def hydra(checkpoint: Checkpoint | None, **options: Any) -> Result:
    """Two stages with their noise and order; the second one trains one more head."""
    return student_of("hydra", {"first": 0.4}, checkpoint, options)


def dropout(checkpoint: Checkpoint | None, **options: Any) -> Result:
    """Masks drawn in training."""
    return student_of("mc-dropout", {}, checkpoint, options)


def piece(checkpoint: Checkpoint | None, **options: Any) -> Result:
    """Three members of a teacher at once."""
    task = TASKS["classification"]
    inputs = TrainingInputs(data=DATA, recipe=recipe(**options), seed=0, dataset="some")
    network, history = train_members([0, 2, 3], task, NETWORKS, inputs, checkpoint)
    return network.state_dict(), history


def normalised(checkpoint: Checkpoint | None, **options: Any) -> Result:
    """A network whose buffers are trained, too: means, variances and an integer count."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    x, y = DATA.train

    def epoch(number: int) -> Epoch:
        stream = Generator().manual_seed(number)

        def terms(indices: Indices) -> dict[str, Tensor]:
            return {"loss": functional.cross_entropy(network(x[indices]), y[indices])}

        return Epoch(terms, lambda: torch.randperm(41, generator=stream))

    def validation() -> Tensor:
        held_out = DATA.validation
        assert held_out.y is not None
        return functional.cross_entropy(network(held_out.x), held_out.y)[None]

    problem = Problem("train", network, 41, epoch, validation)
    history = train_network(problem, recipe(**options), EPOCHS, 0.03, checkpoint)
    return network.state_dict(), history


TRAININGS = pytest.mark.parametrize("training", [hydra, dropout, piece, normalised])
SELECT = pytest.mark.parametrize("select", ["last", "validation"])


def assert_equal(result: Result, expected: Result) -> None:
    assert result[1] == expected[1]
    assert [list(row) for row in result[1]] == [list(row) for row in expected[1]]
    assert result[0].keys() == expected[0].keys()
    for name, tensor in expected[0].items():
        assert torch.equal(result[0][name], tensor), name


@TRAININGS
@SELECT
@pytest.mark.parametrize("after", range(1, EPOCHS + 1))
def test_training_resumed_after_any_epoch_ends_with_the_same_bits(
    training: Callable[..., Result], select: str, after: int, cache: Cache
) -> None:
    expected = training(None, select=select)
    assert len(expected[1]) == EPOCHS
    with pytest.raises(Killed):
        training(Doomed(cache, after), select=select)
    checkpoint = Checkpoint(cache, "training", 1e9)
    assert len(checkpoint.history) == after
    assert_equal(training(checkpoint, select=select), expected)


@TRAININGS
def test_training_resumed_many_times_ends_with_the_same_bits(
    training: Callable[..., Result], cache: Cache
) -> None:
    expected = training(None)
    for _ in range(EPOCHS):
        with pytest.raises(Killed):
            training(Doomed(cache, 1))
    assert_equal(training(Doomed(cache, 1)), expected)


@TRAININGS
def test_saved_epochs_are_not_trained_again(training: Callable[..., Result], cache: Cache) -> None:
    with pytest.raises(Killed):
        training(Doomed(cache, 3))
    counted = Doomed(cache, EPOCHS)
    training(counted)
    assert counted.saves_left == EPOCHS - (EPOCHS - 3)


@TRAININGS
@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "no note", "bad note"])
def test_training_with_a_damaged_checkpoint_starts_again(
    training: Callable[..., Result], damage: str, cache: Cache
) -> None:
    with pytest.raises(Killed):
        training(Doomed(cache, 3))
    (arrays,) = cache.folder.glob("*.safetensors")
    (note,) = cache.folder.glob("*.json")
    content = arrays.read_bytes()
    if damage == "no note":
        note.unlink()
    elif damage == "bad note":
        note.write_text("[]")
    else:
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        damaged = {"truncated": content[:-9], "flipped": flipped, "empty": b""}
        arrays.write_bytes(damaged[damage])
    checkpoint = Checkpoint(cache, "training", 1e9)
    assert checkpoint.history == []
    assert_equal(training(checkpoint), training(None))


def test_a_checkpoint_is_saved_at_most_once_per_interval(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    checkpoint = Checkpoint(cache, "training", 10)
    rows: list[HistoryRow] = [{"stage": "s", "epoch": 0}]
    for moment, is_saved in ((9.0, False), (10.0, True), (19.9, False), (20.0, True)):
        now[0] = moment
        checkpoint.save({"x": torch.tensor(moment)}, rows)
        assert cache.has("checkpoint-training") == (moment >= 10)
        if is_saved:
            assert cache.load("checkpoint-training")["x"].item() == moment
    assert cache.load("checkpoint-training")["x"].item() == 20


def test_a_removed_checkpoint_leaves_no_files(cache: Cache) -> None:
    with pytest.raises(Killed):
        piece(Doomed(cache, 1))
    Checkpoint(cache, "training", 0).remove()
    assert list(cache.folder.iterdir()) == []
