"""The contract test of plugins: small and quick checks of what a plugin registers, and a verdict.

plugin_check       `check_isolated` checks a plugin in a process of its own; the command `check`

Private to the room:
checks             what a check is, and how it fails
method_contract    the checks of a method
method_under_test  a method on synthetic data, with the checks of its hooks
processor_time     a limit on processor time
repeatability      whole cells: repeated in one process, and resumed in another
metric_contract    the checks of a metric
dataset_contract   the checks of a dataset
network_contract   the checks of a family of networks
network_under_test a family on random inputs, with the checks of what it builds
synthetic_data     the data that methods and metrics are checked on
"""

__all__ = ["plugin_check"]
