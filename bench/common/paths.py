"""Where the code is, and the default folders of data and cache."""

from pathlib import Path

import distillation_bench

PACKAGE = "distillation_bench"
FOLDERS = ("bench", "methods", "datasets")
ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds these folders: a clone, or the installed package."""
IMPORT_FOLDER = Path(str(distillation_bench.__file__)).parents[1]
"""The folder that the package is imported from; in a clone it holds nothing else."""
DATA_ROOT = Path("data")
CACHE = Path("results", "cache")
