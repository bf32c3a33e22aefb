"""Students from best to worst, of those that are complete."""

from __future__ import annotations

from collections.abc import Container

import numpy as np
import pandas as pd


def rank_students(
    summary: pd.DataFrame, better: str, references: Container[str], below_chance: bool = False
) -> list[str]:
    """Return the students from best to worst by mean.

    Students with fewer seeds than another one, or whose mean is not finite, are left out. Without a
    direction, and where the teacher itself detects worse than chance, nobody is ranked.

    Args:
        summary: `mean` and `n` by label, on one dataset (see `Results.summary`).
        better: direction of the metric, "higher", "lower" or empty.
        references: labels that are not students.
        below_chance: whether the teacher detects worse than chance.
    """
    if not better or below_chance:
        return []
    students = summary[[label not in references for label in summary.index]]
    complete = students[students["n"].eq(students["n"].max()) & np.isfinite(students["mean"])]
    ordered = complete["mean"].sort_values(ascending=better == "lower", kind="stable")
    return [str(label) for label in ordered.index]
