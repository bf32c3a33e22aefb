"""What is passed to and returned by the functions that draw figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from distillation_bench.bench.figures.image_files import Format as Format
from distillation_bench.bench.figures.old.appearance.layout import note_of


@dataclass(frozen=True)
class FigureOptions:
    """Which results are drawn; empty options select all.

    Attributes:
        datasets: names of datasets.
        labels: labels of variants, or names of methods, which select all their variants.
        seed: a single seed. Figures that show one seed use by default the first one that most
            variants have.
        metrics: selectors (`NAME[:SCORE][@SET]`) for figures that show metrics.
        sets: evaluation sets (`test`, `rotation/3`, `ood:plane`) for figures that show sets.
    """

    datasets: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    seed: int | None = None
    metrics: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()


@dataclass(frozen=True)
class DrawnFigure:
    """A figure of matplotlib with its texts.

    Attributes:
        name: name of its file, without the suffix.
        title: title in words.
        alt: alternative text that describes what can be seen.
        figure: matplotlib's figure.
    """

    name: str
    title: str
    alt: str
    figure: Figure

    @property
    def note(self) -> str:
        """The text below the figure: n, and the cells that are missing."""
        return note_of(self.figure)


@dataclass(frozen=True)
class RenderedFigure:
    """A figure as image files.

    Attributes:
        name, title, alt, note: as in `DrawnFigure`.
        width, height: size in inches.
        contents: content of the file in each format.
    """

    name: str
    title: str
    alt: str
    note: str
    width: float
    height: float
    contents: Mapping[Format, bytes]
