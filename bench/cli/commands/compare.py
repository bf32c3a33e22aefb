"""The command `compare`."""

from __future__ import annotations

from typing import Annotated

import typer

from distillation_bench.bench.cli.folders import check_folders
from distillation_bench.bench.cli.options import (
    BASELINE,
    METRIC,
    Datasets,
    Labels,
    Mixed,
    OutputFile,
    RunFolders,
)
from distillation_bench.bench.cli.output_files import check_targets, is_stdout, write_outputs
from distillation_bench.bench.cli.terminal import page


def compare(
    folders: RunFolders,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help=METRIC, show_default="nll")
    ] = None,
    baseline: Annotated[
        str, typer.Option("--baseline", help=BASELINE, show_default="all pairs")
    ] = "",
    dataset: Datasets = None,
    method: Labels = None,
    csv: OutputFile = None,
    json: OutputFile = None,
    latex: OutputFile = None,
    mixed: Mixed = False,
) -> None:
    """Test which methods differ, paired by teacher and seed."""
    from distillation_bench.bench.analysis import comparison
    from distillation_bench.bench.analysis.comparison.comparison_tables import (
        comparison_latex,
        comparison_text,
    )
    from distillation_bench.bench.analysis.comparison.comparison_values import (
        comparison_csv,
        comparison_json,
    )
    from distillation_bench.bench.analysis.results import load

    check_targets(csv, json, latex)
    check_folders(folders)
    results = load(*folders, mixed=mixed)
    # A metric that is unknown is reported before the first one is compared.
    metrics = dict.fromkeys(
        str(results.metric(name)) for name in metric or [comparison.DEFAULT_METRIC]
    )
    names = baseline, dataset or [], method or []
    compared = [comparison.compare(results, name, *names) for name in metrics]
    writers = {csv: comparison_csv, json: comparison_json, latex: comparison_latex}
    files = [(path, content(*compared)) for path, content in writers.items() if path]
    write_outputs(files)
    if not any(is_stdout(path) for path, _ in files):
        page(comparison_text(*compared))
