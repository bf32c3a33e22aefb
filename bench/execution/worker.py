"""What a worker does for each kind of job.

The driver names `do_work` in each job that it starts. The rooms that load torch are imported in
it, so that only workers load them.
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from distillation_bench.bench.execution.jobs import (
    CheckPrecision,
    JoinTeacher,
    PrepareData,
    RunCell,
    TrainPiece,
    Work,
)
from distillation_bench.bench.execution.workplace import Workplace
from distillation_bench.bench.training.cell_result import CellResult


def do_work(workplace: Workplace, work: Work) -> CellResult | str | None:
    """Do the work of a job. Return the result of a cell, or the warning of a precision check."""
    from distillation_bench.bench.training import data_preparation, teacher_cache
    from distillation_bench.bench.training.cell import run_cell
    from distillation_bench.bench.training.hardware import bfloat16_speed

    checkpoint_seconds = workplace.checkpoint
    match work:
        case PrepareData(plan):
            data_preparation.prepare_data(workplace.open(), plan, Path(workplace.data_root))
            return None
        case TrainPiece(plan, piece):
            teacher_cache.train_piece(workplace.open(), plan, piece, checkpoint_seconds)
            return None
        case JoinTeacher(plan):
            teacher_cache.join_pieces(workplace.open(), plan, checkpoint_seconds)
            return None
        case RunCell(cell, measure_latency):
            return run_cell(cell, workplace.open(), checkpoint_seconds, measure_latency)
        case CheckPrecision():
            return bfloat16_speed.warning(bfloat16_speed.slowdown())
        case _:
            assert_never(work)
