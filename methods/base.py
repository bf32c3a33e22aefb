"""The contract between a method and the engine.

A method is one class: its parameters, how its student is built, its loss as named terms, and how
the student's outputs become a prediction. Everything else (data, teacher, optimiser, metrics,
files) is the engine's. See `methods/kd.py` for the shortest real one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from distillation_bench.methods.schedules import value_at

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from distillation_bench.methods.networks.builder import NetworkBuilder
    from distillation_bench.methods.predictions import Prediction
    from distillation_bench.methods.tasks import TaskTerms


class Parameters(BaseModel):
    """A method's parameters: typed, documented, frozen; an unknown name is refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True
    )

    def at(self, epoch: int, epochs: int) -> Self:
        """The same parameters with every schedule replaced by its value at an epoch."""
        values = {name: value_at(value, epoch, epochs) for name, value in self}
        return self.model_copy(update=values)


def parameter(default: Any, help: str, *, dataset: bool = False, **limits: Any) -> Any:
    """A field of `Parameters`.

    Args:
        default: the value where neither the user nor the dataset gives one.
        help: what it does, one line.
        dataset: whether a dataset's `defaults` may replace the default.
        limits: pydantic's bounds, such as `ge=1`.
    """
    return Field(default, description=help, json_schema_extra={"dataset": dataset}, **limits)


@dataclass(frozen=True)
class Setting:
    """What a student is built for.

    Attributes:
        task: losses and predictions of classification or regression.
        members: number of networks in the teacher.
        examples: number of training examples.
        networks: builders of the dataset's cores and heads.
        teacher: gives the trained ensemble itself, outputs [M, B, K]; students do without.
    """

    task: TaskTerms
    members: int
    examples: int
    networks: NetworkBuilder
    teacher: Callable[[], nn.Module]


@dataclass(frozen=True)
class Batch:
    """What a loss is computed from.

    Attributes:
        x: inputs [B, ...].
        y: classes [B] (int64), class probabilities [B, C] (mixed up), or targets [B] (float32).
        teacher: the members' outputs on x [M, B, K]; K is the classes, or (mean, log variance).
        network: what gave the outputs, for terms on its weights.
        stage: name of the training stage.
    """

    x: Tensor
    y: Tensor
    teacher: Tensor
    network: nn.Module
    stage: str


@dataclass(frozen=True)
class Stage:
    """A part of training: `network`, a part of the student, for a `share` of the epochs.

    A method keeps nothing between steps but the parameters and buffers of student and stages: they
    are what a checkpoint holds.
    """

    name: str
    network: nn.Module
    share: float = 1.0


class Method(ABC):
    """A way to make a student from a teacher."""

    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    refuses: ClassVar[Mapping[str, str]] = {}
    """Tasks that the method can't do, each with the reason."""
    reference: ClassVar[bool] = False
    """Whether it is what students are measured against, and no rival for the best figure."""
    taught: ClassVar[bool] = True
    """Whether its loss reads the members' outputs."""
    is_teacher: ClassVar[bool] = False
    """Whether its outputs are the teacher's, which are stored: they are not computed again."""
    recipe: ClassVar[Literal["student", "teacher"]] = "student"
    """Whose weight decay the training uses."""

    Parameters: ClassVar[type[Parameters]] = Parameters

    def __init__(self, parameters: Any, setting: Setting) -> None:
        self.parameters = parameters
        self.setting = setting
        self.task = setting.task

    @abstractmethod
    def build(self, generator: Generator) -> nn.Module:
        """The untrained student. All its random numbers come from `generator`."""

    @abstractmethod
    def loss(self, outputs: Tensor, batch: Batch, now: Any) -> Mapping[str, Tensor]:
        """Named terms, each a scalar, before weighting.

        Args:
            outputs: what `forward` gave on `batch.x`.
            now: the parameters with every schedule at its value of this epoch.
        """

    def weights(self, now: Any) -> Mapping[str, float]:
        """The weight of each term of `loss`; a term that is not named counts once."""
        return {}

    def forward(self, network: nn.Module, x: Tensor, generator: Generator) -> Tensor:
        """The network's outputs [S, B, K]: S heads, samples or members, 1 if there is one."""
        outputs: Tensor = network(x)
        return outputs

    def predict(self, outputs: Tensor) -> Prediction:
        """The predictive distribution that outputs [S, B, K] stand for: equal parts of S."""
        return self.task.prediction(outputs)

    def stages(self, student: nn.Module, generator: Generator) -> Sequence[Stage]:
        """The parts of training, in order; their shares sum to 1. Empty: nothing is trained."""
        return [Stage("train", student)]

    def undecayed(self, student: nn.Module) -> Iterable[nn.Parameter]:
        """Parameters without weight decay."""
        return ()
