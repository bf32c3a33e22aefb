"""Results from Python: what commands make of them, by method."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from tests.bench.generated_runs import HOSTILE, generate

from distillation_bench.bench.api.python_words import use_python_words
from distillation_bench.bench.api.results import Results, load
from distillation_bench.bench.common.errors import UsageError

GAP = 0.5


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Methods `kd` and `NA` on two datasets; `NA` is better by GAP, with a little noise."""
    cells = [(d, m, s) for d in ("digits", "sine") for m in ("kd", "NA") for s in range(8)]
    values = {
        (dataset, method, seed): {
            "nll": 1 + seed % 3 / 100 - GAP * (method == "NA") * (1 + seed / 99)
        }
        for dataset, method, seed in cells
    }
    return load(generate(tmp_path / "run", values).folder)


def test_methods_are_compared(results: Results) -> None:
    comparison = results.compare("nll", baseline="kd", datasets="digits")
    (pair,) = comparison.pairs.itertuples()
    assert (pair.dataset, pair.first, pair.second, pair.n) == ("digits", "NA", "kd", 8)
    assert pair.mean == pytest.approx(-GAP, abs=0.05) and pair.distinguishable
    assert "NA is better than kd on digits" in comparison.sentences[0]
    assert repr(comparison) == "\n".join(comparison.sentences)


def test_a_leaderboard_has_every_form(results: Results) -> None:
    board = results.leaderboard("digits")
    assert list(board.table.index) == ["kd", "NA"] and list(board.table["n"]) == ["8", "8"]
    assert "0.4" in board.table.loc["NA"].iloc[0]
    assert repr(board).startswith("digits") and "Leaderboard(" not in repr(board)
    assert r"\begin{tabular}" in board.to_latex() and "| NA" in board.to_markdown()
    assert "font-weight: bold" in board._repr_html_()
    assert list(results.leaderboard("sine", methods="NA").table.index) == ["NA"]


def test_names_are_escaped_in_a_notebook(tmp_path: Path) -> None:
    name = HOSTILE[1]
    board = load(generate(tmp_path / "run", {(name, name, 0): {"nll": 1.0}}).folder).leaderboard()
    assert "<script>" not in board._repr_html_()


def test_several_runs_are_joined(results: Results, tmp_path: Path) -> None:
    other = generate(tmp_path / "other", {("digits", "hydra", 0): {"nll": 1.0}}).folder
    joined = load(tmp_path / "run", str(other))
    assert isinstance(joined, Results)
    assert load([tmp_path / "run", other]).planned.equals(joined.planned)
    assert set(joined.labels("digits")) == {"hydra", "kd", "NA"}
    assert len(joined.planned) == len(results.planned) + 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.leaderboard(), "leaderboard: of which dataset? there is digits, sine"),
        (
            lambda r: r.leaderboard("digit"),
            "dataset=digit: not in these runs; did you mean 'digits'?",
        ),
        (lambda r: r.compare("nlll"), "nlll: unknown metric; did you mean 'nll'?"),
        (
            lambda r: r.compare(baseline="kdd"),
            "baseline=kdd: not in these runs; did you mean 'kd'?",
        ),
        *(
            (call, "metric=3: not a text")
            for call in (
                lambda r: r.compare(3),
                lambda r: r.summary(3),
                lambda r: r.values(3),
                lambda r: r.metric(3),
            )
        ),
        (lambda r: r.compare(baseline=None), "baseline=None: not a text"),
        (lambda r: r.compare(datasets=[]), "datasets=[]: is empty; leave it out for all"),
        (lambda r: r.leaderboard(3), "dataset=3: not a text"),
        (lambda r: r.plot(None), "figure=None: not a text"),
        (
            lambda r: r.plot("forest", baseline="kdd"),
            "baseline=kdd: not in these runs; did you mean 'kd'?",
        ),
        (
            lambda r: r.plot("metrics", width="nips"),
            "width=nips: give 2 to 40 inches or one of neurips, iclr, icml, acl",
        ),
        (lambda r: load(), "load: give a run's folder, or several"),
        (lambda r: r.compare(methods=5), "methods=5: not a text or a list of texts"),
        (lambda r: r.summary("error"), "metric=error: give accuracy, which tables print as error"),
        (lambda r: load("nowhere"), "nowhere: no such folder"),
        (lambda r: load(["nowhere", "there"]), "nowhere: no such folder"),
        (lambda r: load([]), "load: give a run's folder, or several"),
        (lambda r: load(cast("str", 3)), "load=3: not a text or a list of texts"),
    ],
)
def test_a_mistake_is_one_line_in_the_words_of_python(
    results: Results, call: Callable[[Results], object], message: str
) -> None:
    use_python_words()
    with pytest.raises(UsageError) as caught:
        call(results)
    assert str(caught.value) == message
