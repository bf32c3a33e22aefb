"""Results from Python: the tables, and by method what commands make of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from distillation_bench.bench.analysis import results as analysis
from distillation_bench.bench.api.arguments import AnyPath, TextOrTexts, paths_of, text_of, texts_of
from distillation_bench.bench.common.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from distillation_bench.bench.analysis.comparison.methods import Comparison
    from distillation_bench.bench.analysis.metric_info import MetricInfo
    from distillation_bench.bench.analysis.tables.table import Table


@dataclass(frozen=True, repr=False)
class Results(analysis.Results):
    __doc__ = analysis.Results.__doc__

    def metric(self, selector: str) -> MetricInfo:
        return super().metric(text_of("metric", selector))

    metric.__doc__ = analysis.Results.metric.__doc__

    def compare(
        self,
        metric: str = "nll",
        *,
        baseline: str = "",
        datasets: TextOrTexts | None = None,
        methods: TextOrTexts | None = None,
    ) -> Comparison:
        """Compare methods in one metric, paired by seed and teacher, as the command `compare` does.

        Args:
            metric: a selector, such as "ece" or "ece@rotation/3".
            baseline: the method that all others are compared with; by default all pairs are.
            datasets, methods: by default all; a method names all its variants.

        Returns:
            `pairs` is a DataFrame with a row for each pair on each dataset; `sentences` say what
            it can and cannot show.

        Raises:
            UsageError: a name is unknown, or nothing can be compared.
        """
        from distillation_bench.bench.analysis.comparison.methods import compare

        shown = texts_of("datasets", datasets), texts_of("methods", methods)
        return compare(self, metric, text_of("baseline", baseline), *shown)

    def leaderboard(
        self, dataset: str | None = None, *, methods: TextOrTexts | None = None
    ) -> Table:
        """Return the leaderboard of a dataset; it may be left out if there is only one.

        Returns:
            A table that a notebook shows with the best bold. `table` is a DataFrame of its texts,
            `style` a Styler; `to_latex()` and `to_markdown()` return text.

        Raises:
            UsageError: a name is unknown, or there are several datasets and none is given.
        """
        from distillation_bench.bench.analysis.tables.leaderboard import leaderboards

        if dataset is None and len(self.datasets) > 1:
            raise UsageError(f"leaderboard: of which dataset? there is {', '.join(self.datasets)}")
        name = self.datasets[0] if dataset is None else text_of("dataset", dataset)
        self.select_datasets([name], option="dataset=")
        return leaderboards(self, [name], texts_of("methods", methods))[0]

    def plot(
        self,
        figure: str,
        *,
        metric: TextOrTexts | None = None,
        datasets: TextOrTexts | None = None,
        methods: TextOrTexts | None = None,
        seed: int | None = None,
        baseline: str = "",
        on: TextOrTexts | None = None,
        width: float | str = "",
        note: bool = True,
        font: str = "",
        ax: Axes | None = None,
    ) -> Figure:
        """Draw a figure, as the command `plot` does.

        Args:
            figure: its name: "shift", "cost" and so on, or that of a plugin.
            metric: selectors, such as "nll" or "ece@rotation/3", for figures of metrics.
            datasets, methods: by default all; a method names all its variants.
            seed: for figures of one seed.
            baseline: the method that figures of differences are to, by default KD.
            on: evaluation sets, such as "test", "rotation/3" or "ood:plane".
            width: inches, or "neurips", "icml", "iclr" or "acl".
            note: whether to write the note below the panels.
            font: a font of this machine.
            ax: axes to draw into, for a figure of one panel.

        Raises:
            UsageError: a name is unknown, there is nothing to draw, or several figures.
        """
        from distillation_bench.bench.figures.drawing import draw
        from distillation_bench.bench.figures.figure_data import FigureOptions
        from distillation_bench.bench.figures.rendering import show_in_notebooks

        options = FigureOptions(
            datasets=texts_of("datasets", datasets),
            labels=texts_of("methods", methods),
            seed=seed,
            baseline=text_of("baseline", baseline),
            metrics=texts_of("metric", metric),
            sets=texts_of("on", on),
            width=str(width),
            note=note,
            font=text_of("font", font),
        )
        show_in_notebooks()
        return draw(self, text_of("figure", figure), options, ax)


def load(*folders: AnyPath | Iterable[AnyPath], mixed: bool = False) -> Results:
    """Read the results of one run or several.

    Args:
        folders: folders of runs, one by one or in lists. A cell that several runs hold counts
            once, the first that is done.
        mixed: also take cells made under another protocol (recipe, teacher, sets, code that
            measures) than the first ones of their dataset, or with another method, parameters or
            code than the first ones of their label, with a mark behind their labels.

    Raises:
        UsageError: no folder is given, one is not a run, unreadable or without values, protocols
            differ, a label stands for more than one thing, or the values of a cell differ.
    """
    paths = [path for group in folders for path in paths_of("load", group)]
    if not paths:
        raise UsageError("load: give a run's folder, or several")
    return with_methods(analysis.load(*paths, mixed=mixed))


def with_methods(results: analysis.Results) -> Results:
    """Return the same results with the methods of Python."""
    return Results(**{field.name: getattr(results, field.name) for field in fields(results)})
