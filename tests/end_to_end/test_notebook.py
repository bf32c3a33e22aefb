"""The notebook in examples/, executed as a reader does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from tests.end_to_end.bench_command import ROOT

NOTEBOOK = ROOT / "examples" / "tour.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook after every cell has run; a cell that raises is an error."""
    notebook = nbformat.reads(NOTEBOOK.read_text(), as_version=4)  # type: ignore[no-untyped-call]
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "src"))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        NotebookClient(
            notebook, timeout=240, resources={"metadata": {"path": str(folder)}}
        ).execute()
    return notebook


def outputs(notebook: Any, word: str) -> list[Any]:
    """The outputs of the one cell of code that contains a word."""
    (cell,) = (c for c in notebook.cells if c.cell_type == "code" and word in c.source)
    return list(cell.outputs)


def test_progress_is_one_display(executed: Any) -> None:
    """It has been updated to the end; the second output is the results' table."""
    progress, results = outputs(executed, "db.run(")
    assert progress.output_type == "display_data"
    assert '<progress value="12" max="12">' in progress.data["text/html"]
    assert "12/12 cells done" in progress.data["text/html"]
    assert "<td>3 of 3</td>" in results.data["text/html"]


def test_nothing_is_written_on_stderr(executed: Any) -> None:
    code = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert not [
        output for cell in code for output in cell.outputs if output.output_type == "stream"
    ]


def test_figures_are_shown(executed: Any) -> None:
    for word in ('plot("maps"', 'plot("reliability"', 'plot("trade-off"'):
        (figure,) = outputs(executed, word)
        assert figure.data["image/png"]


def test_a_leaderboard_is_a_table_with_marks(executed: Any) -> None:
    (board,) = outputs(executed, "leaderboard")
    assert "font-weight: bold" in board.data["text/html"]
    assert "hydra+[heads=3]" in board.data["text/plain"]


def test_a_comparison_says_what_three_seeds_allow(executed: Any) -> None:
    (comparison,) = outputs(executed, "comparison = ")
    assert "cannot tell with n = 3" in comparison.data["text/plain"]


def test_the_notebook_is_small_and_its_outputs_name_no_machine() -> None:
    """It is committed as executed, so that a reader sees tables and figures without running it."""
    text = NOTEBOOK.read_text()
    notebook = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    assert Path(NOTEBOOK).stat().st_size < 300_000
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [o for cell in code for o in cell.outputs if o.output_type in ("stream", "error")]
    data = [item for cell in code for output in cell.outputs for item in output.data.items()]
    shown = [str(content) for kind, content in data if kind.startswith("text/")]
    paths = re.compile(r"(?<![\w<.])/(?:home|Users|root|tmp|work|private|mnt)/|[A-Z]:\\")
    assert shown and not [text for text in shown if paths.search(text)]
