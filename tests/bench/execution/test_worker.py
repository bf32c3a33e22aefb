"""What a worker does for each kind of job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distillation_bench.bench.execution.worker import do_work
from distillation_bench.bench.execution.workplace import Workplace


def test_work_of_an_unknown_kind_is_no_success(tmp_path: Path) -> None:
    unknown: Any = object()
    with pytest.raises(AssertionError, match="unreachable"):
        do_work(Workplace(str(tmp_path)), unknown)
