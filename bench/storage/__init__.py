"""A run's folder on disk: its records, tables and protocol, and the cache."""
