"""Where jobs run: in processes of this machine, or on a cluster. All share one interface.

base        the interface, and the exceptions that jobs fail with
registry    the executors by name
local       processes of this machine
processes   a room: processes that are forked from a server, some of which are used again
cluster     what all clusters have in common
remote_job  a job as it travels to a worker of a cluster
dask, ray   one kind of cluster each
"""

__all__ = ["base", "local", "processes", "registry"]
