"""A cell's figures depend on its configuration alone."""

from __future__ import annotations

import csv
import random
import signal
import time
from pathlib import Path

from tests.end_to_end.program import GRID, Bench, places, start, tables


def rows(run: Path, table: str) -> list[dict[str, str]]:
    with (run / table).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_reference_is_whole(reference: Path) -> None:
    results = rows(reference, "results.csv")
    assert len(results) == 20
    assert {row["status"] for row in results} == {"ok"}
    assert len(list((reference / "cells").glob("*.json"))) == 20
    trained = [row for row in results if row["method"] != "ensemble"]
    assert len(list((reference / "cells").glob("*/history.csv"))) == len(trained)


def test_two_workers(bench: Bench, reference: Path, tmp_path: Path) -> None:
    assert bench("run", *GRID, "--jobs", "2", *places("run")).returncode == 0
    assert tables(tmp_path / "run") == tables(reference)


def test_another_order_and_pieces(bench: Bench, reference: Path, tmp_path: Path) -> None:
    pairs = [GRID[i : i + 2] for i in range(0, len(GRID), 2)]
    turned = [text for pair in reversed(pairs) for text in pair]
    done = bench("run", *turned, "--set", "piece=2", "--jobs", "2", *places("run"))
    assert done.returncode == 0, done.stderr
    assert tables(tmp_path / "run") == tables(reference)


def test_a_cell_alone(bench: Bench, reference: Path, tmp_path: Path) -> None:
    alone = ("-m", "hydra+[heads=4]", "-d", "digits-0-7", "-s", "1", *GRID[-4:])
    assert bench("run", *alone, "--jobs", "2", *places("run")).returncode == 0
    for table in ("results.csv", "metrics.csv"):
        found = rows(tmp_path / "run", table)
        assert found
        columns = found[0].keys()
        expected = [
            {name: row[name] for name in columns}
            for row in rows(reference, table)
            if (row["dataset"], row["label"], row["seed"]) == ("digits-0-7", "hydra+[heads=4]", "1")
        ]
        assert found == expected


def test_killed_at_a_random_moment_and_resumed(
    bench: Bench, reference: Path, tmp_path: Path
) -> None:
    moment = random.SystemRandom().uniform(1.5, 6)
    process = start("run", *GRID, "--jobs", "2", *places("run"), folder=tmp_path)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished = {path.name: path.stat() for path in (tmp_path / "run" / "cells").glob("*.json")}
    done = bench("run", *GRID, "--jobs", "2", *places("run"))
    assert done.returncode == 0, f"killed after {moment:.2f} s: {done.stderr}"
    for name, stat in finished.items():
        now = (tmp_path / "run" / "cells" / name).stat()
        assert now.st_mtime_ns == stat.st_mtime_ns, "a finished cell was run again"
    assert tables(tmp_path / "run") == tables(reference), f"killed after {moment:.2f} s"


def test_a_damaged_cache_is_made_again(bench: Bench, reference: Path, tmp_path: Path) -> None:
    alone = ("-m", "kd", "-d", "spiral", "-s", "0", *GRID[-4:], *places("run"))
    assert bench("run", *alone).returncode == 0
    before = tables(tmp_path / "run")
    entries = sorted((tmp_path / "run-cache").glob("*.safetensors"))
    assert len(entries) == 2
    entries[0].write_bytes(entries[0].read_bytes()[:-7])
    content = bytearray(entries[1].read_bytes())
    content[-1] ^= 1
    entries[1].write_bytes(content)
    assert bench("run", *alone, "--force").returncode == 0
    assert tables(tmp_path / "run") == before


def test_interrupted_and_resumed(bench: Bench, reference: Path, tmp_path: Path) -> None:
    process = start("run", *GRID, "--jobs", "2", *places("run"), folder=tmp_path)
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Resume with:" in err and "python run_bench.py run -m kd" in err
    finished = rows(tmp_path / "run", "results.csv")
    assert 1 <= len(finished) < 20
    assert not list((tmp_path / "run").rglob("*.part"))
    assert bench("run", *GRID, "--jobs", "2", *places("run")).returncode == 0
    assert tables(tmp_path / "run") == tables(reference)
