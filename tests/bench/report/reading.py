"""What a reader sees of the report in a browser, and what can be ticked."""

from __future__ import annotations

from typing import Any

LONG = "hydra+[" + ",".join(f"parameter{i}=0.125" for i in range(12)) + "]"
"""A label of a row that is wider than a phone."""


def labels(page: Any, table: str = "#board-1") -> list[str]:
    script = "rows => rows.filter(row => !row.hidden).map(row => row.dataset.label)"
    shown: list[str] = page.eval_on_selector_all(f"{table} tbody tr", script)
    return shown


def heading(page: Any, name: str, table: str = "#board-1") -> Any:
    return page.locator(f"{table} thead button", has_text=name)


def headings(page: Any, table: str = "#board-1") -> list[str]:
    script = "all => all.filter(each => !each.hidden).map(each => each.dataset.column)"
    shown: list[str] = page.eval_on_selector_all(f"{table} thead th", script)
    return shown


def tick(page: Any, kind: str, name: str) -> Any:
    return page.locator(f"input[data-kind={kind}][value={json_text(name)}]")


def json_text(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
