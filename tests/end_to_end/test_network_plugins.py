"""The example of a plugin with a network, from the check to the tables."""

from __future__ import annotations

import csv
from pathlib import Path

from tests.end_to_end.bench_command import Bench, folders

PLUGIN = ("--plugin", str(Path(__file__).with_name("network_plugin.py")))
RUN = (
    *("-m", "ensemble", "-m", "hydra+[heads=2]", "-d", "spiral", "-s", "0"),
    *("--set", "epochs=2", "--set", "members=2", "--set", "network.family=normalised"),
)


def test_the_example_fits_and_runs(bench: Bench, in_process: Bench, tmp_path: Path) -> None:
    checked = in_process("check", PLUGIN[1])
    assert checked.returncode == 0, checked.stdout
    listed = in_process("list", "networks", *PLUGIN).stdout
    assert "normalised: Perceptrons with layer normalisation." in listed
    assert "width  32  of every hidden layer" in listed
    done = bench("run", *RUN, *PLUGIN, "--jobs", "2", *folders("run"))
    assert done.returncode == 0, done.stderr
    with (tmp_path / "run/results.csv").open() as file:
        statuses = {row["label"]: row["status"] for row in csv.DictReader(file)}
    assert statuses == {"ensemble": "done", "hydra+[heads=2]": "done"}
    again = in_process("run", *RUN, *PLUGIN, *folders("run"))
    assert again.returncode == 0 and "[1/" not in again.stderr


def test_a_run_without_its_plugin_is_refused(in_process: Bench, tmp_path: Path) -> None:
    done = in_process("run", *RUN, *folders("run"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: --set: unknown network family 'normalised'")
    assert not (tmp_path / "run").exists()


def test_options_of_a_plugins_networks_are_checked(in_process: Bench, tmp_path: Path) -> None:
    done = in_process("plan", *RUN, *PLUGIN, "--set", "network.width=0")
    assert done.returncode == 2
    assert "--set: network: width" in done.stderr
