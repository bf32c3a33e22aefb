"""Values of methods paired by seed and teacher, and the cells that cannot be paired.

Two values are a pair if their cells have the same dataset and seed, and were measured against the
same teacher on the same evaluation sets.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis.metric_info import MetricInfo


def paired_values(values: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Return the finite values on a dataset, a row for each seed and teacher, a column each label.

    The values of a pair of labels are those of the rows in which neither is nan.

    Args:
        values: see `Results.values`.
        dataset: name of the dataset.
    """
    rows = values[values["dataset"].eq(dataset) & np.isfinite(values["value"])]
    return rows.pivot(index=["seed", "teacher"], columns="label", values="value")


def unusable_cells(planned: pd.DataFrame, values: pd.DataFrame, metric: MetricInfo) -> pd.DataFrame:
    """Return the planned cells without a finite value, with the `reason` of each.

    A reason is the status of a cell that is not done, `no METRIC`, `nan`, `inf` or `-inf`.

    `planned` may be a part of `Results.planned`; `values` are those of the metric.
    """
    # By position and not by id: comparing texts takes a hundred times as long.
    of_cells = values["value"].reindex(planned.index)
    has_value = planned.index.isin(values.index)
    status = planned["status"].astype(str)
    reason = status.where(status.ne("done"), f"no {metric}")
    # Not `astype(str)`, which leaves nan as it is.
    reason = reason.where(~has_value, [str(value) for value in of_cells])
    return planned.assign(reason=reason)[~np.isfinite(of_cells)]
