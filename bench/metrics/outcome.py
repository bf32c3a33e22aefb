"""What a metric sees: a prediction on one evaluation set, as float64 arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """What all predictions have.

    Attributes:
        total, aleatoric, epistemic: uncertainties [N], in nats (classes) or as variances.
        scores: further scores for OOD detection [N], high for unfamiliar inputs.
        targets: classes (int64) or values [N]; None on OOD sets.
        log_likelihood: ln p(target) [N]; None on OOD sets.
    """

    total: Array
    aleatoric: Array
    epistemic: Array
    scores: Mapping[str, Array]
    # Any: a labelled metric, which alone reads them, always finds arrays.
    targets: Any
    log_likelihood: Any


@dataclass(frozen=True)
class ClassOutcome(Outcome):
    """Classification: ln of the mean probabilities [N, C] and, where there are, of its parts.

    `temperature` was fitted on the validation split.
    """

    log_mean: Array = field(default_factory=lambda: np.empty(0))
    log_members: Array | None = None
    temperature: float = 1.0

    @cached_property
    def probabilities(self) -> Array:
        """The mean's probabilities [N, C]."""
        return np.exp(self.log_mean)


@dataclass(frozen=True)
class ValueOutcome(Outcome):
    """Regression: the means and variances [S, N] of an equal mixture of Gaussians.

    Log variances are kept within ±`log_variance_limit`.
    """

    means: Array = field(default_factory=lambda: np.empty(0))
    variances: Array = field(default_factory=lambda: np.empty(0))
    log_variance_limit: float = np.inf

    @cached_property
    def mean(self) -> Array:
        """The mixture's mean [N]."""
        mean: Array = self.means.mean(0)
        return mean

    @cached_property
    def median_variance(self) -> Array:
        """The median of the components' variances [N]."""
        return np.asarray(np.median(self.variances, axis=0))
