"""What is done to the folders of runs and caches between runs.

verify   compares records, histories, curves and tables with their checksums
merge    joins runs of one protocol into one run
clean    lists or removes what is no longer needed
"""

__all__ = ["clean", "merge", "verify"]
