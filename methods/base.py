"""The contract between a method and the program that trains and evaluates its students.

A method is one class. It has parameters, builds a student, computes the loss as named terms, and
turns the student's outputs into a prediction. Everything else is done for it: data, teacher,
optimiser, metrics and files. See `methods/kd.py` for a short example.
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
    """The parameters of a method: typed, documented and frozen; unknown names are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True
    )

    def at(self, epoch: int, epochs: int) -> Self:
        """Return the parameters with every schedule replaced by its value at an epoch.

        Args:
            epoch: counted from 0.
            epochs: of the whole training.
        """
        values = {name: value_at(value, epoch, epochs) for name, value in self}
        return self.model_copy(update=values)


def parameter(default: Any, help: str, *, dataset: bool = False, **limits: Any) -> Any:
    """Declare a field of `Parameters`.

    Args:
        default: the value if neither the user nor the dataset gives one.
        help: one line of documentation.
        dataset: whether a dataset's `defaults` replace the default.
        limits: bounds as pydantic has them, such as `ge=1`.
    """
    return Field(default, description=help, json_schema_extra={"dataset": dataset}, **limits)


@dataclass(frozen=True)
class Setting:
    """What a student is built for.

    Attributes:
        task: losses and predictions of classification or regression.
        members: number of networks in the teacher.
        examples: number of training examples.
        networks: builds cores and heads for the dataset.
        teacher: returns the trained ensemble, a module with outputs [M, B, K]. Most students need
            only its stored outputs, which are in each `Batch`.
    """

    task: TaskTerms
    members: int
    examples: int
    networks: NetworkBuilder
    teacher: Callable[[], nn.Module]


@dataclass(frozen=True)
class Batch:
    """What a loss is computed from, besides the student's outputs.

    Attributes:
        x: inputs [B, ...].
        y: classes [B] (int64), class probabilities [B, C] (with mixup), or targets [B] (float32).
        teacher: the members' outputs on x, [M, B, K]; K is the number of classes, or 2 in
            regression (mean and log variance).
        network: the module whose outputs are given, for terms that depend on its weights.
        stage: name of the training stage.
    """

    x: Tensor
    y: Tensor
    teacher: Tensor
    network: nn.Module
    stage: str


@dataclass(frozen=True)
class Stage:
    """A part of training.

    Between steps, state may only be in parameters and buffers of the student and of the stages'
    networks: checkpoints store nothing else.

    Attributes:
        name: in the history and in `Batch`.
        network: what is trained, a part of the student or a module that shares parts with it.
        share: of the epochs; the shares of all stages sum to 1.
    """

    name: str
    network: nn.Module
    share: float = 1.0


class Method(ABC):
    """A way to train a student against a teacher.

    A subclass defines `name`, `summary`, `paper`, `build` and `loss`, and overrides what differs
    from the default: `Parameters`, `weights`, `forward`, `passes`, `predict`, `stages`,
    `undecayed`.

    Attributes:
        name: on the command line and in tables.
        summary: one line for listings.
        paper: authors, year and arXiv number.
        parameters: of this method, schedules included.
        setting: what the student is built for.
        task: the loss terms of classification or regression, as `setting.task`.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    refuses: ClassVar[Mapping[str, str]] = {}
    """Tasks that the method does not support, each with the reason."""
    reference: ClassVar[bool] = False
    """Whether students are compared with it, so that it is never marked as the best."""
    taught: ClassVar[bool] = True
    """Whether the loss uses the members' outputs."""
    is_teacher: ClassVar[bool] = False
    """Whether its outputs are the stored outputs of the teacher, which are not computed again."""
    recipe: ClassVar[Literal["student", "teacher"]] = "student"
    """Whose weight decay is used in training."""

    Parameters: ClassVar[type[Parameters]] = Parameters

    def __init__(self, parameters: Any, setting: Setting) -> None:
        self.parameters = parameters
        self.setting = setting
        self.task = setting.task

    @abstractmethod
    def build(self, generator: Generator) -> nn.Module:
        """Return the untrained student.

        Args:
            generator: for all random numbers.
        """

    @abstractmethod
    def loss(self, outputs: Tensor, batch: Batch, now: Any) -> Mapping[str, Tensor]:
        """Return the named terms of the loss, each a scalar, before weighting.

        Args:
            outputs: of `forward` on `batch.x`, [S, B, K].
            batch: inputs, targets and the teacher's outputs.
            now: the parameters, every schedule replaced by its value at this epoch.
        """

    def weights(self, now: Any) -> Mapping[str, float]:
        """Return the weight of each term of `loss`; 1 for terms that are not named."""
        return {}

    def forward(self, network: nn.Module, x: Tensor, generator: Generator) -> Tensor:
        """Return the outputs of a network, [S, B, K] for S heads, samples or members.

        Args:
            network: the student, or the network of a stage.
            x: inputs [B, ...].
            generator: for samples and dropout.
        """
        outputs: Tensor = network(x)
        return outputs

    def passes(self, network: nn.Module, x: Tensor, count: int, generator: Generator) -> Tensor:
        """Return the outputs of functions that the student consists of, [S, B, K], for figures.

        By default these are its heads, by `forward`. A method that draws at random for each input
        draws once for all inputs here.

        Args:
            network: the student.
            x: inputs [B, ...].
            count: functions to draw, if they are drawn.
            generator: for samples and dropout.
        """
        return self.forward(network, x, generator)

    def predict(self, outputs: Tensor) -> Prediction:
        """Return the predictive distribution of outputs [S, B, K]; by default a mixture."""
        return self.task.prediction(outputs)

    def stages(self, student: nn.Module, generator: Generator) -> Sequence[Stage]:
        """Return the parts of training in order; none if there is nothing to train.

        Args:
            student: as `build` returned it.
            generator: for random numbers of new modules.
        """
        return [Stage("train", student)]

    def undecayed(self, student: nn.Module) -> Iterable[nn.Parameter]:
        """Return the parameters that get no weight decay."""
        return ()
