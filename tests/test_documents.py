"""The Python in the documents: every block runs as it stands, one after another."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[1]
DOCUMENTS = [CLONE / "README.md", *sorted((CLONE / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SAVED = re.compile(r"Save this as `([\w.]+)`[^`]*$")
"""The end of a text before a block that a reader is to save."""
CLUSTERS = ("dask_jobqueue", "dask_kubernetes")
"""What the recipes for clusters import. `test_recipes.py` runs Slurm's; no test has Kubernetes."""
RUNNER = """
import sys
from pathlib import Path
namespace = {"__name__": "__main__"}
for number, file in enumerate(sys.argv[1:]):
    exec(compile(Path(file).read_text(), file, "exec"), namespace)
"""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_runs(document: Path, tmp_path: Path) -> None:
    """In one namespace and an empty folder, in which files are saved that the text asks to save."""
    text = document.read_text(encoding="utf-8")
    files = []
    for number, block in enumerate(BLOCK.finditer(text)):
        if any(library in block[1] for library in CLUSTERS):
            compile(block[1], document, "exec")
            continue
        saved = SAVED.search(text[: block.start()])
        files.append(tmp_path / (saved[1] if saved else f"block{number}.py"))
        files[-1].write_text(block[1], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, *map(str, files)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CLONE / "src")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_block_of_python_is_found() -> None:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        assert len(re.findall(r"``` *py", text)) == len(BLOCK.findall(text))
    assert sum(len(BLOCK.findall(document.read_text())) for document in DOCUMENTS) > 10


LINK = re.compile(r"\]\(([^)\s:]+)\)")
"""A link within the repository."""


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a document."""
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(document: Path) -> None:
    for link in LINK.findall(document.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link
