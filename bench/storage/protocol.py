"""Which rows of several runs belong beside one another, and marks for those that don't."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import real_path
from distillation_bench.bench.storage.labels import Trait, traits
from distillation_bench.bench.storage.run_folder import Run

Whose = tuple[Run, Mapping[str, Any]]
"""A run, and a cell of it as its description has it."""


class Protocols:
    """Under which protocol the first rows of each dataset were made, and what each label is."""

    def __init__(self, runs: Sequence[Run], mixed: bool) -> None:
        self._mixed = mixed
        self._marks = _short_names(runs)
        self._first: dict[tuple[str, ...], tuple[Any, Whose]] = {}

    def label(
        self, run: Run, described: Mapping[str, Any], cell_id: str, cell: Mapping[str, Any]
    ) -> str:
        """A cell's label, marked if its row does not belong beside those that came before.

        Raises:
            UsageError: it does not, and that was not asked for.
        """
        label, number, own = str(cell["label"]), 1, (run, cell)
        clash = self._clash(own, _of_dataset(described, cell))
        while clash or (clash := self._clash(own, _of_label(label, cell_id, cell))):
            what, whose = clash
            if not self._mixed:
                reason = _reason(what, own, whose)
                raise UsageError(f"{run.folder}: {reason}; --mixed takes both, marked")
            mark = "other code" if whose[0] is run else self._marks[run]
            label = f"{cell['label']} ({mark if number == 1 else f'{mark} {number}'})"
            number, clash = number + 1, None
        return label

    def _clash(self, own: Whose, shared: Sequence[Trait]) -> tuple[str, Whose] | None:
        """What differs from the rows before, and whose they are; else the cell is one of them."""
        for what, where, value in shared:
            first, whose = self._first.get(where, (value, own))
            if first != value:
                return what, whose
        for _, where, value in shared:
            self._first.setdefault(where, (value, own))
        return None


def _of_dataset(described: Mapping[str, Any], cell: Mapping[str, Any]) -> list[Trait]:
    """What all rows of a dataset share, or all of a dataset and seed."""
    dataset, seed = cell["dataset"], str(cell["seed"])
    return [
        Trait("another recipe", ("recipe", dataset), described["recipes"][dataset]),
        Trait("other OOD sets", ("ood", dataset), described["ood"].get(dataset, {})),
        Trait("other measuring code", ("protocol", dataset), cell["protocol"]),
        Trait("another teacher, or on other sets", ("measured", dataset, seed), cell["measured"]),
    ]


def _of_label(label: str, cell_id: str, cell: Mapping[str, Any]) -> list[Trait]:
    """What all rows of a label share, and its one row of a seed."""
    slot = ("cell", cell["dataset"], label, str(cell["seed"]))
    return [*traits(cell, label), Trait("other parameters or code", slot, cell_id)]


def _reason(what: str, own: Whose, whose: Whose) -> str:
    (run, cell), (holder, other) = own, whose
    name, than = f"{cell['dataset']} {cell['label']}", other["label"]
    if holder is not run:
        than = f"in {holder.folder}"
    elif than == cell["label"]:
        of = "" if other["dataset"] == cell["dataset"] else f" of {other['dataset']}"
        name, than = f"{name} seed {cell['seed']}", f"seed {other['seed']}{of}"
    return f"{name} was made with {what} than {than}"


def _short_names(runs: Sequence[Run]) -> dict[Run, str]:
    """As many last parts of each folder's path as tell it from the others."""
    paths = {run: real_path(run.folder).parts for run in runs}
    names = {}
    for run, parts in paths.items():
        others = [other for each, other in paths.items() if each is not run and other != parts]
        depth = 1
        while depth < len(parts) and any(parts[-depth:] == other[-depth:] for other in others):
            depth += 1
        names[run] = "/".join(parts[-depth:])
    return names
