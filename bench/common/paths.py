"""Where the code is, and the default folders of data and cache."""

import sys
from pathlib import Path

PACKAGE = "distillation_bench"
FOLDERS = ("bench", "methods", "datasets")
ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds these folders: a clone, or the installed package."""
# Not by an import statement: the package itself imports the public API, which stands above all.
IMPORT_FOLDER = Path(str(sys.modules[PACKAGE].__file__)).parents[1]
"""The folder that the package is imported from; in a clone it holds nothing else."""
DATA_ROOT = Path("data")
CACHE = Path("results", "cache")
