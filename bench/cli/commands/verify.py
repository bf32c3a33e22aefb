"""The command `verify`."""

from __future__ import annotations

from itertools import chain

import typer

from distillation_bench.bench.cli.options import OptionalCacheFolder, OptionalRunFolders
from distillation_bench.bench.cli.terminal import page
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.text import counted


def verify(folders: OptionalRunFolders = None, cache: OptionalCacheFolder = None) -> None:
    """Check records, checksums and tables; exit status 1 for errors."""
    from distillation_bench.bench.storage.run_folder import Run
    from distillation_bench.bench.storage.upkeep import verify as verification

    if not folders and cache is None:
        raise UsageError("verify: give a run's folder, or --cache FOLDER")
    wrong = notes = 0
    runs = [Run(folder) for folder in folders or []]
    findings = [verification.verify(run) for run in runs]
    checked = [counted(sum(map(verification.count_records, runs)), "record")] if runs else []
    if cache is not None:
        findings.append(verification.verify_cache(cache))
        checked.append(f"{len(verification.cache_keys(cache))} entries of the cache")
    for finding in chain.from_iterable(findings):
        page(str(finding))
        wrong += finding.wrong
        notes += not finding.wrong
    page(f"{' and '.join(checked)} checked: {wrong} wrong, {counted(notes, 'note')}")
    if wrong:
        raise typer.Exit(1)
