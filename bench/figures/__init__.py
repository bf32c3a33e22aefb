"""Figures for a paper and the report, from a run's folder alone."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import TypeVar

from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.figures.dataset_view import NoData, View
from distillation_bench.bench.figures.families.ablations import ablation
from distillation_bench.bench.figures.families.critical_difference import ranks
from distillation_bench.bench.figures.families.metric_dots import dots
from distillation_bench.bench.figures.families.quality_and_cost import cost
from distillation_bench.bench.figures.families.regression_bands import bands
from distillation_bench.bench.figures.families.reliability_diagrams import reliability
from distillation_bench.bench.figures.families.roc import roc
from distillation_bench.bench.figures.families.shift_lines import shift
from distillation_bench.bench.figures.families.teacher_fidelity import fidelity
from distillation_bench.bench.figures.families.training_curves import training
from distillation_bench.bench.figures.families.uncertainty_histograms import histograms
from distillation_bench.bench.figures.families.uncertainty_maps import maps
from distillation_bench.bench.figures.request import Drawn, Material, Options, Rendered
from distillation_bench.bench.figures.style import Format, Look, style, to_bytes

__all__ = [
    "PLOTS",
    "Drawn",
    "Format",
    "Options",
    "Plot",
    "Rendered",
    "draw",
    "draw_part",
    "gathered",
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


Named = TypeVar("Named", Drawn, Rendered)
"""A figure with its name, drawn or written."""
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
    _check_seed(material)
    _check_sets(material)
    kinds = dict.fromkeys(names) or PLOTS
    of_datasets = [name for name in kinds if PLOTS[name].of_dataset]
    parts = [(name, dataset) for dataset in material.datasets for name in of_datasets]
    parts += [(name, "") for name in kinds if PLOTS[name].of_all]
    places = {name: place for place, name in enumerate(kinds)}
    return sorted(parts, key=lambda part: places[part[0]]) if names else parts


def _check_seed(material: Material) -> None:
    seed = material.options.seed
    known = sorted({each for _, _, each in material.results.cells})
    if seed is not None and seed not in known:
        raise UsageError(f"seed {seed}: not in the run; there is {', '.join(map(str, known))}")


def _check_sets(material: Material) -> None:
    """That each set asked for is in the run; not every figure and dataset need have it."""
    if not material.options.sets:
        return
    places = {place[:3] for _, place, _ in material.results.long(lambda place: True)}
    known = {"test"} | {
        f"{shift}/{severity}" if shift else name for name, shift, severity in places
    }
    for each in material.options.sets:
        if each.removeprefix("test/") not in known:
            raise UsageError(f"--on {each}: not in the run{nearest(each, known)}")


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


def gathered(
    parts: Sequence[Part], answers: Iterable[tuple[Sequence[Named], str]], required: Sequence[str]
) -> Iterator[Named]:
    """What parts gave, with names that no two figures share.

    Args:
        parts: that were drawn.
        answers: of each, its figures, or the reason why there is none.
        required: kinds of which there must be a figure.

    Raises:
        UsageError: there is none of a required kind.
    """
    given: set[str] = set()
    reasons: dict[str, list[str]] = {name: [] for name in required}
    for (kind, _), (figures, reason) in zip(parts, answers, strict=True):
        for figure in figures:
            name = _unused(figure.name, given)
            given.add(name.lower())
            yield replace(figure, name=name)
        if figures:
            reasons.pop(kind, None)
        elif kind in reasons:
            reasons[kind].append(reason)
    for kind, why in reasons.items():
        told = "; ".join(dict.fromkeys(why))
        raise UsageError(f"figure {kind}: no data ({told}); it needs {PLOTS[kind].needs}")


def _unused(name: str, given: Container[str]) -> str:
    """A name that none has yet, whatever a file system thinks of capitals."""
    numbered = (f"{name}-{number}" for number in count(2))
    return next(each for each in chain([name], numbered) if each.lower() not in given)


def draw(results: Results, names: Sequence[str] = (), options: Options = ALL) -> Iterator[Drawn]:
    """Kinds of figures by name, each of them required; without a name all that have data.

    Raises:
        UsageError: a name is unknown, or a kind asked for by name has no data.
    """
    material = Material(results, options, Look(results))
    parts = parts_of(material, names)
    yield from gathered(parts, (draw_part(material, part) for part in parts), names)
