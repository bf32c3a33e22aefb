"""Files that comments, docstrings and documents name exist."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[1]
FOLDERS = ("bench", "methods", "datasets", "tests")
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/python.md",
    "docs/clusters.md",
    "docs/failures.md",
)
_PATH = re.compile(rf"(?<![\w/.~-])(?:{'|'.join(FOLDERS)})(?:/[\w.-]+)+\.\w+")
"""A path from the top of the repository to a file; a name in capitals stands for any name."""


def comments_and_docstrings(source: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


def texts(path: Path) -> Iterator[str]:
    content = path.read_text()
    return comments_and_docstrings(content) if path.suffix == ".py" else iter([content])


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_files_that_code_names_exist(folder: str) -> None:
    assert missing_files((CLONE / folder).rglob("*.py")) == []


def test_the_files_that_documents_name_exist() -> None:
    assert missing_files(CLONE / name for name in DOCUMENTS) == []


def missing_files(files: Iterator[Path]) -> list[str]:
    return [
        f"{file.relative_to(CLONE)}: {name}"
        for file in files
        for text in texts(file)
        for name in _PATH.findall(text)
        if not Path(name).stem.isupper() and not (CLONE / name).exists()
    ]


def test_a_path_in_a_comment_is_found() -> None:
    source = 'x = "bench/a.py"  # see bench/b.py\n"""Of x (methods/c/d.py)."""\n'
    paths = [name for text in comments_and_docstrings(source) for name in _PATH.findall(text)]
    assert paths == ["bench/b.py", "methods/c/d.py"]
