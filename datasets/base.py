"""What a dataset is: the contract that every source of data, built in or plugged in, fulfils.

A dataset describes itself in class attributes, so that listing it costs nothing, and makes its
arrays in ``load``. Heavy libraries (torch, torchvision, scikit-learn) are imported inside methods.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np

Task = Literal["classification", "regression"]
OODGroup = Literal["near", "far"]

Stream = Callable[[str], np.random.Generator]
"""A named random stream: the same name gives the same numbers for one data seed.

Every call starts the stream anew, so ask for each name once, and give each purpose its own name
(``"train"``, ``"test"``, ``"ood/plane"``): then adding a set never moves the others.
"""

_RECIPE = frozenset(
    ("epochs", "batch_size", "learning_rate", "weight_decay", "student_weight_decay", "clip")
)
_NETWORK = frozenset(("family",))


class BadData(Exception):
    """Data that can't be used: one line that names the file or folder."""


class UnknownDataset(KeyError):
    """No dataset has this name; the message gives the nearest right one and the list."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the quoted repr of its message


@dataclass(frozen=True)
class Split:
    """Inputs and targets, row by row; both arrays C-contiguous.

    x: [N, *shape] float32, or uint8 [N, C, H, W] for images.
    y: [N] int64 class indices, or [N] float32 targets.
    """

    x: np.ndarray
    y: np.ndarray

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError(
                f"a split needs a target per input, not {len(self.y)} for {len(self.x)}"
            )

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class DatasetArrays:
    """All arrays of a dataset for one data seed.

    shifted: (shift, severity 1..5) -> the test split with its inputs shifted, rows in test order.
        Of images the engine makes them, from ``Dataset.shifts``: leave it empty.
    ood: set name -> inputs [N, *shape] from outside the training distribution. Of images the engine
        loads them (``datasets.ood_sets``): leave it empty.
    canvas: what a figure draws (a grid of the plane, a noiseless curve), or None.
    mean, std: of each channel of images in [0, 1], by which the engine normalises; else None.
    remarks: lines on what a user should know of the data, found while it was read.
    """

    train: Split
    validation: Split
    test: Split
    shifted: Mapping[tuple[str, int], Split]
    ood: Mapping[str, np.ndarray]
    canvas: Split | None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    remarks: Sequence[str] = ()


class Dataset(ABC):
    """A source of data. Fill in every attribute below and write ``load``.

    name: as on the command line.
    summary: one line for listings.
    source: the paper or the origin of the data.
    task: "classification" or "regression".
    shape: of one input; three sides, [C, H, W], make it a dataset of uint8 images.
    outputs: number of classes, or 2 for regression (mean and log variance).
    examples: number of training examples, for estimates before anything is loaded.
    network: "family", and the parts of a teacher "member" and of a student's "core" and "head",
        e.g. {"family": "mlp", "member": [50, 50], "core": [50], "head": [50]}; a part that is left
        out is the family's default.
    recipe: training defaults: "epochs", "batch_size", "learning_rate", "weight_decay" (of the
        teacher), "student_weight_decay" (both w in w/2 * ||parameters||^2) and "clip" (the
        largest norm of the gradient).
    defaults: values for the method parameters of these names, e.g. "temperature", "a", "b".
    ood_groups: OOD set name -> "near" or "far" from the training distribution; of images, what
        ``datasets.ood_sets`` knows by name.
    shifts: names of the shifts of the test set, in order.
    classes: their names, where they have any; else they are called by their numbers.

    Derived:
    images: whether inputs are images.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    task: ClassVar[Task]
    shape: ClassVar[tuple[int, ...]]
    outputs: ClassVar[int]
    examples: ClassVar[int]
    network: ClassVar[Mapping[str, Any]]
    recipe: ClassVar[Mapping[str, Any]]
    defaults: ClassVar[Mapping[str, Any]]
    ood_groups: ClassVar[Mapping[str, OODGroup]]
    shifts: ClassVar[tuple[str, ...]]
    images: ClassVar[bool] = False
    classes: ClassVar[Sequence[str]] = ()

    def __init_subclass__(cls, *, unfinished: bool = False, **kwargs: Any) -> None:
        """Check the attributes, unless the class is an unfinished one for others to fill in."""
        super().__init_subclass__(**kwargs)
        if unfinished:
            return
        problem = _problem(cls)
        if problem:
            raise TypeError(f"dataset class {cls.__qualname__}: {problem}")
        cls.images = len(cls.shape) == 3

    def __init__(self, root: Path | None = None) -> None:
        """root: the folder that files of datasets lie in; the current one by default."""
        self.root = Path() if root is None else root

    def missing(self) -> str:
        """Which file is not there and where it was looked for, in a line; empty if all are."""
        return ""

    def download(self) -> None:
        """Fetch what is missing into the root.

        Raises:
            BadData: it could not be fetched.
        """
        raise BadData(f"{self.name}: there is nowhere to fetch it from")

    def identity(self) -> Any:
        """A plain value that tells two contents of one name apart; None if the name does."""
        return None

    def check(self) -> None:  # noqa: B027, most have nothing to look at
        """Look for faults of the files, as far as that takes no time.

        Raises:
            BadData: files that can't be used, all of them at once.
        """

    def remarks(self) -> list[str]:
        """Lines on what a user should know of the data, seen without reading it."""
        return []

    @abstractmethod
    def load(self, stream: Stream) -> DatasetArrays:
        """Make the arrays; the same stream gives the same bits.

        Raises:
            BadData: a file is broken.
        """

    def test_inputs(self, stream: Stream) -> np.ndarray:
        """The inputs of the test split alone, whatever is cheapest to read."""
        return self.load(stream).test.x


def _problem(cls: type[Dataset]) -> str | None:
    """What a plugin's author forgot or mistook, in one line; None if nothing."""
    missing = [attribute for attribute in Dataset.__annotations__ if not hasattr(cls, attribute)]
    if cls.load is Dataset.load:
        missing.append("load()")
    if missing:
        return f"missing {', '.join(missing)}"
    if cls.task not in get_args(Task):
        return f"task is {cls.task!r}, not one of {', '.join(get_args(Task))}"
    for attribute, expected in (("network", _NETWORK), ("recipe", _RECIPE)):
        absent = sorted(expected - set(getattr(cls, attribute)))
        if absent:
            return f"{attribute} lacks {', '.join(absent)}"
    for ood_set, group in cls.ood_groups.items():
        if group not in get_args(OODGroup):
            return f"ood_groups[{ood_set!r}] is {group!r}, not near or far"
    return None
