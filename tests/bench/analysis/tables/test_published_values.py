"""Published values of the paper beside ours."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable

import pytest
from tests.bench.analysis.tables.paper_table_values import notes, row, texts

from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.analysis.tables.published_values import PUBLISHED, published_tables


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
    entry = row(table, table.rows.index("here: endd"))["CIFAR-10 ECE [%] ↓"]
    assert (entry.mean, entry.n) == (5.0, 1)
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
    names = table.rows
    assert len(table.columns) == 8 and len(names) == 8 + 2
    assert names[names.index("Hydra+-20") + 1] == "here: twenty" and "here: three" not in names
    ours = texts(table, names.index("here: twenty"))
    # 2 GFLOPs are 1 G multiply-accumulates.
    assert [text.removesuffix(" (1)") for text in ours] == [
        "–",
        "–",
        "–",
        "–",
        "10.00",
        "5.00",
        "1.00",
        "3.00",
    ]
    text = notes(table)
    assert "no cell of SVHN here" in text and "members 5 instead of 20" in text
    assert "epochs" not in text and "ECE of both: 10 equal-width bins" in text
    assert (
        "λ of twenty: weight of a mean, chosen by this suite; the paper's is the weight of a sum"
        in text
    )
    assert "± with n where the other lines have n − 1" in text and "older code" not in text
    # The printed 8.86, of at most 43.4, is a total variation of 0.204.
    header = shift.columns[3]
    theirs = row(shift, shift.rows.index("Hydra+-20"))[header]
    assert theirs.mean == pytest.approx(8.86 / (100 / math.log(10)))
    assert row(shift, shift.rows.index("here: twenty"))[header].n == 1
