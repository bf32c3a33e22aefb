"""The fork server has imported all that jobs of small cells need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from distillation_bench.bench.common.paths import IMPORT_FOLDER

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
import distillation_bench.bench.execution.executors.processes.preloaded
from distillation_bench.bench.execution import worker
from distillation_bench.bench.execution.jobs import PrepareData, RunCell, TrainPiece
from distillation_bench.bench.planning.configuration.preset_files import load_preset
from distillation_bench.bench.planning.configuration.option_values import (
    parse_settings,
    parse_variant,
)
from distillation_bench.bench.planning.cells import make_cells
from distillation_bench.bench.execution.workplace import Workplace

config = replace(load_preset("quick"), datasets=("spiral", "sine"), seeds=(0,))
config = replace(config, variants=(parse_variant("kd"), parse_variant("hydra+")))
cells = make_cells(config.with_settings(parse_settings(["epochs=1", "members=2"])))
before = set(sys.modules)
workplace = Workplace(sys.argv[1])
for cell in cells:
    for work in (PrepareData(cell.teacher.data), TrainPiece(cell.teacher, 0), RunCell(cell)):
        worker.do_work(workplace, work)
print(*sorted(set(sys.modules) - before))
"""


def test_jobs_of_small_cells_import_nothing_more(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    root = IMPORT_FOLDER
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
