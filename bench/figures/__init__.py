"""Figures of one run or several, drawn by seaborn and matplotlib from tables of results.

    registry      `figure`, which registers a kind of figure; every kind by name
    figure_data   the selection that a figure shows: values, arrays, legend, note
    shown_metrics a metric in the printed unit, its means over seeds, and the best student
    panels        equal panels, legend and note in a figure of the width asked for; `Drawing`
    style         widths, fonts and settings; colour, marker and dashes of each label
    axis_scales   limits, scales and ticks of an axis, and means with intervals along it
    text_fit      text that is wrapped or cut to a width
    stored_arrays arrays that are stored beside a cell's record
    drawing       which figures there are for a selection, and drawing them
    rendering     the same as contents of PNG, PDF and SVG files, drawn by several processes
    families      one module for each family of figures

A family is a module in `families` with a function that is registered; nothing else lists it but
`registry.ORDER`. `families/metric_dots.py` is one to begin from:

    @figure("mine", "what it shows, for --list", "what it needs, for messages")
    def draw_mine(data: FigureData) -> Iterator[Drawing]:
        for metric in data.metrics(["nll"]):              # --metric, or else these; NoData if none
            shown = data.shown(metric)                    # means by label: mean, low, high, n
            panels = Panels(data, count=1, width=2.0, height=1.6)
            (axes,) = panels
            panels.scale(axes, "y", shown.means, shown.possible)
            for at, label in enumerate(shown.means.index):
                style = data.styles[label]
                own = shown.means.loc[[label]]
                draw_means(axes, "y", [at], own, style.color, marker=style.marker)
            panels.label("method", shown.format.header)
            counts = shown.means["n"].to_dict()
            note = data.note(counts, panels.cut, shown=[shown])
            alt = f"What can be seen.{describe_best([shown])}"
            yield panels.finish(title, alt, note, data.legend(counts), part=str(metric))

Rules:

- Data are DataFrames with columns of `Results.planned` and `value`; `data.values` keeps those of
  selected cells. `seed_means(values, by=[...])` gives means and t intervals by group; seaborn draws
  from it where that is shorter than matplotlib, with its functions for axes and `errorbar=None`:
  those for figures, and its own statistics, are slow. Import it where it is used: processes that
  draw start twice as fast without it.
- A label has the colour, marker and dashes of `data.styles[label]` in every figure. Colours for
  anything else are in `style`; `UNCERTAINTY_COLORMAP` is the one map of colours.
- `Panels` chooses width and columns from `width`, the least width of a panel in inches; `height` is
  that of a row with its ticks and titles. matplotlib makes room for ticks and labels of any length.
  `panels.label` and `panels.title` wrap text; other text goes through `wrap` or `drawable`, since
  labels may hold anything. Legends stand below the panels. All text has 7 points.
- With `draw(..., ax=ax)` a kind of one panel is drawn into the caller's axes, without a note: use
  `panels.axes`, never `panels.figure`, for what belongs to a panel.
- Values beyond an axis have an arrow, and intervals end at what is possible. `panels.cut` says in
  the note if there is anything beyond; `scale_suffix` says where an axis is logarithmic.
- The note says n or the seed, what intervals are, and which cells are missing: `data.note`,
  `data.note_of_one_seed`. Where the teacher is worse than chance (`shown.why_grey`), values are
  `DIM` and none is `shown.best`.
- Alt text says what can be seen, with numbers: axes, labels, and the best or the last values.
- A family raises `NoData("reason in a few words")` before it makes panels where there is nothing.
- `part` tells figures of a kind and dataset apart; give it for options only, so that file names
  stay: `shift-digits`, and `shift-digits-ece` with `--metric ece`.
"""

__all__ = ["drawing", "figure_data", "panels", "registry", "rendering"]
