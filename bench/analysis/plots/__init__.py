"""Figures for a paper and the report, from a run's folder alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.analysis.plots.ablation import ablation
from bench.analysis.plots.bands import bands
from bench.analysis.plots.cost import cost
from bench.analysis.plots.detection import roc
from bench.analysis.plots.fidelity import fidelity
from bench.analysis.plots.histograms import histograms
from bench.analysis.plots.look import Format, Look, style, to_bytes
from bench.analysis.plots.maps import maps
from bench.analysis.plots.metrics import dots
from bench.analysis.plots.ranks import ranks
from bench.analysis.plots.reliability import reliability
from bench.analysis.plots.shifts import shift
from bench.analysis.plots.training import training
from bench.analysis.plots.view import Drawn, Material, NoData, Options, View
from bench.analysis.results import Results
from bench.errors import UsageError, nearest

__all__ = [
    "PLOTS",
    "Drawn",
    "Format",
    "Options",
    "Plot",
    "draw",
    "draw_all",
    "draw_part",
    "no_data",
    "parts_of",
    "to_bytes",
]


ALL = Options()


@dataclass(frozen=True)
class Plot:
    """A kind of figure.

    Attributes:
        summary: what it shows, one line.
        needs: what there must be for it.
        of_dataset: draws one dataset's; or `of_all` draws over all datasets.
    """

    summary: str
    needs: str
    of_dataset: Callable[[View], list[Drawn]] | None = None
    of_all: Callable[[Material], list[Drawn]] | None = None


PLOTS = {
    "metrics": Plot(
        "metrics as dots (--on): every seed, the mean, its interval, the best student marked",
        "figures",
        dots,
    ),
    "maps": Plot(
        "total, aleatoric and epistemic uncertainty on the plane, methods side by side",
        "a dataset in the plane, such as spiral",
        maps,
    ),
    "bands": Plot(
        "bands of the three uncertainties around the regression curve",
        "a dataset with a curve, such as sine",
        bands,
    ),
    "histograms": Plot(
        "the three uncertainties on evaluation sets (--on), over the teacher's",
        "curves beside the cells",
        histograms,
    ),
    "shift": Plot("a metric against the severity of shifts", "shifted test sets", shift),
    "reliability": Plot("accuracy against confidence (--on)", "classes", reliability),
    "roc": Plot("detection of OOD inputs, with AUROC", "OOD sets", roc),
    "fidelity": Plot(
        "epistemic uncertainty of students against the teacher's (--on)",
        "curves beside the cells",
        fidelity,
    ),
    "cost": Plot("a metric against FLOPs, parameters and latency", "figures of cost", cost),
    "ablation": Plot(
        "metrics against parameters such as λ, b and the number of heads",
        "variants of a method that differ in one parameter alone",
        ablation,
    ),
    "ranks": Plot(
        "critical-difference diagram of average ranks", "at least 5 datasets", of_all=ranks
    ),
    "training": Plot("every term of the loss by epoch", "logged training", training),
}


Part = tuple[str, str]
"""A kind of figure and a dataset; no dataset for one over all of them."""


def parts_of(material: Material, names: Sequence[str] = ()) -> list[Part]:
    """What is drawn one after another: kind by kind, or of all kinds dataset by dataset.

    Raises:
        UsageError: a name here or in the options is unknown.
    """
    for name in names:
        if name not in PLOTS:
            raise UsageError(f"figure {name}: unknown{nearest(name, PLOTS)}")
    kinds = dict.fromkeys(names) or PLOTS
    of_datasets = [name for name in kinds if PLOTS[name].of_dataset]
    parts = [(name, dataset) for dataset in material.datasets for name in of_datasets]
    parts += [(name, "") for name in kinds if PLOTS[name].of_all]
    places = {name: place for place, name in enumerate(kinds)}
    return sorted(parts, key=lambda part: places[part[0]]) if names else parts


def draw_part(material: Material, part: Part) -> tuple[list[Drawn], str]:
    """The figures of a part; where there is nothing to draw, the reason."""
    name, dataset = part
    plot = PLOTS[name]
    with style():
        try:
            if plot.of_all:
                return plot.of_all(material), ""
            assert plot.of_dataset
            return plot.of_dataset(View(material, dataset)), ""
        except NoData as error:
            return [], f"{dataset}: {error}" if dataset else str(error)


def no_data(name: str, reasons: Iterable[str]) -> UsageError:
    """The error for a figure that was asked for by name."""
    why = "; ".join(dict.fromkeys(reasons))
    return UsageError(f"figure {name}: no data ({why}); it needs {PLOTS[name].needs}")


def draw(results: Results, name: str, options: Options = ALL) -> Iterator[Drawn]:
    """One kind of figure, of each dataset that has data for it.

    Raises:
        UsageError: a name is unknown, or no dataset has data for it.
    """
    material = Material(results, options, Look(results))
    found, reasons = False, []
    for part in parts_of(material, [name]):
        drawn, reason = draw_part(material, part)
        found |= bool(drawn)
        reasons.append(reason)
        yield from drawn
    if not found:
        raise no_data(name, reasons)


def draw_all(results: Results, options: Options = ALL) -> Iterator[Drawn]:
    """Every figure that there is data for: dataset by dataset, then those over all.

    Raises:
        UsageError: a name in the options is unknown.
    """
    material = Material(results, options, Look(results))
    for part in parts_of(material):
        yield from draw_part(material, part)[0]
