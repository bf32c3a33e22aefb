"""How long a run takes: guessed from the networks before it starts, learned from jobs as they end.

job_durations       `DurationEstimator`: mean seconds of jobs by kind
network_operations  multiplications of a forward pass, by family of networks
run_time            seconds until a run is done
"""

__all__ = ["job_durations", "network_operations", "run_time"]
