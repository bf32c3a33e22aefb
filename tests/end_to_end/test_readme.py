"""The examples of the README, run as they are printed there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.end_to_end.bench_command import ROOT, Bench, folders

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = README + "".join(
    path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))
)
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def example(folder: Path, word: str) -> str:
    (code,) = [example for example in EXAMPLES if word in example]
    path = folder / "my_plugin.py"
    path.write_text(code, encoding="utf-8")
    return str(path)


def test_the_example_method_is_short() -> None:
    (code,) = [example for example in EXAMPLES if "LogitMatching" in example]
    assert len(code.splitlines()) <= 30


@pytest.mark.parametrize("word", ["LogitMatching", "top2"])
def test_an_example_passes_its_check(bench: Bench, tmp_path: Path, word: str) -> None:
    done = bench("check", example(tmp_path, word))
    assert done.returncode == 0, done.stdout
    assert "FAIL" not in done.stdout
    assert re.search(r"verdict: '.*' fits \((1 check|\d\d checks)\)", done.stdout)


def test_the_example_method_runs(bench: Bench, tmp_path: Path) -> None:
    selectors = ("-m", "logit-matching", "-m", "kd", "-d", "digits", "-d", "sine", "-s", "0")
    plugin = ("--plugin", example(tmp_path, "LogitMatching"))
    assert "logit-matching" in bench("list", "methods", *plugin).stdout
    done = bench("run", *plugin, *selectors, "--set", "epochs=2", "--jobs", "2", *folders("run"))
    assert done.returncode == 0, done.stderr
    assert "logit-matching" in bench("board", "run").stdout
    wrong = bench("plan", *plugin, "-m", "logit-matching[label=1]")
    assert wrong.returncode == 2 and "did you mean 'labels'?" in wrong.stderr


def test_the_example_metric_becomes_a_column(in_process: Bench, tmp_path: Path) -> None:
    plugin = ("--plugin", example(tmp_path, "top2"))
    selectors = ("-m", "kd", "-d", "spiral", "-s", "0", "--set", "epochs=2")
    done = in_process("run", *plugin, *selectors, *folders("run"))
    assert done.returncode == 0, done.stderr
    assert "top2 ↑" in done.stdout


def test_an_installed_plugin_is_found(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example(tmp_path, "LogitMatching")
    installed = tmp_path / "my_plugin-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugin\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[distillation_bench]\nmine = my_plugin\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    selectors = ("-m", "logit-matching", "-d", "spiral", "-s", "0", "--set", "epochs=2")
    done = bench("run", *selectors, "--jobs", "2", *folders("run"))
    assert done.returncode == 0, done.stderr
    assert "spiral logit-matching seed 0" in done.stderr


def test_every_command_and_option_of_the_readme_exists(in_process: Bench) -> None:
    help_text = in_process("--help").stdout
    commands = re.findall(r"^  (\w+)  ", help_text.partition("Commands:")[2], re.MULTILINE)
    for command in set(re.findall(r"python run_bench\.py +(\w+)", DOCUMENTS)):
        assert command in commands
    text = help_text + "".join(in_process(command, "--help").stdout for command in commands)
    for option in set(re.findall(r"`(--?[a-z][a-z-]*)", DOCUMENTS)):
        assert re.search(rf"{option}\b", text), option
