"""The content of the report; test_in_browser.py opens it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.unchecked import unchecked

from distillation_bench.bench.analysis.results import load
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.report import columns, page_data
from distillation_bench.bench.report.page import build_report
from distillation_bench.bench.storage.run_folder import Run

MakeRun = Callable[..., Run]

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7 * 7 }} {% raw %}",
    "</style></title></script>&lt;b&gt;",
)
PROMPT = {("far", "a", 0): {"nll": 1.0}, ("far", "b", 0): {"nll": 2.0}}


class Page(HTMLParser):
    """Every element with its attributes, and the text of the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}
        self.text = ""
        self._within = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = "data" if ("type", "application/json") in attrs else tag

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style", "data"):
            self.inside[self._within] = self.inside.get(self._within, "") + data
        else:
            self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def page_of(*runs: Run, mixed: bool = False) -> Page:
    results = load(*(run.folder for run in runs), mixed=mixed)
    return Page(build_report(results, with_figures=False))


def data_of(page: str) -> dict[str, Any]:
    return dict(json.loads(Page(page).inside["data"]))


def hostile_run(make_run: MakeRun, folder: Path) -> Run:
    """Hostile text wherever a run's folder can hold text."""
    good = {
        (dataset, label, seed): {"nll": 1.0 + seed, HOSTILE[0]: 2.0}
        for dataset in HOSTILE[:2]
        for label in HOSTILE
        for seed in (0, 1)
    }
    run = make_run(
        folder,
        good,
        failed={(HOSTILE[0], f"failed {text}", 0): text for text in HOSTILE},
        parameters={text: {text: text} for text in HOSTILE},
        recipe=dict.fromkeys(HOSTILE, HOSTILE[1]),
        ood={HOSTILE[0]: {HOSTILE[1]: "far"}},
        metrics={
            HOSTILE[0]: {
                "better": "lower",
                "headline": True,
                "summary": HOSTILE[1],
                "task": "any",
            }
        },
        command=" ".join(HOSTILE),
    )
    run.write_manifest({**run.manifest(), "remarks": {HOSTILE[0]: [*HOSTILE]}})
    for path in run.cells.glob("*.json"):
        record = json.loads(path.read_bytes())
        record["environment"] = dict.fromkeys(HOSTILE, HOSTILE[0])
        record |= {"commit": HOSTILE[1]}
        run.write_record({name: value for name, value in record.items() if name != "sum"})
    return run


def test_hostile_text_is_escaped(make_run: MakeRun, tmp_path: Path) -> None:
    page = page_of(hostile_run(make_run, tmp_path / '<b title="x">'))
    assert (page.count("script"), page.count("style"), page.count("img")) == (2, 1, 0)
    assert page.count("b") == 0
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
        assert (attributes.get("href") or "#").startswith(("#", "data:,")), attributes
    for text in HOSTILE:
        assert text in page.text


def test_only_its_own_style_and_script_may_run(make_run: MakeRun, tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run", PROMPT))
    (policy,) = [
        attributes["content"] for _, attributes in page.elements if "http-equiv" in attributes
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy and "http" not in policy
    for name in ("style", "script"):
        digest = hashlib.sha256(page.inside[name].encode()).digest()
        assert f"{name}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy


def test_a_leaderboard_has_mean_deviation_and_n(make_run: MakeRun, tmp_path: Path) -> None:
    figures = {("far", "a", seed): {"nll": float(seed)} for seed in (1, 2, 3)}
    page = page_of(make_run(tmp_path / "run", figures | {("far", "b", 1): {"nll": 9.0}}))
    assert "2.000 ± 1.000" in page.text
    assert "9.000" in page.text and "9.000 ±" not in page.text
    keys = [
        attributes["data-key"]
        for tag, attributes in page.elements
        if tag == "td" and "data-key" in attributes
    ]
    assert keys[:4] == ["3", "2.0", "1", "9.0"], "n stands beside the name"


def test_remarks_on_the_data_are_below_the_leaderboard(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", PROMPT | {("other", "a", 0): {"nll": 1.0}})
    line = "classes without a test example: dog"
    run.write_manifest({**run.manifest(), "remarks": {"far": [line]}})
    page = page_of(run)
    assert page.text.count(line) == 1 and page.text.index(line) < page.text.index("other: ")


def test_cells_without_values_are_named_with_reasons(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run",
        PROMPT,
        failed={("far", "a", seed): "loss is nan" for seed in (1, 2)},
        skipped={("far", "c", 0): "no Dirichlet in regression"},
        missing=[("far", "b", 1)],
    )
    page = page_of(run)
    for text in ("loss is nan", "no Dirichlet in regression", "2 failed of 3", "1 missing of 2"):
        assert text in page.text
    assert page.text.index("loss is nan") < page.text.index("no Dirichlet")
    assert "failed1-2loss is nan" in page.text, "one line for cells of the same reason"


def test_non_finite_values_are_shown_as_such(make_run: MakeRun, tmp_path: Path) -> None:
    figures = {("far", "a", 0): {"nll": float("nan")}, ("far", "b", 0): {"nll": float("inf")}}
    page = page_of(make_run(tmp_path / "run", figures | {("far", "c", 0): {"nll": 1.0}}))
    cells = [attributes for tag, attributes in page.elements if tag == "td"]
    keys = [attributes["data-key"] for attributes in cells if "data-key" in attributes]
    assert keys[1::2][:3] == ["", "inf", "1.0"]


def test_values_below_chance_are_grey_and_the_reason_is_said(
    make_run: MakeRun, tmp_path: Path
) -> None:
    """The teacher is worse than chance on spiral, and better on digits."""
    aurocs = {"spiral": (0.2, 0.1, 0.6), "digits": (0.9, 0.3, 0.4)}
    values = {
        (dataset, label, 0): {"ood_auroc": auroc, "nll": nll}
        for dataset, of_labels in aurocs.items()
        for label, auroc, nll in zip(
            ("ensemble", "kd", "hydra"), of_labels, (0.1, 0.3, 0.2), strict=True
        )
    }
    run = make_run(tmp_path / "run", values)
    page = build_report(load(run.folder), with_figures=False)
    assert page.count('class="number chance"') == 3
    assert "so none is best, ranked or tested" in page and "Grey ~" in page
    assert "none: the teacher itself detects worse than chance" in page
    start = page.index('id="board-2"')
    assert "spiral" in page[start : start + 200]
    board = page[start : page.index("</table>", start)]
    (hydra,) = [row for row in board.split("<tr") if 'data-label="hydra"' in row]
    assert hydra.count("best") == 2 and "~" in hydra
    # Sorting is unchanged.
    (key,) = re.findall(r'class="number chance" data-key="([^"]*)"', hydra)
    assert float(key) == pytest.approx(60.0)
    sentences = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page)
    assert any("OOD AUROC" in title and "so none is better" in text for title, text in sentences)
    reasons = [column["reasons"] for column in data_of(page)["columns"]]
    assert sum("worse than chance" in reason.get("spiral", "") for reason in reasons) == 1
    assert not any("digits" in reason for reason in reasons)


# The data of the script


def test_the_data_hold_the_value_of_every_seed(make_run: MakeRun, tmp_path: Path) -> None:
    values = {("far", "a", seed): {"nll": float(seed)} for seed in (1, 2, 3)}
    values["far", "b", 1] = {"nll": math.inf}
    failed = {("far", "b", 2): "loss is </script> nan"}
    parameters = {"b": {"lam": 0.5, "heads": None}}
    run = make_run(tmp_path / "run", values, failed=failed, parameters=parameters)
    page = build_report(load(run.folder), with_figures=False)
    data = data_of(page)
    assert page.count("</script>") == 2
    (nll,) = [column for column in data["columns"] if column["key"] == "nll"]
    assert nll["values"] == [1.0, 2.0, 3.0, "inf", None]
    assert data["cells"]["seed"] == [1, 2, 3, 1, 2]
    assert data["reasons"] == {"4": "loss is </script> nan"}
    assert data["settings"] == [["far", "a", ""], ["far", "b", "heads = –, lam = 0.5"]]


def test_other_metrics_can_be_ticked(make_run: MakeRun, tmp_path: Path) -> None:
    values = {
        ("far", label, seed): {"nll": 1.0, "nll@rotation/3": nll + seed, "aurc@test": 0.5}
        for label, nll in (("a", 1.0), ("b", 2.0))
        for seed in (0, 2)
    }
    values["far", "a", 1] = {"nll": 1.0}
    data = data_of(build_report(load(make_run(tmp_path / "run", values).folder), False))
    by_key = {column["key"]: column for column in data["columns"]}
    assert [key for key, column in by_key.items() if "summary" in column] == [
        "aurc@test",
        "nll@rotation/3",
    ]
    assert by_key["nll@rotation/3"]["summary"][0] == [
        *("far", "a", 2.0, 2, "2.000 ± 1.414", "best")
    ]
    assert by_key["nll@rotation/3"]["title"] == "NLL (rotation 3) [nats]"


def test_uncertainties_and_temperatures_have_names(make_run: MakeRun, tmp_path: Path) -> None:
    names = ("total", "aleatoric", "epistemic", "temperature")
    row = {"nll": 1.0, **{f"{name}@test": 0.5 for name in names}}
    run = make_run(tmp_path / "run", {("far", "a", 0): row, ("far", "b", 0): row})
    data = data_of(build_report(load(run.folder), False))
    titles = {column["key"].partition("@")[0]: column["title"] for column in data["columns"]}
    assert [titles[name] for name in names] == [
        "Total uncertainty",
        "Aleatoric uncertainty",
        "Epistemic uncertainty",
        "Temperature",
    ]


def test_a_large_run_is_bounded_and_says_so(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "MAX_CELLS", 10)
    monkeypatch.setattr(page_data, "MAX_CELLS", 10)
    monkeypatch.setattr(page_data, "MAX_VALUES", 60)
    values = {
        ("far", label, seed): {"nll": float(seed), "nll@rotation/3": 1.0}
        for label in ("a", "b")
        for seed in range(20)
    }
    page = build_report(load(make_run(tmp_path / "run", values).folder), with_figures=False)
    shown = data_of(page)
    seeds = len(shown["cells"]["seed"]) // 2
    assert seeds == 60 // 2 // len(shown["columns"]) and 0 < seeds < 20
    assert f"Only the first {seeds} seeds of 20 of each method are shown one by one" in page
    assert "only the metrics of the leaderboard are here" in page
    assert [c["key"] for c in shown["columns"]] == ["nll", "timing.train_seconds", "timing.seconds"]
    assert "9.500" in page, "means are over all seeds"


def test_the_report_counts_versions_and_shows_the_command(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", PROMPT, command="python run_bench.py run -m 'a b'")
    path = next(iter(run.cells.glob("*.a*.json")), None) or next(run.cells.glob("*.json"))
    record = json.loads(path.read_bytes())
    record["environment"] = {"torch": "9.9"}
    run.write_record({name: value for name, value in record.items() if name != "sum"})
    page = page_of(run)
    text = " ".join(page.text.split())
    assert "python run_bench.py run -m 'a b'" in text
    assert "2.13 (1 cell)" in text and "9.9 (1 cell)" in text
    assert "0" * 40 in text


def test_the_same_run_gives_the_same_bytes(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", PROMPT)
    once, again = (build_report(load(run.folder)) for _ in range(2))
    assert once == again
    assert "2026-01-01 00:00" in once, "the time of the newest record"


def test_another_protocol_is_marked_in_a_report_of_several_runs(
    make_run: MakeRun, tmp_path: Path
) -> None:
    first = make_run(tmp_path / "one", PROMPT)
    two = make_run(tmp_path / "two", PROMPT, recipe={"epochs": 99})
    page = page_of(first, two, mixed=True)
    assert "one, two" in page.text and "a (two)" in page.text


@pytest.mark.parametrize("damage", [{"environment": 5}, {"reason": None}, {"finished": 7}])
def test_a_record_with_other_content_is_named(
    make_run: MakeRun, tmp_path: Path, damage: dict[str, object]
) -> None:
    run = make_run(tmp_path / "run", PROMPT)
    path = next(run.cells.glob("*.json"))
    record = json.loads(path.read_bytes())
    with unchecked():
        run.write_record({k: v for k, v in (record | damage).items() if k != "sum"})
    with pytest.raises(UsageError, match=re.escape(path.name)):
        page_of(run)
