"""Figures of one run or several, drawn with matplotlib from what the runs' folders hold.

To add a figure, write a module in `families` and list it in `registry`.

    registry      every kind of figure by name: what it shows, what it needs, the function
    drawing       which figures there are to draw for a selection, and drawing them
    rendering     the same as contents of PNG, PDF and SVG files, drawn by several processes
    figure_types  options of a selection; a drawn and a rendered figure
    run_data      the results that all figures share
    dataset_data  the results of one dataset that a figure shows
    stored_curves arrays that are stored beside a cell's record
    notes         the text below a figure: n, and the cells that are missing
    appearance    colours, sizes, layout, axes and image files
    families      one module for each family of figures
"""

__all__ = ["drawing", "figure_types", "registry", "rendering"]
