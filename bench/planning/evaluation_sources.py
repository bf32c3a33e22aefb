"""What a dataset is evaluated on beside its own splits: OOD sets and corrupted test sets."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import real_path
from distillation_bench.bench.common.text import terminal_safe, truncated
from distillation_bench.bench.planning.code_digests import class_code
from distillation_bench.bench.planning.configuration.config import Config
from distillation_bench.datasets import DATASETS, UnknownDataset, get
from distillation_bench.datasets.base import BadData, Dataset
from distillation_bench.datasets.corruptions import CORRUPTED_SHAPE, corruptions_identity
from distillation_bench.datasets.ood_sets import ood_group, ood_identity, ood_missing, without_group


@dataclass(frozen=True)
class OODSet:
    """A set of a dataset's out-of-distribution inputs.

    Attributes:
        name: its name in tables; of a folder, the last part of the path.
        group: near or far.
        source: its name in `datasets.ood_sets`; empty if the dataset itself makes it.
        absent: why it is not available, in one line; empty if it is.
        identity: what identifies its content, for cache keys.
    """

    name: str
    group: str
    source: str = ""
    absent: str = ""
    identity: Any = None


@dataclass(frozen=True)
class EvaluationSources:
    """What a dataset is evaluated on beside its test split.

    Attributes:
        ood: the OOD sets, including those that are absent.
        corruptions: a folder of corrupted test sets; empty: none.
        identity: what identifies the content of that folder, for cache keys.
    """

    ood: tuple[OODSet, ...] = ()
    corruptions: str = ""
    identity: Any = None

    @property
    def present(self) -> list[OODSet]:
        """The OOD sets that are available."""
        return [ood for ood in self.ood if not ood.absent]


def fetch_missing(config: Config, root: Path) -> None:
    """Download the missing files of a configuration's datasets and OOD sets.

    An OOD set that cannot be downloaded stays absent, which a line on stderr says.

    Raises:
        UsageError: a dataset cannot be downloaded.
    """
    for name in dict.fromkeys(config.datasets):
        try:
            dataset = get(name)
            if dataset(root).missing():
                dataset(root).download()
        except (UnknownDataset, BadData) as error:
            raise UsageError(f"{name}: {error}") from None
        for text in config.ood or dataset.ood_groups:
            _fetch_ood_set(without_group(text), root)


def _fetch_ood_set(name: str, root: Path) -> None:
    if name not in DATASETS or not DATASETS[name](root).missing():
        return
    try:
        DATASETS[name](root).download()
    except BadData as error:
        print(terminal_safe(f"OOD set {name} stays absent: {error}"), file=sys.stderr)


def sources_of(dataset: type[Dataset], config: Config, root: Path) -> EvaluationSources:
    """Return the OOD sets and corruptions of a dataset; its own OOD sets may be absent.

    Raises:
        UsageError: a set of `--ood` is unknown or absent, or two sets have one name.
    """
    if not dataset.images:
        sets = tuple(OODSet(name, group) for name, group in dataset.ood_groups.items())
        return EvaluationSources(sets)
    texts = dict.fromkeys(config.ood or dataset.ood_groups)
    # A dataset of the configuration can be an OOD set of the others, but not of itself.
    others = (text for text in texts if without_group(text) != dataset.name)
    sets = tuple(_ood_set(text, dataset, root) for text in others)
    absent = next((ood for ood in sets if ood.absent), None)
    if config.ood and absent:
        raise UsageError(f"--ood {absent.name}: {absent.absent}")
    names = [ood.name for ood in sets]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--ood: two sets are called {name!r}")
    return EvaluationSources(sets, *_corruptions(dataset, config.corruptions))


def _ood_set(text: str, dataset: type[Dataset], root: Path) -> OODSet:
    try:
        source, group = ood_group(text, dataset)
        absent = ood_missing(source, root)
        identity = None if absent else [ood_identity(source, root), _reader_code(source)]
        # Tables do not show where a folder is on this machine.
        prefix, _, path = source.partition(":")
        name = f"{prefix}:{real_path(Path(path)).name}" if path else source
    except (UnknownDataset, BadData) as error:
        raise UsageError(f"--ood {text}: {error}") from None
    if not name.isprintable():
        raise UsageError(f"--ood {text}: {truncated(name)!r} can't be printed as the set's name")
    return OODSet(name, group, source, absent, identity)


def _reader_code(name: str) -> str:
    """Return a hash of the code that reads an OOD set which is a dataset; empty for other sets.

    The other sets are made by `datasets.ood_sets`, which a digest covers.
    """
    return class_code(DATASETS[name], Dataset) if name in DATASETS else ""


def _corruptions(dataset: type[Dataset], folder: str) -> tuple[str, Any]:
    """Return the folder and the identity of its content; nothing for images of another shape."""
    if not folder or dataset.shape != CORRUPTED_SHAPE:
        return "", None
    try:
        return folder, corruptions_identity(Path(folder), dataset)
    except BadData as error:
        raise UsageError(f"--corruptions {folder}: {error}") from None
