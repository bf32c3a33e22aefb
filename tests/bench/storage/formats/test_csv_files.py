"""CSV files that every reader parses in the same way."""

from __future__ import annotations

import csv
import io
import os

import pytest

from distillation_bench.bench.storage.formats.csv_files import (
    csv_dict_writer,
    csv_writer,
    spreadsheet_safe,
)


def test_every_reader_sees_the_same_rows() -> None:
    names = ["a\rb", "c\nd", "e\r\nf", '"', ",", "\r", "\0", "", "plain"]
    text = io.StringIO()
    csv_writer(text).writerows([names, ["1"] * len(names)])
    file = csv_dict_writer(text, names)
    file.writeheader()
    file.writerow({"plain": 2, "\r": "\r"})
    rows_read = list(csv.reader(io.StringIO(text.getvalue(), newline=""), strict=True))
    last = ["\r" if name == "\r" else "2" if name == "plain" else "" for name in names]
    assert rows_read == [names, ["1"] * len(names), names, last]
    plain = io.StringIO()
    csv_writer(plain).writerow(["a", 1, 0.5, None, "b c"])
    assert plain.getvalue() == "a,1,0.5,,b c\n"
    assert os.linesep not in plain.getvalue()[:-1]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+kd", "-kd", "@kd", "\tkd", "\rkd", "\n=1", "=cmd|' /C calc'!A0", "-1+1", "\uff1d1"],
)
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert spreadsheet_safe(text) == f"'{text}"


@pytest.mark.parametrize("value", ["", "kd", "-0.5", "+1e-5", "-inf", "a=b", "'x", -0.5, 3, None])
def test_numbers_and_other_text_are_unchanged(value: object) -> None:
    assert spreadsheet_safe(value) is value
