"""What the cells of one label have in common: without it, their mean would be of nothing.

One label is one method; on one dataset it is also one set of parameters, one version of the code
and libraries, and one version of the data, over all its seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Described = Mapping[str, Any]
"""A cell, as run.json describes it."""


class Trait(NamedTuple):
    """A value that cells share.

    Attributes:
        what: what a message says of a cell that has another one.
        where: the name of the group of cells that share it.
        value: compared for equality.
    """

    what: str
    where: tuple[str, ...]
    value: Any


@dataclass
class Clash:
    """Cells of one label that differ from the first one of that label."""

    what: str
    first: Described
    cells: list[Described] = field(default_factory=list)

    def __str__(self) -> str:
        one, other = self.cells[0], self.first
        of = "" if other["dataset"] == one["dataset"] else f" of {other['dataset']}"
        return (
            f"{one['dataset']} {one['label']}: {seeds_of(self.cells)} made with {self.what} "
            f"than seed {other['seed']}{of}"
        )


def traits(cell: Described, label: str = "") -> list[Trait]:
    """What a cell shares with all others of its label, or of a label that stands for it.

    Runs of an earlier version don't say which code and data their cells had.
    """
    dataset, label = cell["dataset"], label or cell["label"]
    return [
        Trait("another method", ("method", label), cell["method"]),
        Trait("other parameters", ("parameters", dataset, label), cell["parameters"]),
        Trait("other code or libraries", ("code", dataset, label), cell.get("code", "")),
        Trait("other data", ("data", dataset, label), cell.get("data", "")),
    ]


def clashes(cells: Iterable[Described]) -> list[Clash]:
    """Labels that stand for more than one thing, each once, with the first thing that differs."""
    firsts: dict[tuple[str, ...], tuple[Any, Described]] = {}
    found: dict[tuple[str, str], Clash] = {}
    for cell in cells:
        for what, where, value in traits(cell):
            known, first = firsts.setdefault(where, (value, cell))
            if known != value:
                clash = found.setdefault((cell["dataset"], cell["label"]), Clash(what, first))
                clash.cells.append(cell)
                break
    return list(found.values())


def seeds_of(cells: Iterable[Described]) -> str:
    """'seed 3' or 'seeds 0, 1'."""
    seeds = sorted({cell["seed"] for cell in cells})
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
