"""Where code lies, and where data and the cache lie unless a command is told otherwise."""

from pathlib import Path

PACKAGE = "distillation_bench"
FOLDERS = ("bench", "methods", "datasets")
ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds these folders, of a clone or of the installed package."""
IMPORT_FOLDER = Path(__file__).parents[3]
"""The folder that this package is imported from, and nothing else of a clone."""
DATA_ROOT = Path("data")
CACHE = Path("results", "cache")
