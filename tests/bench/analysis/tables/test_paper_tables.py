"""Paper tables: units, marks, daggers, missing values, layouts, formats, published values."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev

import pytest
from scipy import stats
from tests.simulation.daggers import daggers

from distillation_bench.bench.analysis.markup.text_tables import terminal_width
from distillation_bench.bench.analysis.metric_formats import metric_format
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.analysis.tables.published_values import PUBLISHED, published_tables
from distillation_bench.bench.analysis.tables.table_builder import make_tables
from distillation_bench.bench.analysis.tables.table_csv import table_csv
from distillation_bench.bench.analysis.tables.table_model import (
    PaperTable,
    TableEntry,
    TableOptions,
)
from distillation_bench.bench.analysis.tables.table_notes import table_notes
from distillation_bench.bench.analysis.tables.table_text import table_markdown, table_text
from distillation_bench.bench.cli.main import main
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.storage.tables import CellKey

Maker = Callable[..., Run]


def of(metric: str, **labels: list[float]) -> dict[CellKey, dict[str, float]]:
    """Return values of one metric on dataset d: by label, one value for each seed."""
    return {
        ("d", label, seed): {metric: value}
        for label, values in labels.items()
        for seed, value in enumerate(values)
    }


def entries(table: PaperTable) -> dict[str, TableEntry]:
    """Return the cells of a table with one column, by label."""
    return {name: row[0] for name, row in table.rows}


def notes(table: PaperTable) -> str:
    return " ".join(table_notes(table, ("Bold", "underlined")))


def test_units_are_those_that_papers_use(results_of: Callable[..., Results]) -> None:
    results = results_of(
        {
            ("d", "kd", s): {"accuracy": a, "ece": 0.0123, "nll": 0.5}
            for s, a in enumerate((0.9, 0.8))
        }
    )
    (table,) = make_tables(results, TableOptions())
    error, ece, nll = table.rows[0][1]
    assert table.columns == ("Error [%] ↓", "ECE [%] ↓", "NLL [nats] ↓")
    assert error.summary and error.summary.mean == pytest.approx(15)
    assert error.summary.deviation == pytest.approx(stdev([10, 20]))
    assert ece.format.text(ece.summary.mean if ece.summary else 0) == "1.23"
    assert nll.summary and nll.summary.mean == 0.5
    (raw,) = make_tables(results, TableOptions(raw=True, digits=2))
    assert raw.columns == ("Accuracy ↑", "ECE ↓", "NLL [nats] ↓")
    assert "0.85 ± 0.07" in table_text([raw])


def test_the_unit_of_sizes_follows_the_largest_value(results_of: Callable[..., Results]) -> None:
    results = results_of(of("flops", kd=[2_500_000.0], single=[900.0]))
    metric = results.metric("flops")
    assert metric_format(metric, [2_500_000.0, 900.0]).header == "FLOPs [M]"
    assert metric_format(metric, [0.0]).header == "FLOPs"
    (table,) = make_tables(results, TableOptions(metrics=("flops",)))
    assert "2.50" in table_text([table]) and not any(e.mark for e in table.entries)


def test_best_and_second_are_decided_by_rounded_means(results_of: Callable[..., Results]) -> None:
    figures = of("nll", ensemble=[0.1], a=[0.5001], b=[0.5004], c=[0.6], d=[0.7])
    cells = entries(make_tables(results_of(figures), TableOptions())[0])
    # a and b print alike: both best, and nobody is second.
    assert {label: entry.mark for label, entry in cells.items()} == {
        "ensemble": "",
        "a": "best",
        "b": "best",
        "c": "",
        "d": "",
    }
    finer = entries(make_tables(results_of(figures), TableOptions(digits=4))[0])
    assert (finer["a"].mark, finer["b"].mark, finer["c"].mark) == ("best", "second", "")


def test_the_highest_mean_is_best_if_higher_is_better(results_of: Callable[..., Results]) -> None:
    results = results_of(of("ood_auroc", a=[0.9], b=[0.8], c=[0.7]))
    cells = entries(make_tables(results, TableOptions())[0])
    assert (cells["a"].mark, cells["b"].mark) == ("best", "second")


def test_a_single_method_is_not_marked_as_best(results_of: Callable[..., Results]) -> None:
    (table,) = make_tables(
        results_of(of("nll", ensemble=[0.1, 0.2], kd=[0.3, 0.4])), TableOptions()
    )
    assert not any(entry.mark for entry in table.entries)
    assert "Bold" not in notes(table) and "cannot tell" not in notes(table)


def test_few_seeds_give_no_daggers_and_the_note_says_how_many_are_needed(
    results_of: Callable[..., Results],
) -> None:
    figures = of("nll", a=[0.1, 0.2, 0.3], b=[0.1, 0.2, 0.31], c=[0.5, 0.6, 0.7])
    (table,) = make_tables(results_of(figures), TableOptions())
    assert not any(entry.indistinguishable for entry in table.entries)
    # Three pairs: 3 · 2^(1 − n) ≤ .05 from n = 7 on.
    assert "n = 3 cannot tell a student from the best: with 3 comparisons" in notes(table)
    assert "needs 7 seeds" in notes(table) and "†" not in notes(table)


BEST = [0.1, 0.12, 0.09, 0.11, 0.1, 0.13, 0.08, 0.1]
NOISE = [0.03, -0.02, 0.02, -0.025, 0.031, -0.01, 0.015, -0.021]


def test_daggers_are_holm_corrected_sign_flips(results_of: Callable[..., Results]) -> None:
    labels = {
        "a": BEST,
        "b": [x + d for x, d in zip(BEST, NOISE, strict=True)],
        "c": [x + 0.2 for x in BEST],
    }
    (table,) = make_tables(results_of(of("nll", **labels)), TableOptions())
    p = {
        pair: stats.permutation_test(
            ([x - y for x, y in zip(*(labels[label] for label in pair), strict=True)],),
            fmean,
            permutation_type="samples",
            n_resamples=10_000,
        ).pvalue
        for pair in ("ab", "ac", "bc")
    }
    # All pairs are the family, though only those with the best a show.
    adjusted = dict(zip(p, multitest_holm([*p.values()]), strict=True))
    assert adjusted["ab"] > 0.05 >= adjusted["ac"]
    assert {label: entry.indistinguishable for label, entry in entries(table).items()} == {
        "a": None,
        "b": True,
        "c": False,
    }
    assert "ranked and without †: told apart" in notes(table) and "3 comparisons" in notes(table)
    assert "'†" in table_text([table]).replace(" ", "")


def multitest_holm(ps: list[float]) -> list[float]:
    """Holm's correction: the i-th smallest p times the number of remaining tests, made monotone."""
    ranked = sorted(ps)
    steps = [(len(ps) - i) * p for i, p in enumerate(ranked)]
    return [max(steps[: ranked.index(p) + 1]) for p in ps]


def test_all_pairs_are_corrected_for_because_the_best_is_chosen_from_the_same_values(
    results_of: Callable[..., Results],
) -> None:
    # Each difference has one sign: p = 2^(1 - 7). Two comparisons with the best would pass .05,
    # and all three pairs do; with four students three would pass, and all six do not.
    steps = {label: [i + 0.1 * seed for seed in range(7)] for i, label in enumerate("abcd")}
    assert 3 * 2**-6 <= 0.05 < 6 * 2**-6
    three = {label: steps[label] for label in "abc"}
    (table,) = make_tables(results_of(of("nll", **three)), TableOptions())
    assert table.tests[0].indistinguishable == {"b": False, "c": False}
    (table,) = make_tables(results_of(of("nll", **steps)), TableOptions())
    assert table.tests[0].indistinguishable == {} and "needs 8 seeds" in notes(table)


def test_daggers_hold_their_level_when_no_method_differs() -> None:
    # Corrected for comparisons with the best alone, it would be .063 and .091.
    for runs, students, seeds in ((1500, 3, 8), (500, 7, 10)):
        assert daggers(runs, students, seeds).share <= 0.05


def test_pairs_that_are_not_tested_are_named(results_of: Callable[..., Results]) -> None:
    figures = of("nll", a=BEST, b=[x + 0.2 for x in BEST], c=[0.01] * 7)
    # It has as many seeds as the others but shares only one: a test of one pair shows nothing.
    figures |= {("d", "far", seed): {"nll": 0.9} for seed in range(7, 15)}
    results = results_of(figures, failed={("d", "c", 7): "boom"})
    (table,) = make_tables(results, TableOptions())
    cells = entries(table)
    assert (cells["a"].mark, cells["c"].mark) == ("best", "")
    # The untested pair has no dagger and changes no other one.
    assert table.tests[0].n == {"b": 8, "far": 1} and table.tests[0].have_power
    assert cells["far"].indistinguishable is None and cells["b"].indistinguishable is False
    assert "Not tested, for too few seeds shared with the best: far." in notes(table)
    assert "Neither ranked nor tested where a seed is missing or not finite: c." in notes(table)


def test_only_values_of_the_same_teacher_are_paired(results_of: Callable[..., Results]) -> None:
    figures = of("nll", a=BEST, b=[x + 0.2 for x in BEST])
    results = results_of(figures)
    for (_, label, seed), cell in results.cells.items():
        if label == "b" and seed > 5:
            cell["measured"] = "another"  # type: ignore[index]
    (table,) = make_tables(results, TableOptions())
    assert table.tests[0].n == {"b": 6}


def test_pairs_share_their_teacher(results_of: Callable[..., Results]) -> None:
    figures = of("nll", a=[0.1] * 8, b=[0.1001] * 8)
    apart = {("d", "b", seed): "another teacher" for seed in range(8)}
    with pytest.raises(UsageError, match="teacher"):
        results_of(figures, measured=apart)


def test_missing_values_are_shown_and_not_ranked(results_of: Callable[..., Results]) -> None:
    figures = of("nll", a=[0.5, 0.6, 0.7], b=[0.8, 0.9, 1.0], c=[0.1], d=[0.5, math.nan, 0.6])
    results = results_of(
        figures,
        failed={("d", "c", 1): "ValueError: no", ("d", "e", 0): "boom"},
        missing=[("d", "c", 2), ("d", "f", 0)],
        skipped={("d", "g", 0): "not its task"},
    )
    (table,) = make_tables(results, TableOptions())
    cells = entries(table)
    assert (cells["a"].mark, cells["b"].mark, cells["c"].mark) == ("best", "second", "")
    assert (cells["e"].placeholder, cells["f"].placeholder, cells["g"].placeholder) == (
        *("failed", "missing", "skipped"),
    )
    text = table_text([table])
    assert "0.100 (1)" in text and "nan" in text and "(n) after a value" in text
    assert "c on d: 1 failed and 1 missing of 3: ValueError: no." in text
    assert "g on d: 1 skipped of 1: not its task." in text


def test_all_layouts_hold_the_same_values(results_of: Callable[..., Results]) -> None:
    results = results_of(
        {
            (dataset, label, seed): {"nll": 0.1 * seed + len(label), "brier": 0.2}
            for dataset in ("d", "e")
            for label in ("kd", "gauss")
            for seed in range(2)
        }
    )
    values_by_layout = []
    for choice in (TableOptions(), TableOptions(by="metric"), TableOptions(transpose=True)):
        tables = make_tables(results, choice)
        assert len(tables) == 2
        values_by_layout.append(
            sorted(
                (e.dataset, e.label, str(e.format.metric), e.summary.mean if e.summary else 0)
                for table in tables
                for e in table.entries
            )
        )
    assert values_by_layout[0] == values_by_layout[1] == values_by_layout[2]
    turned = make_tables(results, TableOptions(transpose=True))[0]
    assert turned.corner == "metric" and turned.columns == ("kd", "gauss")


def test_options_select_rows_and_columns(results_of: Callable[..., Results]) -> None:
    results = results_of(
        of("nll", a=[0.3], b=[0.1], c=[0.2]) | {("r", "a", 0): {"rmse": 1.0}},
    )
    choice = TableOptions(datasets=("d",), labels=("c", "a"), metrics=("nll",))
    assert [name for name, _ in make_tables(results, choice)[0].rows] == ["c", "a"]
    by_value = make_tables(results, TableOptions(datasets=("d",), sort="nll"))[0]
    assert [name for name, _ in by_value.rows] == ["b", "c", "a"]
    assert "Methods by their mean in nll." in notes(
        make_tables(results, TableOptions(sort="nll"))[0]
    )
    # A dataset without the metric has no table.
    assert [t.name for t in make_tables(results, TableOptions(metrics=("nll",)))] == ["d"]


def test_incomplete_methods_are_sorted_last(results_of: Callable[..., Results]) -> None:
    figures = of("nll", a=[0.3, 0.4], b=[0.1], c=[0.2, 0.3], e=[0.1, math.nan])
    table = make_tables(results_of(figures, missing=[("d", "b", 1)]), TableOptions(sort="nll"))[0]
    assert [name for name, _ in table.rows] == ["c", "a", "b", "e"]
    assert "last, where a seed is missing or not finite: b, e." in notes(table)


def test_a_method_name_selects_all_its_variants(results_of: Callable[..., Results]) -> None:
    labels = {"h5": "hydra", "h9": "hydra", "kd": "kd"}
    results = results_of(of("nll", h5=[0.1], h9=[0.2], kd=[0.3]), methods=labels)
    table = make_tables(results, TableOptions(labels=("kd", "hydra")))[0]
    assert [name for name, _ in table.rows] == ["kd", "h5", "h9"]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_terminal_gets_the_table_in_blocks(
    results_of: Callable[..., Results], width: int
) -> None:
    names = ("accuracy", "nll", "ece", "brier", "ood_auroc", "teacher_kl", "teacher_tv_epistemic")
    figures = {
        ("d", label, seed): dict.fromkeys(names, 0.1 * seed + 0.2)
        for label in ("kd", "hydra+[heads=20]")
        for seed in range(3)
    }
    text = table_text(make_tables(results_of(figures), TableOptions()), width)
    assert max(map(len, text.splitlines())) <= width
    # All columns are there, each block with the names of its rows.
    for part in ("Error", "NLL", "ECE", "Brier", "AUROC", "KL", "TV epistemic ↓"):
        assert part in text
    assert text.count("hydra+[heads=20]  ") == text.count("\nmethod")


def test_without_a_terminal_lines_have_100_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("os.get_terminal_size", lambda handle: (_ for _ in ()).throw(OSError()))
    assert terminal_width() == 100
    monkeypatch.setenv("COLUMNS", "72")
    assert terminal_width() == 72


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (TableOptions(metrics=("error",)), "error: give accuracy"),
        (TableOptions(metrics=("nil",)), "nil: unknown metric; did you mean 'nll'"),
        (
            TableOptions(metrics=("accuracy",)),
            r"accuracy: no cell has this value \(a metric of class",
        ),
        (TableOptions(metrics=("nll",), labels=("b",)), "nll: no cell of b has this value"),
        (TableOptions(labels=("kdd",)), "--method kdd: not in these runs; did you mean 'kd'"),
        (TableOptions(datasets=("x",)), "--dataset x: not in these runs"),
        (TableOptions(labels=("b",)), "b: no cell has a headline value"),
    ],
)
def test_mistakes_are_one_line(
    results_of: Callable[..., Results], choice: TableOptions, message: str
) -> None:
    results = results_of(of("nll", kd=[0.1]), failed={("d", "b", 0): "boom"})
    with pytest.raises(UsageError, match=message) as error:
        make_tables(results, choice)
    assert "\n" not in str(error.value)


def test_csv_is_tidy_and_unrounded(results_of: Callable[..., Results]) -> None:
    values = [0.123456789, 0.2, 0.3]
    results = results_of(of("nll", a=values), failed={("d", "b", 0): "x"})
    rows = list(
        csv.DictReader(io.StringIO(table_csv(make_tables(results, TableOptions()), results)))
    )
    assert [row["label"] for row in rows] == ["a", "b"]
    assert float(rows[0]["mean"]) == fmean(values)
    assert float(rows[0]["deviation"]) == stdev(values)
    assert (rows[0]["n"], rows[0]["unit"], rows[1]["n"], rows[1]["empty"]) == (
        *("3", "nats", "0", "failed"),
    )


def test_markdown_escapes_names(results_of: Callable[..., Results]) -> None:
    label = "a|b_*<script>\n[x](y)"
    text = table_markdown(make_tables(results_of(of("nll", **{label: [0.5]})), TableOptions()))
    assert r"a\|b\_\*\<script\> \[x\](y)" in text
    assert "<script>" not in text.replace(r"\<", "")


def test_a_terminal_gets_no_control_characters(results_of: Callable[..., Results]) -> None:
    text = table_text(make_tables(results_of(of("nll", **{"a\x1b[2J\b": [0.5]})), TableOptions()))
    assert "\x1b" not in text and "\b" not in text


def test_the_command_writes_each_format(
    make_run: Maker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_run(tmp_path / "run", of("nll", kd=[0.1, 0.2], gauss=[0.3, 0.4]))

    def table(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(
            "sys.argv", ["run_bench.py", "table", str(tmp_path / "run"), *arguments]
        )
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    assert "0.150 ± 0.071 *" in table()[1]
    files = [str(tmp_path / name) for name in ("t.tex", "t.md", "t.csv", "t.macros.tex")]
    options = ("--latex", "--markdown", "--csv", "--macros")
    arguments = [part for pair in zip(options, files, strict=True) for part in pair]
    assert table(*arguments)[:2] == (0, "")
    assert all(Path(file).stat().st_size for file in files)
    assert table("--latex", "-")[1] == Path(files[0]).read_text()
    for wrong in (("--paper", "--by", "metric"), ("--by", "seed"), ("--csv", str(tmp_path))):
        code, out, err = table(*wrong)
        assert (code, out, err.count("\n")) == (2, "", 1)


def test_the_published_values_are_complete() -> None:
    with PUBLISHED.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert all(row["source"].startswith("arXiv 2205.09526") for row in rows)
    main = [row for row in rows if row["set"] == "test"]
    assert len(main) == 2 * 8 * 4 and len(rows) - len(main) == 8 * 4
    value = {(r["dataset"], r["model"], r["metric"]): (r["mean"], r["deviation"]) for r in main}
    assert value["cifar10", "Hydra+-20", "ece"] == ("3.74", "0.10")
    assert value["svhn", "Ensemble-20", "error"] == ("7.20", "0.05")


def test_an_ece_with_other_bins_is_not_compared_with_the_paper(
    results_of: Callable[..., Results],
) -> None:
    recorded = {"ece": 0.07, "ece_10@test": 0.05}
    results = results_of(
        {("cifar10", "endd", 0): recorded, ("cifar10", "endd", 1): {"ece": 0.07}}
        | {("cifar10", "kd", 0): {"ece": 0.07}, ("spiral", "endd", 0): {"ece": 0.07}}
    )
    table, shift = published_tables(results)
    entry = next(e for e in dict(table.rows)["here: endd"] if e.dataset == "cifar10" and e.summary)
    assert entry.summary and (entry.summary.mean, entry.n) == (5.0, 1)
    assert "ECE with 10 bins is not recorded in 2 of 3 cells" in notes(table)
    assert "not recorded" not in notes(shift)


def test_the_table_of_the_paper_shows_our_values_beside_it(
    results_of: Callable[..., Results],
) -> None:
    figure = {"accuracy": 0.9, "ece": 0.07, "flops": 2e9, "parameters": 3e6, "ece_10@test": 0.05}
    shifted = {"accuracy@vertical-shift/3": 0.6, "teacher_tv_epistemic@vertical-shift/3": 0.25}
    labels = {"twenty": "hydra+", "three": "hydra+", "gauss": "gauss"}
    results = results_of(
        {("cifar10", label, 0): figure | shifted for label in labels},
        methods=labels,
        parameters={
            "twenty": {"heads": 20, "normalise": True},
            "three": {"heads": 3, "normalise": False},
        },
        recipe={"members": 5, "epochs": 200},
    )
    table, shift = published_tables(results)
    names = [name for name, _ in table.rows]
    assert len(table.columns) == 8 and len(names) == 8 + 2
    assert names[names.index("Hydra+-20") + 1] == "here: twenty" and "here: three" not in names
    ours = dict(table.rows)["here: twenty"]
    texts = [e.format.text(e.summary.mean) if e.summary else e.placeholder for e in ours]
    # 2 GFLOPs are 1 G multiply-accumulates.
    assert texts == ["–", "–", "–", "–", "10.00", "5.00", "1.00", "3.00"]
    text = notes(table)
    assert "no cell of SVHN here" in text and "members 5 instead of 20" in text
    assert "epochs" not in text and "ECE of both: 10 equal-width bins" in text
    assert "λ of twenty: of a mean, chosen by this suite; the paper's: of a sum" in text
    assert "± with n where the other lines have n − 1" in text and "older code" not in text
    # The printed 8.86, of at most 43.4, is a total variation of 0.204.
    theirs = dict(shift.rows)["Hydra+-20"][3].summary
    assert theirs and theirs.mean == pytest.approx(8.86 / (100 / math.log(10)))
    assert dict(shift.rows)["here: twenty"][3].summary
