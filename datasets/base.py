"""The contract of a dataset, for built-in datasets and for plugins.

A dataset describes itself in class attributes, so that listings need not load it, and makes its
arrays in `load`. Large libraries (torch, torchvision, scikit-learn) are imported inside methods.
See `datasets/sine.py` for a short example.
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
"""How far an OOD set is from the training distribution."""

Stream = Callable[[str], np.random.Generator]
"""A function from a name to a random stream, whose numbers depend on the name and the data seed.

Every call starts the stream anew, so call it once for each name. Use a separate name for each
purpose, such as "train", "test" and "ood/plane": then a new set does not change the others.
"""

_RECIPE = frozenset(
    ("epochs", "batch_size", "learning_rate", "weight_decay", "student_weight_decay", "clip")
)
_NETWORK = frozenset(("family",))


class BadData(Exception):
    """Data that can't be used; the message is one line and names the file or folder."""


class UnknownDataset(KeyError):
    """No dataset has this name; the message gives the nearest name and the list."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the quoted repr of its message


@dataclass(frozen=True)
class Split:
    """Inputs and targets of N examples; both arrays are C-contiguous.

    Attributes:
        x: inputs [N, *shape], float32; uint8 [N, C, H, W] for images.
        y: classes [N], int64, or targets [N], float32.
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

    Attributes:
        train, validation, test: the splits.
        shifted: the test split with shifted inputs, in the same order, by (shift, severity 1..5).
            Empty for images, which are shifted when the data is prepared, as `Dataset.shifts` says.
        ood: inputs [N, *shape] from outside the training distribution, by name of the set. Empty
            for images, whose OOD sets `datasets.ood_sets` loads.
        canvas: points at which figures show predictions (a grid of the plane, a noiseless curve),
            or None.
        mean, std: of each channel of images, as values in [0, 1], for normalisation; else None.
        remarks: lines about the data that a user should know, found while it was read.
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
    """A source of data. A subclass defines every attribute below, and `load`.

    Attributes:
        name: on the command line and in tables.
        summary: one line for listings.
        source: the paper or the origin of the data.
        task: "classification" or "regression".
        shape: of one input; with three dimensions, [C, H, W], inputs are uint8 images.
        outputs: number of classes, or 2 for regression (mean and log variance).
        examples: number of training examples, for estimates before the data is loaded.
        network: the "family", and its options for a "member" of the teacher and for a student's
            "core" and "head", as in {"family": "mlp", "member": [50, 50], "core": [50],
            "head": [50]}; what is left out has the default of the family.
        recipe: defaults of the training: "epochs", "batch_size", "learning_rate", "weight_decay"
            (of the teacher), "student_weight_decay" (both w in w/2 * ||parameters||^2) and "clip"
            (the largest norm of the gradient).
        defaults: of method parameters with these names, such as "temperature", "a" and "b".
        ood_groups: "near" or "far" by name of the OOD set; for images, names that
            `datasets.ood_sets` can load.
        shifts: names of the shifts of the test set, in order.
        classes: names of the classes; empty if they have none.
        images: whether inputs are images; set by this class.
        root: the folder that holds the files of datasets.
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
        """Check the attributes of a subclass.

        Args:
            unfinished: whether the class is a base class, whose attributes are not complete.

        Raises:
            TypeError: an attribute is missing or has a wrong value.
        """
        super().__init_subclass__(**kwargs)
        if unfinished:
            return
        problem = _problem(cls)
        if problem:
            raise TypeError(f"dataset class {cls.__qualname__}: {problem}")
        cls.images = len(cls.shape) == 3

    def __init__(self, root: Path | None = None) -> None:
        """Make a dataset whose files are in a folder.

        Args:
            root: the folder that holds the files of datasets; by default the current one.
        """
        self.root = Path() if root is None else root

    def missing(self) -> str:
        """Return a line that names a missing file and its folder; empty if no file is missing."""
        return ""

    def download(self) -> None:
        """Download missing files into the root.

        Raises:
            BadData: the download failed, or there is no source to download from.
        """
        raise BadData(f"{self.name}: there is nowhere to fetch it from")

    def identity(self) -> Any:
        """Return a plain value that differs if the data differs; None if the name identifies it.

        A folder of images, for example, returns a digest of its files.
        """
        return None

    def check(self) -> None:  # noqa: B027, most datasets have nothing to check
        """Check the files, as far as that is quick.

        Raises:
            BadData: some files can't be used; the message names all of them.
        """

    def remarks(self) -> list[str]:
        """Return lines about the data that a user should know, found without reading it."""
        return []

    @abstractmethod
    def load(self, stream: Stream) -> DatasetArrays:
        """Return all arrays; they depend on the streams alone, to the bit.

        Args:
            stream: returns the random stream of a name.

        Raises:
            BadData: a file is broken.
        """

    def test_inputs(self, stream: Stream) -> np.ndarray:
        """Return the inputs of the test split; override it if they can be read without the rest."""
        return self.load(stream).test.x


def _problem(cls: type[Dataset]) -> str | None:
    """Return what is wrong with the attributes of a class, in one line; None if nothing is."""
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
