"""Where the code is, and the default folders of data and cache."""

import contextlib
import os
import sys
from collections.abc import Iterator
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

SAFE_PATH = "PYTHONSAFEPATH"
"""While it is set, `python -m` and `python -c` import nothing from the current folder, which may be
a run of somebody else's."""


@contextlib.contextmanager
def safe_path() -> Iterator[None]:
    """Keep processes that are started within the block from importing from the current folder."""
    previous = os.environ.get(SAFE_PATH, "")
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        # Empty is as good as unset.
        os.environ[SAFE_PATH] = previous
