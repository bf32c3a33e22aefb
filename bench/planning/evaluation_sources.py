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
        name: in tables: of a folder the last part of its path.
        group: near or far.
        source: what `datasets.ood_sets` calls it; empty if the dataset itself makes it.
        absent: why it can't be had, in a line; empty if it can.
        identity: what of its source goes into keys.
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
        ood: the OOD sets asked for, those that are absent too.
        corruptions: a folder of corrupted test sets; empty: none.
        identity: what of that folder goes into keys.
    """

    ood: tuple[OODSet, ...] = ()
    corruptions: str = ""
    identity: Any = None

    @property
    def present(self) -> list[OODSet]:
        """The OOD sets that can be had."""
        return [each for each in self.ood if not each.absent]


def fetch_missing(config: Config, root: Path) -> None:
    """Download what datasets and OOD sets of a configuration lack.

    Raises:
        UsageError: a dataset can't be had; an OOD set that can't stays absent, with a line.
    """
    for name in dict.fromkeys(config.datasets):
        try:
            dataset = get(name)
            if dataset(root).missing():
                dataset(root).download()
        except (UnknownDataset, BadData) as error:
            raise UsageError(f"{name}: {error}") from None
        for each in config.ood or dataset.ood_groups:
            _fetch_ood(without_group(each), root)


def _fetch_ood(name: str, root: Path) -> None:
    if name not in DATASETS or not DATASETS[name](root).missing():
        return
    try:
        DATASETS[name](root).download()
    except BadData as error:
        print(terminal_safe(f"OOD set {name} stays absent: {error}"), file=sys.stderr)


def sources_of(dataset: type[Dataset], config: Config, root: Path) -> EvaluationSources:
    """The OOD sets and corruptions of a dataset; a default set that is absent is kept as such.

    Raises:
        UsageError: a set that was asked for is unknown or absent.
    """
    if not dataset.images:
        return EvaluationSources(
            tuple(OODSet(name, group) for name, group in dataset.ood_groups.items())
        )
    asked = dict.fromkeys(config.ood or dataset.ood_groups)
    # A set asked for by several datasets is no OOD set of itself.
    others = (text for text in asked if without_group(text) != dataset.name)
    sets = tuple(_ood_set(text, dataset, root) for text in others)
    absent = [each for each in sets if each.absent]
    if config.ood and absent:
        raise UsageError(f"--ood {absent[0].name}: {absent[0].absent}")
    names = [each.name for each in sets]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--ood: two sets are called {name!r}")
    return EvaluationSources(sets, *_corruptions(dataset, config.corruptions))


def _ood_set(text: str, dataset: type[Dataset], root: Path) -> OODSet:
    try:
        source, group = ood_group(text, dataset)
        absent = ood_missing(source, root)
        identity = None if absent else [ood_identity(source, root), _reader_code(source)]
        # Where a folder lies is nobody's business but this machine's.
        kind, _, path = source.partition(":")
        name = f"{kind}:{real_path(Path(path)).name}" if path else source
    except (UnknownDataset, BadData) as error:
        raise UsageError(f"--ood {text}: {error}") from None
    if not name.isprintable():
        raise UsageError(f"--ood {text}: {truncated(name)!r} can't be a set's name in tables")
    return OODSet(name, group, source, absent, identity)


def _reader_code(name: str) -> str:
    """The code that reads an OOD set which is itself a dataset; empty for all other sets."""
    return class_code(DATASETS[name], Dataset) if name in DATASETS else ""


def _corruptions(dataset: type[Dataset], folder: str) -> tuple[str, Any]:
    """The folder and what tells its contents apart; nothing for images of another shape."""
    if not folder or dataset.shape != CORRUPTED_SHAPE:
        return "", None
    try:
        return folder, corruptions_identity(Path(folder), dataset)
    except BadData as error:
        raise UsageError(f"--corruptions {folder}: {error}") from None
