"""A run's folder on disk: its records, tables and protocol; and the cache of arrays.

run_folder   `Run`: run.json, the records of finished cells, the folder's lock
tables       results.csv, metrics.csv and timings.csv, derived from the records
protocol     which cells may stand side by side in a table
labels       what all cells of one label share
ownership    which files belong to a run or a cache and must not be overwritten
cache        prepared data, teachers and checkpoints, by a hash of what they are made of
formats      what these files hold, checked when they are read and written
upkeep       verifying, merging and cleaning folders
"""

__all__ = [
    "cache",
    "formats",
    "labels",
    "ownership",
    "protocol",
    "run_folder",
    "tables",
    "upkeep",
]
