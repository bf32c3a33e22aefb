"""The folders of runs that a command reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage.run_folder import Run


def check_folders(folders: Sequence[Path], figures: Iterable[str] = ()) -> None:
    """Check that no name of a figure, dataset or method is given as a folder, without its option.

    Raises:
        UsageError: a folder that does not exist has such a name.
    """
    if not (absent := [folder for folder in folders[1:] if not folder.exists()]):
        return
    cells = Run(folders[0]).existing_manifest()["cells"].values()
    names = {
        **dict.fromkeys(figures, ("figure", "-f")),
        **{cell["dataset"]: ("dataset", "-d") for cell in cells},
        **{cell[kind]: ("method", "-m") for cell in cells for kind in ("method", "label")},
    }
    for folder in absent:
        if found := names.get(str(folder)):
            what, option = found
            raise UsageError(f"{folder}: no such folder; a {what} is {option} {folder}")
