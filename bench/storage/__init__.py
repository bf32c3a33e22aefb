"""A run's folder on disk: its records, tables and protocol; and the cache of arrays.

run_folder   `Run`: run.json, the records of cells and the files beside them; a cell's status
run_lock     one process writes to a run's folder at a time
tables       results.csv, metrics.csv and cells.csv, derived from the records
table_rows   what the tables hold
table_note   what the tables were made from, in derived.json
protocol     which cells may stand side by side in a table
joined_runs  several runs as one
ownership    which files belong to a run or a cache and must not be overwritten
cache        prepared data, teachers and checkpoints, by a hash of what they are made of
formats      what these files hold, checked when they are read and written
upkeep       verifying, merging and cleaning folders
"""

__all__ = [
    "cache",
    "formats",
    "joined_runs",
    "ownership",
    "protocol",
    "run_folder",
    "tables",
    "upkeep",
]
