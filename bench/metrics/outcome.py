"""The input of a metric: a prediction on one evaluation set, as float64 arrays."""

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
    """What every prediction has.

    Attributes:
        total, aleatoric, epistemic: uncertainties [N], in nats (classification) or as variances
            (regression).
        scores: further scores for OOD detection by name [N], high for unfamiliar inputs.
        targets: classes (int64) or values [N]; None on OOD sets.
        log_likelihood: ln p(target) [N]; None on OOD sets.
    """

    total: Array
    aleatoric: Array
    epistemic: Array
    scores: Mapping[str, Array]
    # Any, because only metrics of the kind "labelled" read them, and these always get arrays.
    targets: Any
    log_likelihood: Any

    @property
    def members(self) -> int:
        """The number of distributions that the prediction is the mean of."""
        return 1


@dataclass(frozen=True)
class ClassOutcome(Outcome):
    """Class probabilities, given by their logarithms.

    Attributes:
        log_mean: ln of the predictive distribution [N, C].
        log_members: ln of the S distributions that it is the mean of [S, N, C]; None if there are
            none.
        temperature: fitted on the validation split.
    """

    log_mean: Array = field(default_factory=lambda: np.empty(0))
    log_members: Array | None = None
    temperature: float = 1.0

    @property
    def members(self) -> int:
        return 1 if self.log_members is None else len(self.log_members)

    @cached_property
    def probabilities(self) -> Array:
        """The predictive distribution [N, C]."""
        return np.exp(self.log_mean)


@dataclass(frozen=True)
class ValueOutcome(Outcome):
    """A distribution of a number for each example.

    Attributes:
        mean: of the distribution [N].
        components: means and variances [S, N] of the Gaussians that it is the equal mixture of;
            None if it is another distribution.
        log_variance_limit: log variances of the components are clamped to ± this.
        cdf, crps: of another distribution, at the targets [N]; None if they are not known.
    """

    mean: Array = field(default_factory=lambda: np.empty(0))
    components: tuple[Array, Array] | None = None
    log_variance_limit: float = np.inf
    cdf: Array | None = None
    crps: Array | None = None

    @property
    def members(self) -> int:
        return 1 if self.components is None else len(self.components[0])

    @cached_property
    def median_variance(self) -> Array:
        """The median of the components' variances [N]; the variance if there are none."""
        if self.components is None:
            return self.aleatoric
        return np.asarray(np.median(self.components[1], axis=0))
