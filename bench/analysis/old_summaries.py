"""Values over seeds: mean, standard deviation and n, and the order from best to worst."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Summary:
    """Values of a metric over seeds.

    Attributes:
        mean: nan or inf if a value is.
        deviation: standard deviation with n − 1; nan for n = 1, or if a value is not finite.
        n: number of seeds.
    """

    mean: float
    deviation: float
    n: int

    @property
    def has_deviation(self) -> bool:
        """Whether the standard deviation is defined."""
        return math.isfinite(self.deviation)

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "nan"
        deviation = "" if math.isnan(self.deviation) else f" ± {_digits(self.deviation)}"
        return f"{_digits(self.mean)}{deviation}"


def _digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3f}"


def summarise(values: Sequence[float]) -> Summary:
    """Return the mean and the standard deviation of at least one value."""
    if not all(map(math.isfinite, values)):
        mean = math.nan if any(map(math.isnan, values)) else math.inf
        return Summary(mean, math.nan, len(values))
    return Summary(fmean(values), stdev(values) if len(values) > 1 else math.nan, len(values))


def best_first(summaries: Mapping[str, Summary], better: str) -> list[str]:
    """Return labels from best to worst by mean.

    Labels with fewer seeds than another one, or whose mean is nan, are left out.

    Args:
        summaries: summary of each label.
        better: "higher", else the lower mean is better.
    """
    most = max((summary.n for summary in summaries.values()), default=0)
    means = {
        label: summary.mean
        for label, summary in summaries.items()
        if summary.n == most and not math.isnan(summary.mean)
    }
    return sorted(means, key=lambda label: means[label], reverse=better == "higher")


def rank_students(
    summaries: Mapping[str, Summary],
    better: str,
    references: Container[str],
    below_chance: bool = False,
) -> list[str]:
    """Return the students from best to worst by mean; see `best_first` for who is left out.

    Without a direction, and where the teacher itself detects worse than chance, nobody is ranked.

    Args:
        summaries: summary of each label.
        better: direction of the metric, "higher", "lower" or empty.
        references: labels that are not students.
        below_chance: whether the teacher detects worse than chance.
    """
    if not better or below_chance:
        return []
    students = {k: summary for k, summary in summaries.items() if k not in references}
    return best_first(students, better)
