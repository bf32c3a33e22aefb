"""Two datasets: on one the teacher detects better than chance, on the other it does not."""

from __future__ import annotations

from distillation_bench.bench.storage.tables import CellKey

Figures = dict[CellKey, dict[str, float]]
SEEDS = range(8)
"""So many that compare would tell two students apart."""


def figures_of(dataset: str, **labels: dict[str, float]) -> Figures:
    """Return values by label; each seed is a little larger."""
    return {
        (dataset, label, seed): {k: v + 0.002 * seed for k, v in values.items()}
        for label, values in labels.items()
        for seed in SEEDS
    }


BELOW = figures_of(
    "spiral",
    ensemble={"ood_auroc": 0.2, "nll": 0.1},
    kd={"ood_auroc": 0.1, "nll": 0.3},
    hydra={"ood_auroc": 0.6, "nll": 0.2},
)
"""The teacher itself is worse than chance."""
ABOVE = figures_of(
    "digits",
    ensemble={"ood_auroc": 0.9, "nll": 0.1},
    kd={"ood_auroc": 0.3, "nll": 0.3},
    hydra={"ood_auroc": 0.4, "nll": 0.2},
)
"""The teacher is better than chance, and no student is."""
