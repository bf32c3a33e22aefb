"""The contract between a method and the program that trains and evaluates its students.

A method is one class. It has parameters, builds a student, computes the loss as named terms, and
turns the student's outputs into a prediction. Everything else is done for it: data, teacher,
optimiser, metrics and files. See `methods/kd.py` for a short example.

Its hooks are called in this order: `fit`, `build`, `stages`, `groups`; in each step of training
`step`, which by default is `loss` of `forward`; after training `finish`; and in evaluation `infer`
and `predict`.
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


Outputs = Any
"""Outputs of a network: a tensor, by default [S, B, K], or a tuple of tensors.

Axis 1 of each is the batch. A method knows which of them it has, so this is no union.
"""


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
class InputRange:
    """The range of a network's inputs.

    Attributes:
        low, high: of the shape of one input, [C, H, W] for images. For images they are the values
            of black and white pixels after normalisation; for other inputs, the smallest and the
            largest value of each feature in the training split.
    """

    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Self:
        """Return the range of inputs [N, ...]; a constant feature c has the range c to c + 1."""
        low, high = x.amin(0), x.amax(0)
        return cls(low, high + (low == high))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.low.shape)

    def to_unit(self, x: Tensor) -> Tensor:
        """Return inputs [B, ...] on a scale where the range is [0, 1]."""
        low, high = self.low.to(x.device), self.high.to(x.device)
        return (x - low) / (high - low)

    def from_unit(self, unit: Tensor) -> Tensor:
        """Return the inputs whose `to_unit` is given."""
        low, high = self.low.to(unit.device), self.high.to(unit.device)
        return low + unit * (high - low)


@dataclass(frozen=True)
class Setting:
    """What a student is built for.

    Attributes:
        task: losses and predictions of classification or regression.
        members: number of networks in the teacher.
        examples: number of training examples.
        networks: builds cores, heads and whole networks for the dataset.
        inputs: shape and range of the inputs.
        teacher: returns the trained ensemble, a module with outputs [M, B, K]. Most students need
            only its stored outputs, which are in each `Batch`, or those that `Batch.ask` gives.
    """

    task: TaskTerms
    members: int
    examples: int
    networks: NetworkBuilder
    inputs: InputRange
    teacher: Callable[[], nn.Module]


@dataclass(frozen=True)
class Examples:
    """Inputs with their targets and what the teacher says of them.

    Attributes:
        x: inputs [B, ...].
        y: classes [B] (int64), class probabilities [B, C] (with mixup), or targets [B] (float32).
        teacher: the members' outputs on x, [M, B, K]; K is the number of classes, or 2 in
            regression (mean and log variance).
    """

    x: Tensor
    y: Tensor
    teacher: Tensor


@dataclass(frozen=True)
class Batch(Examples):
    """What a step of training is computed from.

    Attributes:
        network: of the stage, which is trained.
        stage: its name.
        generator: for random numbers of this step.
        ask: returns the members' outputs [M, B, K] on any inputs [B, ...]; differentiable.
        answer: returns `Method.forward` of the network on any inputs [B, ...], in the precision of
            the recipe.
    """

    network: nn.Module
    stage: str
    generator: Generator
    ask: Callable[[Tensor], Tensor]
    answer: Callable[[Tensor], Outputs]


@dataclass(frozen=True)
class Stage:
    """A part of training.

    Between steps, state may only be in parameters and buffers of the student and of the stages'
    networks: checkpoints store nothing else, apart from what `Method.fit` gave.

    Attributes:
        name: in the history and in `Batch`.
        network: what is trained, a part of the student or a module that shares parts with it.
        share: of the epochs; the shares of all stages sum to 1.
        predicts: whether `Method.infer` and `Method.predict` take the network, so that its loss on
            the validation split can select the epoch; otherwise the last epoch is kept.
    """

    name: str
    network: nn.Module
    share: float = 1.0
    predicts: bool = True


@dataclass(frozen=True)
class Group:
    """Parameters that are trained in another way than the rest.

    Attributes:
        parameters: of a student or of the network of a stage.
        rate: factor on the learning rate.
        decay: factor on the weight decay.
    """

    parameters: Iterable[nn.Parameter]
    rate: float = 1.0
    decay: float = 1.0


class Method(ABC):
    """A way to train a student against a teacher.

    A subclass defines `name`, `summary`, `paper`, `build` and `loss`, and overrides what differs
    from the default.

    Attributes:
        name: on the command line and in tables.
        summary: one line for listings.
        paper: authors, year and arXiv number.
        parameters: of this method, schedules included.
        setting: what the student is built for.
        task: the loss terms of classification or regression, as `setting.task`.
        fitted: what `fit` gave, on the device of the training. It is a part of the student.
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
        self.fitted: Mapping[str, Tensor] = {}

    def fit(self, train: Examples, generator: Generator) -> Mapping[str, Tensor]:
        """Return named tensors that are computed once, before the student is built.

        Args:
            train: the training split, not augmented.
            generator: for random numbers.
        """
        return {}

    @abstractmethod
    def build(self, generator: Generator) -> nn.Module:
        """Return the untrained student.

        Args:
            generator: for all random numbers.
        """

    def stages(self, student: nn.Module, generator: Generator) -> Sequence[Stage]:
        """Return the parts of training in order; none if there is nothing to train.

        Args:
            student: as `build` returned it.
            generator: for random numbers of new modules.
        """
        return [Stage("train", student)]

    def groups(self, network: nn.Module) -> Sequence[Group]:
        """Return the parameters with a learning rate or weight decay of their own.

        Args:
            network: the student, or the network of a stage.
        """
        return []

    def step(self, batch: Batch, now: Any) -> Mapping[str, Tensor]:
        """Return the named terms of the loss of a step, each a scalar, before weighting.

        Args:
            batch: inputs, targets, the network, and the teacher.
            now: the parameters, every schedule replaced by its value at this epoch.
        """
        return self.loss(batch.answer(batch.x), batch, now)

    def loss(self, outputs: Outputs, batch: Batch, now: Any) -> Mapping[str, Tensor]:
        """Return the terms of `step`; not needed if `step` is overridden.

        Args:
            outputs: of `forward` on `batch.x`.
            batch: as in `step`.
            now: as in `step`.
        """
        raise NotImplementedError

    def weights(self, now: Any) -> Mapping[str, float]:
        """Return the weight of each term of the loss; 1 for terms that are not named.

        A term of weight 0 is not trained, and is recorded in the history with the others.
        """
        return {}

    def forward(self, network: nn.Module, x: Tensor, generator: Generator) -> Outputs:
        """Return the outputs of a network in training, by default [S, B, K] for S heads.

        Args:
            network: the student, or the network of a stage.
            x: inputs [B, ...].
            generator: for samples and dropout.
        """
        return network(x)

    def finish(self, student: nn.Module, validation: Examples) -> nn.Module:
        """Return the network that is kept, counted and evaluated, from the trained student.

        Args:
            student: after the last stage, in evaluation mode.
            validation: the validation split.
        """
        return student

    def infer(self, network: nn.Module, x: Tensor, generator: Generator) -> Outputs:
        """Return the outputs from which `predict` makes a prediction; by default `forward`.

        Args:
            network: as `finish` returned it, or the network of a stage.
            x: inputs [B, ...].
            generator: for samples and dropout.
        """
        return self.forward(network, x, generator)

    def passes(self, network: nn.Module, x: Tensor, count: int, generator: Generator) -> Outputs:
        """Return the outputs of functions that the student consists of, [S, B, K], for figures.

        By default these are its heads, by `infer`. A method that draws at random for each input
        draws once for all inputs here.

        Args:
            network: as `finish` returned it.
            x: inputs [B, ...].
            count: functions to draw, if they are drawn.
            generator: for samples and dropout.
        """
        return self.infer(network, x, generator)

    def predict(self, outputs: Outputs) -> Prediction:
        """Return the predictive distribution of the outputs of `infer`.

        By default these are [S, B, K], and the distribution is an equal mixture.
        """
        return self.task.prediction(outputs)
