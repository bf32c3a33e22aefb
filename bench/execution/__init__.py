"""Many cells: which jobs they need, where and in which order these run, and what is recorded.

launch      what is asked for, checked and planned
runner      `run_cells` runs what is not finished, from cells to tables
executors   where jobs run: processes of this machine, or a cluster
progress    what the user sees of a run, in its own process or from its folder

Private to the room:
jobs        what jobs there are
job_graph   the jobs that cells need
scheduler   runs a graph of jobs, with retries
priorities  which job is the next
recorder    writes the record of each cell that ends
workplace   what a job needs on the machine that it runs on
worker      what workers do for each kind of job; it loads torch
"""

__all__ = ["executors", "launch", "progress", "runner"]
