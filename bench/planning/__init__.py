"""What to run, decided without torch: configuration, cells, cache keys, plugins, estimates.

cache_keys          what data and teachers are made from, and their keys in the cache
cells               the cells of a configuration, checked and identified
code_digests        which code decides which values
configuration       what is asked for: presets and command-line options
data_remarks        what a user should know about the data of a run
estimates           how long a run takes
evaluation_sources  OOD sets and corrupted test sets
plugins             code from outside the repository
recipe              how the teacher and the students of a dataset are trained
request             what is asked for, before names are looked up
run_description     the description of a run that its folder holds

Private: recipe_resolution (each dataset's recipe) and variants (parameters and labels).
"""

__all__ = [
    "cache_keys",
    "cells",
    "code_digests",
    "configuration",
    "data_remarks",
    "estimates",
    "evaluation_sources",
    "plugins",
    "recipe",
    "request",
    "run_description",
]
