"""Which cells may stand side by side in a table: one protocol per dataset, one variant per label.

All cells of a label are of one method. On one dataset they also share their parameters, the version
of code and libraries, and the version of the data, over all seeds: otherwise a mean over seeds
would be the mean of different things. All cells of a dataset share the recipe, the OOD sets and the
code that measures; those of a dataset and seed share the teacher.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import real_path
from distillation_bench.bench.storage.run_folder import CellEntry, Run

CellOfRun = tuple[Run, CellEntry]


class Trait(NamedTuple):
    """A value that a group of cells shares.

    Attributes:
        difference: what a message says a cell was made with if its value differs.
        group: the name of the group.
        value: compared for equality.
    """

    difference: str
    group: tuple[str, ...]
    value: Any


def label_traits(cell: CellEntry, label: str = "") -> list[Trait]:
    """Return what a cell shares with all others of its label.

    Runs of older versions do not say which code and data their cells had.

    Args:
        cell: of the label.
        label: under which it is shown, if that is not its own.
    """
    dataset, label = cell["dataset"], label or cell["label"]
    return [
        Trait("another method", ("method", label), cell["method"]),
        Trait("other parameters", ("parameters", dataset, label), cell["parameters"]),
        Trait("other code or libraries", ("code", dataset, label), cell.get("code", "")),
        Trait("other data", ("data", dataset, label), cell.get("data", "")),
    ]


def _dataset_traits(manifest: Mapping[str, Any], cell: CellEntry) -> list[Trait]:
    """Return what a cell shares with all others of its dataset, or of its dataset and seed."""
    dataset, seed = cell["dataset"], str(cell["seed"])
    return [
        Trait("another recipe", ("recipe", dataset), manifest["recipes"][dataset]),
        Trait("other OOD sets", ("ood", dataset), manifest["ood"].get(dataset, {})),
        Trait("other code or plugins of metrics", ("protocol", dataset), cell["protocol"]),
        Trait("another teacher or other sets", ("measured", dataset, seed), cell["measured"]),
    ]


# Within one run


@dataclass
class LabelClash:
    """Cells of one label that differ from the first cell of that label.

    Attributes:
        difference: what they were made with.
        first: the first cell.
        cells: that differ, of one dataset.
    """

    difference: str
    first: CellEntry
    cells: list[CellEntry] = field(default_factory=list)

    def __str__(self) -> str:
        cell, first = self.cells[0], self.first
        of_dataset = "" if first["dataset"] == cell["dataset"] else f" of {first['dataset']}"
        return (
            f"{cell['dataset']} {cell['label']}: {seeds_text(self.cells)} made with "
            f"{self.difference} than seed {first['seed']}{of_dataset}"
        )


def label_clashes(cells: Iterable[CellEntry]) -> list[LabelClash]:
    """Return the labels that stand for more than one thing, each once a dataset.

    Of several differences the first one is named.
    """
    firsts: dict[tuple[str, ...], tuple[Any, CellEntry]] = {}
    clashes: dict[tuple[str, str], LabelClash] = {}
    for cell in cells:
        for difference, group, value in label_traits(cell):
            first_value, first = firsts.setdefault(group, (value, cell))
            if first_value != value:
                key = cell["dataset"], cell["label"]
                clashes.setdefault(key, LabelClash(difference, first)).cells.append(cell)
                break
    return list(clashes.values())


def seeds_text(cells: Iterable[CellEntry]) -> str:
    """Return `seed 3` or `seeds 0, 1`."""
    seeds = sorted({cell["seed"] for cell in cells})
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


# Between runs


class ProtocolClash(UsageError):
    """A cell may not stand beside those that came before it."""


class Clash(NamedTuple):
    """A difference of a cell from an earlier one; of recipes also the values that differ."""

    difference: str
    earlier: CellOfRun
    values: str


class Protocols:
    """The protocol of each dataset and the meaning of each label, as set by the first cells."""

    def __init__(self, runs: Sequence[Run], mixed: bool) -> None:
        """Begin without any cell.

        Args:
            runs: that cells come from.
            mixed: mark the labels of cells that do not fit, instead of refusing them.
        """
        self._mixed = mixed
        self._marks = _short_names(runs)
        self._first: dict[tuple[str, ...], tuple[Any, CellOfRun]] = {}
        self._others: set[Run] = set()

    def enter(self, run: Run, manifest: Mapping[str, Any]) -> None:
        """Note whether the protocol of a run differs on any dataset from those before it.

        If so, the labels of datasets that it alone has are marked, too: under one name, statements
        across datasets would be about two protocols.
        """
        traits = (t for cell in manifest["cells"].values() for t in _dataset_traits(manifest, cell))
        if any(self._first.get(t.group, (t.value,))[0] != t.value for t in traits):
            self._others.add(run)

    def _is_foreign(self, run: Run, dataset: str) -> bool:
        """Whether a run is of another protocol, on a dataset that no run of the first one has."""
        _, (first, _) = self._first["recipe", dataset]
        return self._mixed and {run, first} <= self._others

    def label(self, run: Run, manifest: Mapping[str, Any], cell_id: str, cell: CellEntry) -> str:
        """Return a cell's label, marked if it may not stand beside the cells before it.

        Raises:
            ProtocolClash: it may not, and marks were not asked for.
        """
        label, number, own = str(cell["label"]), 1, (run, cell)
        clash = self._clash(own, _dataset_traits(manifest, cell))
        if not clash and self._is_foreign(run, cell["dataset"]):
            label, number = f"{label} ({self._marks[run]})", 2
        while clash or (clash := self._clash(own, _row_traits(label, cell_id, cell))):
            if not self._mixed:
                raise ProtocolClash(f"{run.folder}: {_clash_text(clash, own)}")
            mark = "other code" if clash.earlier[0] is run else self._marks[run]
            label = f"{cell['label']} ({mark if number == 1 else f'{mark} {number}'})"
            number, clash = number + 1, None
        return label

    def _clash(self, own: CellOfRun, traits: Sequence[Trait]) -> Clash | None:
        """Return the first difference from an earlier cell, with that cell.

        Without one, the traits are noted for the cells that follow.
        """
        for difference, group, value in traits:
            first_value, earlier = self._first.get(group, (value, own))
            if first_value != value:
                return Clash(difference, earlier, _values_text(group[0], value, first_value))
        for _, group, value in traits:
            self._first.setdefault(group, (value, own))
        return None


def _row_traits(label: str, cell_id: str, cell: CellEntry) -> list[Trait]:
    """Return what a cell shares with all others of a label, which has one row per seed."""
    row = ("cell", cell["dataset"], label, str(cell["seed"]))
    return [*label_traits(cell, label), Trait("other parameters or code", row, cell_id)]


def _values_text(group: str, value: Any, earlier: Any) -> str:
    """Return the first value in which recipes differ: ` (epochs=8, there 100)`; else empty."""
    if group != "recipe":
        return ""
    names = sorted(n for n in {*value, *earlier} if value.get(n) != earlier.get(n))
    return f" ({names[0]}={value.get(names[0])}, there {earlier.get(names[0])})"


def _clash_text(clash: Clash, own: CellOfRun) -> str:
    (run, cell), (earlier_run, earlier_cell) = own, clash.earlier
    name, than = f"{cell['dataset']} {cell['label']}", earlier_cell["label"]
    if earlier_run is not run:
        than = f"in {earlier_run.folder}"
    elif than == cell["label"]:
        dataset = earlier_cell["dataset"]
        of_dataset = "" if dataset == cell["dataset"] else f" of {dataset}"
        name, than = f"{name} seed {cell['seed']}", f"seed {earlier_cell['seed']}{of_dataset}"
    return f"{name} was made with {clash.difference} than {than}{clash.values}"


def _short_names(runs: Sequence[Run]) -> dict[Run, str]:
    """Return the last parts of each folder's path, as many as distinguish it from the others."""
    paths = {run: real_path(run.folder).parts for run in runs}
    names = {}
    for run, parts in paths.items():
        others = [path for path in paths.values() if path != parts]
        depth = 1
        while depth < len(parts) and any(parts[-depth:] == path[-depth:] for path in others):
            depth += 1
        names[run] = "/".join(parts[-depth:])
    return names
