"""How every figure looks, whatever it shows.

colors       which colour a method gets, and those of text, grids and maps
style        markers, dashes and sizes, settings of matplotlib
layout       a grid of equal panels with a legend and a note below it
axis_scales  limits, scales, ticks and intervals along an axis
text_fit     text that is wrapped or cut to a width
image_files  a figure as the content of a PNG, PDF or SVG file
"""

__all__: list[str] = []
