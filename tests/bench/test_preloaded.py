"""What a task imports it imports in each process anew: the server has it already."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import bench

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
import bench.preloaded
from bench import worker
from bench.config import load_preset, parse_settings, parse_variant
from bench.plan import make_cells
from bench.workplace import Workplace

config = replace(load_preset("quick"), datasets=("spiral", "sine"), seeds=(0,))
config = replace(config, variants=(parse_variant("kd"), parse_variant("hydra+")))
cells = make_cells(config.with_settings(parse_settings(["epochs=1", "members=2"])))
before = set(sys.modules)
place = Workplace(sys.argv[1])
for cell in cells:
    worker.prepare_data(place, cell.teacher.data)
    worker.make_piece(place, cell.teacher, 0)
    worker.run_cell(place, cell)
print(*sorted(set(sys.modules) - before))
"""


def test_the_tasks_of_small_cells_import_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    root = Path(bench.__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
