"""What a dataset is evaluated on beside its own splits: OOD sets and corrupted test sets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bench.config import Config
from bench.errors import UsageError
from bench.fingerprint import ROOT
from bench.keys import OODSet, Sources, class_code
from datasets import DATASETS, UnknownDataset, get
from datasets.base import BadData, Dataset

DATA_ROOT = ROOT / "data"
"""Where datasets find their files, unless told otherwise."""


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
            _fetch_ood(each.removeprefix("near:").removeprefix("far:"), root)


def _fetch_ood(name: str, root: Path) -> None:
    if name not in DATASETS or not DATASETS[name](root).missing():
        return
    try:
        DATASETS[name](root).download()
    except BadData as error:
        print(f"OOD set {name} stays absent: {error}", file=sys.stderr)


def sources_of(dataset: type[Dataset], config: Config, root: Path) -> Sources:
    """The OOD sets and corruptions of a dataset; a default set that is absent is kept as such.

    Raises:
        UsageError: a set that was asked for is unknown or absent.
    """
    if not dataset.images:
        return Sources(tuple(OODSet(name, group) for name, group in dataset.ood_groups.items()))
    asked = config.ood or tuple(dataset.ood_groups)
    # A set asked for by several datasets is no OOD set of its own one.
    others = (
        text for text in asked if text.removeprefix("near:").removeprefix("far:") != dataset.name
    )
    sets = tuple(_ood_set(text, dataset, root) for text in others)
    absent = [each for each in sets if each.absent]
    if config.ood and absent:
        raise UsageError(f"--ood {absent[0].name}: {absent[0].absent}")
    return Sources(sets, config.corruptions, _corruptions(dataset, config.corruptions))


def _ood_set(text: str, dataset: type[Dataset], root: Path) -> OODSet:
    from datasets.ood import ood_group, ood_identity, ood_missing

    try:
        name, group = ood_group(text, dataset)
        absent = ood_missing(name, root)
        identity = None if absent else [ood_identity(name, root), _reader_code(name)]
        return OODSet(name, group, False, absent, identity)
    except (UnknownDataset, BadData) as error:
        raise UsageError(f"--ood {text}: {error}") from None


def _reader_code(name: str) -> str:
    """What reads a set that is itself a dataset; nothing of the others, which `ood.py` makes."""
    return class_code(DATASETS[name], Dataset) if name in DATASETS else ""


def _corruptions(dataset: type[Dataset], folder: str) -> Any:
    if not folder:
        return None
    from datasets.corruptions import corruptions_identity

    try:
        return corruptions_identity(Path(folder), dataset)
    except BadData as error:
        raise UsageError(f"--corruptions {folder}: {error}") from None
