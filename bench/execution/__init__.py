"""Many cells: the graph of jobs, the scheduler, executors and records."""
