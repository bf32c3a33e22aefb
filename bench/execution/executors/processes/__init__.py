"""Processes of this machine that are forked from a server with torch loaded.

forked_process  the driver's side: starts the server, and talks to the processes
fork_server     the server
worker_process  the side of the processes: runs jobs and answers
preloaded       what the server imports beforehand
job_timeout     kills a process whose job takes too long
wire_format     what the three sides send to each other
"""

__all__ = ["forked_process", "job_timeout"]
