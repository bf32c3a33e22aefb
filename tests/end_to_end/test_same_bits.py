"""The values of a cell depend on its configuration alone."""

from __future__ import annotations

import contextlib
import csv
import json
import signal
import time
from pathlib import Path

import pytest
from tests.end_to_end.bench_command import GRID, SHORT, Bench, folders, start, tables

from distillation_bench.bench.execution.executors.local import LocalExecutor
from distillation_bench.bench.execution.executors.processes.forked_process import ForkedProcess
from distillation_bench.methods import METHODS

CELLS, SKIPPED = 54, 2


def rows(run: Path, table: str) -> list[dict[str, str]]:
    with (run / table).open(newline="") as file:
        return list(csv.DictReader(file))


def assert_part_of(run: Path, reference: Path) -> int:
    """Check that the rows of a run equal those of the reference; return the number of cells."""
    for table in ("metrics.csv", "results.csv"):
        run_rows, reference_rows = rows(run, table), rows(reference, table)
        names = ("dataset", "label", "seed")
        cells = {tuple(row[name] for name in names) for row in run_rows}
        expected = [row for row in reference_rows if tuple(row[name] for name in names) in cells]
        assert run_rows == [{name: row[name] for name in run_rows[0]} for row in expected]
    return len(run_rows)


def test_the_reference_is_complete(reference: Path) -> None:
    results = rows(reference, "results.csv")
    statuses = [row["status"] for row in results]
    assert (len(statuses), statuses.count("done")) == (CELLS, CELLS - SKIPPED)
    assert {(row["method"], row["dataset"]) for row in results if row["status"] == "skipped"} == {
        ("endd", "sine")
    }
    assert len(list((reference / "cells").glob("*.json"))) == CELLS
    # The latency of the ensemble is that of its members.
    assert len(list((reference / "cells").glob("*/history.csv"))) == CELLS - SKIPPED


def test_two_workers_give_the_same_bits(bench: Bench, reference: Path, tmp_path: Path) -> None:
    assert bench("run", *GRID, "--jobs", "2", *folders("run")).returncode == 0
    assert tables(tmp_path / "run") == tables(reference)


def test_a_new_process_for_each_cell_gives_the_same_bits(
    in_process: Bench, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes of the reference run several cells; here each runs only one."""
    ended: list[ForkedProcess] = []

    def end(executor: LocalExecutor, process: ForkedProcess, device: str) -> None:
        ended.append(process)
        executor._forget(process)

    monkeypatch.setattr(LocalExecutor, "_keep_idle", end)
    once = (*GRID[:16], "-d", "spiral", "-d", "digits-0-7", "-d", "sine", "-s", "1", *SHORT)
    assert in_process("run", *once, "--jobs", "2", *folders("run")).returncode == 0
    assert assert_part_of(tmp_path / "run", reference) == CELLS // 2
    assert len(ended) > CELLS // 3


def test_another_order_gives_the_same_bits(
    in_process: Bench, reference: Path, tmp_path: Path
) -> None:
    pairs = [GRID[i : i + 2] for i in range(0, len(GRID), 2)]
    turned = [text for pair in reversed(pairs) for text in pair]
    assert in_process("run", *turned, *folders("run")).returncode == 0
    assert tables(tmp_path / "run") == tables(reference)


def test_every_method_has_the_same_bits_in_any_order_and_number_of_workers(
    in_process: Bench, tmp_path: Path
) -> None:
    """Those of the grid above and all others, on both tasks."""
    where = ("-d", "spiral", "-d", "sine", "-s", "3", *SHORT)
    for name, names, jobs in (("one", [*METHODS], "1"), ("two", [*reversed(METHODS)], "2")):
        methods = (text for method in names for text in ("-m", method))
        done = in_process("run", *methods, *where, "--jobs", jobs, *folders(name))
        assert done.returncode == 0, done.stderr
    assert rows(tmp_path / "one", "metrics.csv")
    assert tables(tmp_path / "one") == tables(tmp_path / "two")


@pytest.mark.parametrize("piece", [1, 2])
def test_pieces_of_the_teacher_give_the_same_bits(
    in_process: Bench, reference: Path, tmp_path: Path, piece: int
) -> None:
    selection = ("-m", "ensemble", "-m", "kd", *GRID[16:], "--set", f"piece={piece}")
    assert in_process("run", *selection, *folders("run")).returncode == 0
    assert assert_part_of(tmp_path / "run", reference) == 12


def test_a_cell_alone_gives_the_same_bits(bench: Bench, reference: Path, tmp_path: Path) -> None:
    alone = ("-m", "hydra+[heads=4]", "-d", "digits-0-7", "-s", "1", *SHORT)
    assert bench("run", *alone, "--jobs", "2", *folders("run")).returncode == 0
    assert assert_part_of(tmp_path / "run", reference) == 1


def test_a_killed_cell_resumes_from_its_checkpoint(
    in_process: Bench, bench: Bench, tmp_path: Path
) -> None:
    """It ends with the same bits and leaves no checkpoint."""
    values = ("members=1", "batch_size=4", "epochs=20", "test_examples=90")
    recipe = (text for value in values for text in ("--set", value))
    alone = ("-m", "hydra", "-d", "spiral", "-s", "0", *recipe, "--checkpoint", "0")
    assert in_process("run", *alone, *folders("whole")).returncode == 0
    cache = tmp_path / "run-cache"
    process = start("run", *alone, "--jobs", "2", *folders("run"), folder=tmp_path)
    while epochs_kept(cache) < 12 and process.poll() is None:
        time.sleep(0.002)
    assert process.poll() is None, "it had ended before it was killed"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert epochs_kept(cache) < 20 and not list((tmp_path / "run" / "cells").glob("*.json"))
    done = bench("run", *alone, "--jobs", "2", *folders("run"))
    assert done.returncode == 0, done.stderr
    assert tables(tmp_path / "run") == tables(tmp_path / "whole")
    histories = [list((tmp_path / name).glob("cells/*/history.csv")) for name in ("run", "whole")]
    (first,), (second,) = histories
    assert first.read_bytes() == second.read_bytes()
    assert not list(tmp_path.glob("*-cache/checkpoint-*"))


def epochs_kept(cache: Path) -> int:
    """Return the number of epochs in the checkpoint of the only cell."""
    for note in cache.glob("checkpoint-spiral*.json"):
        with contextlib.suppress(OSError):
            return len(json.loads(note.read_bytes())["history"])
    return 0


def test_a_damaged_cache_is_written_again(
    in_process: Bench, reference: Path, tmp_path: Path
) -> None:
    alone = ("-m", "kd", "-d", "spiral", "-s", "0", *SHORT, *folders("run"))
    assert in_process("run", *alone).returncode == 0
    before = tables(tmp_path / "run")
    entries = sorted((tmp_path / "run-cache").glob("*.safetensors"))
    kinds = [path.name.partition("-")[0] for path in entries]
    assert kinds == ["data", "outputs", "sets", "weights", "weights", "weights"]
    for index, path in enumerate(entries):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content if index % 2 else content[:-7])
    assert in_process("run", *alone, "--force").returncode == 0
    assert tables(tmp_path / "run") == before
    assert assert_part_of(tmp_path / "run", reference) == 1


def test_an_interrupted_and_resumed_run_has_the_same_bits(
    bench: Bench, reference: Path, tmp_path: Path
) -> None:
    process = start("run", *GRID, "--jobs", "2", *folders("run"), folder=tmp_path)
    assert process.stderr is not None
    while not process.stderr.readline().startswith("["):
        pass
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Resume with:" in err and "run_bench.py run -m kd" in err
    finished = rows(tmp_path / "run", "results.csv")
    assert 1 <= len(finished) < CELLS
    assert not list((tmp_path / "run").rglob("*.part"))
    assert bench("run", *GRID, "--jobs", "2", *folders("run")).returncode == 0
    assert tables(tmp_path / "run") == tables(reference)
