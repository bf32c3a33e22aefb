"""The measurement of a student on every evaluation set.

evaluate        values of all metrics and the arrays for figures
outcomes        predictions as the arrays that metrics are computed from
figure_arrays   the arrays from which figures are drawn
cost            parameters, FLOPs, bytes and latency
"""

__all__ = ["cost", "evaluate", "figure_arrays", "outcomes"]
