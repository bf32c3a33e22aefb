"""CSV that every reader takes apart alike."""

from __future__ import annotations

import csv
import io
import os

from bench.rows import dict_writer, writer


def test_a_row_is_one_row_to_every_reader() -> None:
    names = ["a\rb", "c\nd", "e\r\nf", '"', ",", "\r", "\0", "", "plain"]
    text = io.StringIO()
    writer(text).writerows([names, ["1"] * len(names)])
    file = dict_writer(text, names)
    file.writeheader()
    file.writerow({"plain": 2, "\r": "\r"})
    found = list(csv.reader(io.StringIO(text.getvalue(), newline=""), strict=True))
    last = ["\r" if name == "\r" else "2" if name == "plain" else "" for name in names]
    assert found == [names, ["1"] * len(names), names, last]
    plain = io.StringIO()
    writer(plain).writerow(["a", 1, 0.5, None, "b c"])
    assert plain.getvalue() == "a,1,0.5,,b c\n"
    assert os.linesep not in plain.getvalue()[:-1]
